"""The picture of the study: regret by both truths."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import matplotlib as mpl
from candidates import Study
from matplotlib.figure import Figure
from picks import COMBINED, label, points
from second import HEAD, Second

from zoorank.evaluation.evaluate import BASELINES, Evaluation

sys.path.insert(0, str(Path(__file__).parents[1] / "figures"))
from pictures import STYLE, is_stale, save

__all__ = ["draw_regrets", "is_stale", "save", "shown"]


def shown(study: Study, second: Second) -> object:
    """The figures that the picture shows."""
    return [
        [score.name, astuple(found[score.name].measures["regret@1"])]
        for found in (study.whole, second.tuned)
        for score in study.whole.scores
    ]


def draw_regrets(study: Study, second: Second) -> Figure:
    """Mean regret of the first pick with its interval: by the head, and by fine-tuning."""
    names = [score.name for score in study.whole.scores]
    names.sort(key=lambda name: -points(study.whole, name))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 1.5 + 0.26 * len(names)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        draw_regret(left, names, study.whole)
        draw_regret(right, names, second.tuned)
        left.set_yticks(range(len(names)), [label(name) for name in names])
        left.set_title("by the head, out of all candidates", fontsize="medium")
        right.set_title("by fine-tuning, out of the sample", fontsize="medium")
        own = second.tuned[HEAD].measures["regret@1"].mean
        right.axvline(100 * own, color="black", linestyle=":", linewidth=1)
        right.text(100 * own, 0.35, " best head on TEST", fontsize="small", ha="left")
        for axes in (left, right):
            axes.set_xlim(left=0)
            axes.grid(axis="x", alpha=0.3)
        figure.supxlabel("mean regret of the first pick in points, with its 95 % interval")
    return figure


def draw_regret(axes: Any, names: Sequence[str], found: Evaluation) -> None:
    """A point and an interval for each selector."""
    for row, name in enumerate(names):
        regret = found[name].measures["regret@1"]
        axes.plot([100 * regret.low, 100 * regret.high], [row, row], color=colour(name), lw=1)
        axes.plot(100 * regret.mean, row, "o", color=colour(name), ms=5)


def colour(name: str) -> str:
    """Baselines are grey, what combines scores or trains heads is red."""
    if name in BASELINES:
        return "tab:gray"
    return "tab:red" if name in COMBINED else "tab:blue"
