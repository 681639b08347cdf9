"""Paths as a manifest writes them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from zoorank.errors import UsageError
from zoorank.messages import inert

_NAMED = re.compile(r"\w{2,}:")  # not the one letter of a drive
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
    path = with_home(_VARIABLE.sub(lambda match: os.environ[match[1]], text))
    # Not resolve(): links often lead to files whose names tell nothing.
    return Path(os.path.abspath(folder / path))  # noqa: PTH100


def with_home(path: str | os.PathLike[str]) -> Path:
    """Put a home directory for ``~``; where nobody has one it is the name of a file.

    Examples
    --------
    >>> with_home("~nobody-of-this-name/weights.pt")
    PosixPath('~nobody-of-this-name/weights.pt')
    """
    plain = Path(path)
    try:
        return plain.expanduser()
    except RuntimeError:
        return plain


def expand_data(text: str, folder: Path) -> str:
    """Make the path of a data set absolute, as :func:`expand` does; a name is left alone.

    Examples
    --------
    >>> expand_data("sklearn:digits", Path("/zoo"))
    'sklearn:digits'
    """
    return text if is_named(text) else str(expand(text, folder))


def path_list(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> tuple[Path, ...]:
    """One path or several, which a string otherwise is letter by letter.

    Examples
    --------
    >>> [path.name for path in path_list("code")], len(path_list(["code", Path("more")]))
    (['code'], 2)
    """
    return (Path(paths),) if isinstance(paths, str | os.PathLike) else tuple(map(Path, paths))


def same_place(one: str, other: str) -> bool:
    """Whether two data sets are the same name, or the same path with links followed.

    Examples
    --------
    >>> same_place("birds/../birds/X.npy", "birds/X.npy"), same_place("sklearn:wine", "wine")
    (True, False)
    """
    if not one or not other or is_named(one) or is_named(other):
        return bool(one) and one == other
    return with_home(one).resolve() == with_home(other).resolve()


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


def is_named(text: str) -> bool:
    """Whether a data set is named, as ``sklearn:digits`` is, and no path."""
    return _NAMED.match(text) is not None
