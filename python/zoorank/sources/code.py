"""Tell one state of model code from another, without running any of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

from zoorank.errors import SourceError
from zoorank.sources.trust import Found

_MOST_FILES = 10_000


def fingerprint_code(found: Found, allowed: Sequence[Path] = ()) -> str:
    """Hash every Python source that a factory may run as its own.

    Parameters
    ----------
    found : Found
        The package or module of the factory. All of its sources count; for an installed
        distribution its name and version do too, as they stand for what is compiled.
    allowed : sequence of Path
        Directories that code is allowed from. All of their sources count.

    Returns
    -------
    str
        SHA-256 in hexadecimal. Names count as they are within the package or directory,
        so that the same code elsewhere is the same.

    Raises
    ------
    SourceError
        When a source cannot be read, or a directory holds too many to be one of models.
    """
    digest = hashlib.sha256()
    if not found.in_directory:
        digest.update(repr(_distributions(found.name)).encode())
    roots = list(dict.fromkeys([*allowed, *found.folders]))
    try:
        for root in roots:
            for path in _sources(root, limited=root in allowed):
                _add(digest, path.relative_to(root).as_posix(), path)
        if found.file and not any(found.file.is_relative_to(root) for root in roots):
            _add(digest, found.file.name, found.file)
    except OSError as error:
        raise SourceError(f"{error.filename}: {error.strerror}") from None
    return digest.hexdigest()


def _add(digest: hashlib._Hash, name: str, path: Path) -> None:
    digest.update(os.fsencode(name) + b"\0")
    digest.update(hashlib.sha256(path.read_bytes()).digest())


def _sources(root: Path, *, limited: bool) -> Iterator[Path]:
    count = 0
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if _may_hold_sources(Path(folder, name)))
        for name in sorted(names):
            # No import finds a hidden file, such as the lock an editor leaves beside a source.
            if name.endswith(".py") and not name.startswith("."):
                count += 1
                yield Path(folder, name)
        if limited and count > _MOST_FILES:
            raise SourceError(
                f"{root}, which code is allowed from, holds more than {_MOST_FILES:,} Python "
                "files; name the directory that holds the code of the models alone"
            )


def _may_hold_sources(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name == "__pycache__"
    return not hidden and not (folder / "pyvenv.cfg").exists()


def _distributions(name: str) -> list[str]:
    names = _distributions_of_packages().get(name, [])
    return sorted({f"{each}=={metadata.version(each)}" for each in names})


@cache
def _distributions_of_packages() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())
