"""Records, one flat dict for each row, as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from zoorank.messages import csv_cell


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
