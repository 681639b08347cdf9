"""What the programs in benchmarks/ have measured: rows of their CSV files, and tables of them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).resolve().parents[1]
MACHINE = "amd-epyc-avx512"  # whose results the documents quote
WITH_TILES = "intel-xeon-amx"  # of docs/amx.md, and of single passes

Row = Mapping[str, Any]


def results(name: str, machine: str = MACHINE) -> list[Row]:
    """Rows of a program's results, from the machine that the documents quote or another."""
    return read(f"results/{machine}/{name}.csv")


def read(path: str) -> list[Row]:
    """Rows of a file in benchmarks/, numbers as numbers, nothing as None."""
    text = (BENCHMARKS / path).read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return [{name: value_of(cell) for name, cell in row.items()} for row in rows]


def value_of(cell: str) -> Any:
    try:
        return int(cell) if cell.isdigit() else float(cell)
    except ValueError:
        return cell or None


def table(head: str, line: str, rows: Iterable[Row]) -> str:
    """A table in Markdown.

    Parameters
    ----------
    head : str
        Headings with " | " between.
    line : str
        The cells of a row: a format that names columns of ``rows``, such as ``{rmse:.1e}``.
        A percentage is given its space.
    rows : iterable of mappings
    """
    columns = head.count(" | ") + 1
    cells = [re.sub(r"(?<=\d)%", " %", line.format_map(row)) for row in rows]
    lines = [f"| {each} |\n" for each in (head, *cells)]
    return "".join([lines[0], "|---" * columns, "|\n", *lines[1:]])
