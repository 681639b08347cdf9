"""Paths as a manifest writes them, and those that may not be written over."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from zoorank.errors import UsageError
from zoorank.messages import inert

_VARIABLE = re.compile(r"\$\{(\w+)\}")


def expand(text: str, folder: Path) -> Path:
    """Make a manifest's path absolute: ``${NAME}``, ``~`` and relative to the manifest.

    Raises
    ------
    ValueError
        When ``NAME`` is not in the environment.
    """
    for name in _VARIABLE.findall(text):
        if name not in os.environ:
            raise ValueError(f"{text!r} needs the environment variable {name}, which is not set")
    path = os.path.expanduser(_VARIABLE.sub(lambda match: os.environ[match[1]], text))
    # Not resolve(): links often lead to files whose names tell nothing.
    return Path(os.path.abspath(folder / path))  # noqa: PTH100


def keep_inputs(
    written: Iterable[str | os.PathLike[str]], read: Iterable[str | os.PathLike[str]]
) -> None:
    """Refuse to write over what is read, by whatever name either goes.

    Raises
    ------
    UsageError
        Before anything is written.
    """
    inputs = [Path(each) for each in read]
    for each in written:
        for other in inputs:
            with contextlib.suppress(OSError, ValueError):  # one of them is not there
                if other.samefile(each):
                    raise UsageError(f"{inert(each)} is read here; write to another place")
