"""Results on disk, each file written whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoorank.errors import StoreError
from zoorank.messages import csv_cell


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


def csv_text(records: Sequence[Mapping[str, Any]]) -> str:
    """CSV with a header line, from records that have the same keys; None is left empty.

    Texts are written as :func:`zoorank.messages.csv_cell` does, so that none is a formula.

    Examples
    --------
    >>> csv_text([{"model": "a", "rank": 1}, {"model": "b", "rank": None}]).splitlines()
    ['model,rank', 'a,1', 'b,']
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    for record in records:
        cells = (
            (key, csv_cell(each) if isinstance(each, str) else each) for key, each in record.items()
        )
        writer.writerow(dict(cells))
    return text.getvalue()
