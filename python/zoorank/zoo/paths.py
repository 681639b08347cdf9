"""Paths as a manifest writes them."""

from __future__ import annotations

import os
import re
from pathlib import Path

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
    path = Path(_VARIABLE.sub(lambda match: os.environ[match[1]], text)).expanduser()
    # Not resolve(): links often lead to files whose names tell nothing.
    return Path(os.path.abspath(folder / path))  # noqa: PTH100
