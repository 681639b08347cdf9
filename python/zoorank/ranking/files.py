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
from zoorank.partial import make_directory


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
    make_directory(path)  # which it is: what killed runs were writing there goes
    return path


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
