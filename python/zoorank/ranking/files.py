"""Results on disk, each file written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from zoorank.errors import StoreError
from zoorank.ranking.ranking import Ranking


def prepare(directory: str | os.PathLike[str]) -> Path:
    """Make the directory for results, so that a bad one is known before the work.

    Raises
    ------
    StoreError
        If it cannot be made or written to.
    """
    path = Path(directory)
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise StoreError(f"cannot write results to {path}: {error.strerror}") from error
    return path


def write_results(ranking: Ranking, directory: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write ``ranking.json`` and ``ranking.csv``, replacing earlier ones.

    Raises
    ------
    StoreError
        If the disk is full or not writable; earlier files are then untouched.
    """
    folder = prepare(directory)
    paths = folder / "ranking.json", folder / "ranking.csv"
    for path, text in zip(paths, (ranking.to_json(), ranking.to_csv()), strict=True):
        write_text(path, text)
    return paths


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name beside it, then rename it into place."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process's mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
