"""Two pictures of the study: regret by both truths, and regret against cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from board import Study
from matplotlib.figure import Figure
from picks import COMBINED, PROBE, label, points
from second import HEAD, Second

from zoorank.selection.evaluate import BASELINES, RANDOM, STATIC, Evaluation

# The same bytes from the same figures.
mpl.rcParams["svg.hashsalt"] = "zoorank"
METADATA = {"Date": None, "Creator": None}


def regret_picture(study: Study, second: Second, path: Path) -> Path:
    """Mean regret of the first pick with its interval: by the head, and by fine-tuning."""
    names = [score.name for score in study.whole.scores]
    names.sort(key=lambda name: -points(study.whole, name))
    figure = Figure(figsize=(9, 1.5 + 0.26 * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    draw_regret(left, names, study.whole)
    draw_regret(right, names, second.tuned)
    left.set_yticks(range(len(names)), [label(name) for name in names])
    left.set_title("by the head, out of all candidates", fontsize="medium")
    right.set_title("by fine-tuning, out of the sample", fontsize="medium")
    own = second.tuned[HEAD].measures["regret@1"].mean
    right.axvline(100 * own, color="black", linestyle=":", linewidth=1)
    right.text(100 * own, 0.1, " best head on TEST", fontsize="small", ha="left")
    for axes in (left, right):
        axes.set_xlim(left=0)
        axes.grid(axis="x", alpha=0.3)
        axes.set_xlabel("mean regret of the first pick in points, 95 % interval")
    figure.savefig(path, metadata=METADATA)
    return path


def draw_regret(axes: Any, names: Sequence[str], found: Evaluation) -> None:
    """A point and an interval for each selector."""
    for row, name in enumerate(names):
        regret = found[name].measures["regret@1"]
        axes.plot([100 * regret.low, 100 * regret.high], [row, row], color=colour(name), lw=1)
        axes.plot(100 * regret.mean, row, "o", color=colour(name), ms=5)


def cost_picture(study: Study, path: Path) -> Path:
    """Regret against the time that all candidates take."""
    whole = study.seconds[PROBE]
    spent = {key: seconds for key, seconds in study.seconds.items() if seconds}
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for name in (RANDOM, STATIC):
        regret = points(study.whole, name)
        axes.axhline(regret, color="tab:gray", linestyle="--", linewidth=1)
        axes.text(112, regret, name, color="tab:gray", fontsize="small", ha="right", va="bottom")
    for name, seconds in spent.items():
        at = (100 * seconds / whole, points(study.whole, name))
        axes.plot(*at, "o", color=colour(name), ms=5)
        axes.annotate(
            label(name),
            at,
            xytext=(5, 3) if at[0] < 20 else (-5, 6),
            textcoords="offset points",
            fontsize="x-small",
            ha="left" if at[0] < 20 else "right",
        )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.set_xlabel("processor time without encoding, in % of a head on every candidate")
    axes.set_ylabel("mean regret of the first pick in points")
    figure.savefig(path, metadata=METADATA)
    return path


def colour(name: str) -> str:
    """Baselines are grey, what combines scores or trains heads is red."""
    if name in BASELINES:
        return "tab:gray"
    return "tab:red" if name in COMBINED else "tab:blue"
