"""A verification, for people: a table, and its learning curves as a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from zoorank.errors import StoreError, UsageError
from zoorank.report.evaluation import PICTURES
from zoorank.report.table import BEST
from zoorank.selection.verification import Verification


def verification_table(found: Verification) -> Table:
    """Draw the candidates in the order of the ranking, means with spread over repeats."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("rank by\nscore", justify="right", no_wrap=True)
    table.add_column("\nmodel", overflow="fold")
    table.add_column("\ncut", overflow="fold")
    for head in ("head,\nfrozen", "head on\nheld-out", "fine-tuned\nheld-out", "\nrepeats"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("\nnote", overflow="fold")
    for place, row in enumerate(found.rows):
        cells = [
            "-" if row.rank is None else str(row.rank),
            row.model,
            row.cut,
            *map(_percent, (row.head, row.frozen, row.tuned)),
            str(len(row.tuned)),
            row.note,
        ]
        table.add_row(*map(Text, cells), style=BEST if place == found.chosen else "")
    return table


def curves_figure(found: Verification, path: str | os.PathLike[str]) -> Path:
    """Write the learning curves of all trainings as a picture; needs matplotlib.

    Raises
    ------
    UsageError
        For an ending other than ``.png``, ``.svg`` or ``.pdf``.
    StoreError
        If the file cannot be written.
    """
    place = Path(path)
    if place.suffix.lower() not in PICTURES:
        raise UsageError(f"{place}: a picture ends in one of {', '.join(PICTURES)}")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for position, row in enumerate(found.rows):
        for repeat, curve in enumerate(row.curves):
            label = f"{row.model}, {row.cut}" if repeat == 0 else None
            axes.plot(range(len(curve)), curve, "o-", color=f"C{position}", label=label, ms=3)
    axes.set_xlabel("epoch of fine-tuning; 0: the prefix frozen")
    axes.set_ylabel("accuracy on the stopping samples")
    axes.grid(alpha=0.3)
    if any(row.curves for row in found.rows):
        axes.legend(fontsize="small")
    try:
        figure.savefig(place, dpi=150)
    except OSError as error:
        raise StoreError(f"cannot write {place}: {error.strerror}") from error
    return place


def _percent(values: Sequence[float]) -> str:
    if not values:
        return "-"
    spread = f" ± {100 * np.std(values):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{spread} %"
