"""Measurements as files: CSV and JSON that say which machine they are of."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoorank.engine.throughput import Machine
from zoorank.ranking.records import csv_text

Row = Mapping[str, Any]

MACHINE_COLUMNS = ("device", "cpu", "instruction_set", "processors", "blas", "zoorank")
DIGITS = 5


def measurements_csv(rows: Sequence[Row], machine: Machine) -> str:
    """Rows with a head line; the machine's columns come last in each.

    Parameters
    ----------
    rows : sequence of mappings
        Column names to values, the same names in each.
    machine : Machine
        What they were measured on.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If a row has other columns than the first.
    """
    if not rows:
        return ""
    facts = {name: value for name, value in asdict(machine).items() if name in MACHINE_COLUMNS}
    if not machine.device:
        del facts["device"]
    for row in rows:
        if row.keys() != rows[0].keys():
            raise ValueError(f"columns differ: {', '.join(row)} and {', '.join(rows[0])}")
    return csv_text(
        [{name: shown(value) for name, value in {**row, **facts}.items()} for row in rows]
    )


def measurements_json(machine: Machine, **tables: Sequence[Row] | Row) -> str:
    """The machine and named tables of rows as one JSON object; NaN, which JSON lacks, is null."""
    found = _without_nan({"machine": asdict(machine), **tables})
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def write_measurements(rows: Sequence[Row], machine: Machine, directory: Path, name: str) -> Path:
    """Write ``directory/<machine>/name.csv``, and say where that is."""
    path = directory / machine.slug / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(measurements_csv(rows, machine), encoding="utf-8")
    return path


def shown(value: object) -> str:
    """A value for a cell: numbers to the digits that a measurement has, nothing for None.

    Examples
    --------
    >>> [shown(value) for value in (0.000123456789, 12.0, 20000, None, "avx2")]
    ['0.00012346', '12', '20000', '', 'avx2']
    """
    if value is None:
        return ""
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _without_nan(member) for name, member in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_nan(member) for member in value]
    return value
