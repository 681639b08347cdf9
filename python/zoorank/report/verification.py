"""A verification, for people: a table, and its learning curves as a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from zoorank.report.pictures import new_figure, picture_path, save_figure
from zoorank.report.table import BEST, Signs
from zoorank.selection.verification import Verification


def verification_table(found: Verification, encoding: str = "utf-8") -> Table:
    """Draw the candidates in the order of the ranking, means with spread over repeats."""
    signs = Signs.for_encoding(encoding)

    def percent(values: Sequence[float]) -> str:
        if not values:
            return signs.none
        spread = f" {signs.within} {100 * np.std(values):.1f}" if len(values) > 1 else ""
        return f"{100 * np.mean(values):.1f}{spread} %"

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("rank by\nscore", justify="right", no_wrap=True)
    table.add_column("\nmodel", overflow="fold")
    table.add_column("\ncut", overflow="fold")
    for head in ("head,\nfrozen", "head on\nheld-out", "fine-tuned\nheld-out", "\nrepeats"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("\nnote", overflow="fold")
    for place, row in enumerate(found.rows):
        cells = [
            signs.none if row.rank is None else str(row.rank),
            row.model,
            row.cut,
            *map(percent, (row.head, row.frozen, row.tuned)),
            str(len(row.tuned)),
            row.note,
        ]
        table.add_row(*map(Text, cells), style=BEST if place == found.chosen else "")
    return table


def curves_figure(found: Verification, path: str | os.PathLike[str]) -> Path:
    """Write the learning curves of all trainings as a picture; needs matplotlib.

    Raises
    ------
    UsageError, StoreError, ModuleNotFoundError
        As :func:`zoorank.report.pictures.picture_path`.
    """
    place = picture_path(path)
    figure = new_figure(7, 4.5)
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
    return save_figure(figure, place)
