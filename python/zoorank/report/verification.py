"""A verification, for people: a table, and its learning curves as a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from zoorank.messages import inert
from zoorank.report.pictures import new_figure, picture_path, save_figure
from zoorank.report.table import BEST, Signs
from zoorank.targets.base import Task
from zoorank.verification.verdict import Verification, Verified

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEP, SPREAD = 0.08, 0.5  # of an epoch, between points of neighbours, and of the first and last
MARKERS = "os^DvPX*"
LINES = ("-", (0, (3, 3)), (1, (1, 2)), (0, (5, 2, 1, 2)))
WIDTH = 2.6


def verification_table(found: Verification, encoding: str = "utf-8") -> Table:
    """Draw the candidates in the order of the ranking, means with spread over repeats."""
    signs = Signs.for_encoding(encoding)

    def shown(values: Sequence[float]) -> str:
        if not values:
            return signs.none
        scale, form, unit = (1, ".3f", "") if found.task == "numbers" else (100, ".1f", " %")
        spread = f" {signs.within} {scale * np.std(values):{form}}" if len(values) > 1 else ""
        return f"{scale * np.mean(values):{form}}{spread}{unit}"

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("rank by\nscore", justify="right", no_wrap=True)
    table.add_column("\nmodel", overflow="fold")
    table.add_column("\ncut", overflow="fold")
    measure = "R² of head,\nfrozen" if found.task == "numbers" else "head,\nfrozen"
    for head in (measure, "head on\nheld-out", "fine-tuned\nheld-out", "\nrepeats"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("\nnote", overflow="fold")
    for place, row in enumerate(found.rows):
        cells = [
            signs.none if row.rank is None else str(row.rank),
            row.model,
            row.cut,
            *map(shown, (row.head, row.frozen, row.tuned)),
            str(len(row.tuned)),
            row.note,
        ]
        table.add_row(
            *(Text(inert(cell)) for cell in cells), style=BEST if place == found.chosen else ""
        )
    return table


def curves_figure(found: Verification, path: str | os.PathLike[str]) -> Path:
    """Write the learning curves of all trainings as a picture; needs matplotlib.

    Raises
    ------
    UsageError, StoreError, ModuleNotFoundError
        As :func:`zoorank.report.pictures.picture_path`.
    """
    place = picture_path(path)
    return save_figure(draw_curves(found.rows, found.task), place)


def draw_curves(rows: Sequence[Verified], task: Task = "classes") -> Figure:
    """Draw curves so that all of them are seen, those that coincide too.

    A candidate's points stand a little beside those of others and have a shape of their own;
    its line shows through the gaps of the lines above it, and after a round of styles
    beside the thinner ones.
    """
    from matplotlib.ticker import MaxNLocator

    drawn = [row for row in rows if row.curves]
    figure = new_figure(7, 4.5 + 0.2 * len(drawn))
    axes = figure.add_subplot()
    step = min(STEP, SPREAD / max(1, len(drawn) - 1))
    for position, row in enumerate(drawn):
        shift = step * (position - (len(drawn) - 1) / 2)
        line: Any = {
            "linestyle": LINES[position % len(LINES)],
            "linewidth": WIDTH / (1 + position // len(LINES)),
        }
        point: Any = {
            "color": f"C{position}",
            "marker": MARKERS[position % len(MARKERS)],
            "markeredgecolor": "white",
            "markeredgewidth": 0.5,
        }
        for repeat, curve in enumerate(row.curves):
            x = np.arange(len(curve)) + shift
            label = f"{row.model}, {row.cut}" if repeat == 0 else None
            axes.plot(x, curve, **line, **point, label=label)
            axes.plot(x, curve, **point, linestyle="none", zorder=3)  # above all lines
    axes.set_xlabel("epoch of fine-tuning; 0: the prefix frozen")
    measure = "R²" if task == "numbers" else "accuracy"
    axes.set_ylabel(f"{measure} on the stopping samples")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if drawn:
        figure.legend(loc="outside lower center", fontsize="small", handlelength=4, frameon=False)
    return figure
