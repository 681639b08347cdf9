"""Records, one flat dict for each row, as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any


def csv_text(records: Sequence[Mapping[str, Any]]) -> str:
    """CSV with a header line, from records that have the same keys; None is left empty.

    Examples
    --------
    >>> csv_text([{"model": "a", "rank": 1}, {"model": "b", "rank": None}]).splitlines()
    ['model,rank', 'a,1', 'b,']
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
