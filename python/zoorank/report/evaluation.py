"""An evaluation of scores, for people: a table, and a picture of regret."""

from __future__ import annotations

import os
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from zoorank.evaluation.evaluate import Difference, Estimate, Evaluation
from zoorank.messages import inert
from zoorank.report.pictures import new_figure, picture_path, save_figure
from zoorank.report.table import ASIDE

HEADS = {
    "regret@1": "regret@1\nwith 95 % interval",
    "regret@3": "\n@3",
    "regret@5": "\n@5",
    "held@1": "best in\ntop 1",
    "held@3": "\ntop 3",
    "reciprocal_rank": "MRR\nties shared",
    "first_reciprocal_rank": "MRR\nfirst of ties",
    "weighted_tau": "weighted\ntau",
    "spearman": "Spear-\nman",
}


def evaluation_table(evaluation: Evaluation) -> Table:
    """Draw scores, least regret first, and under them the baselines.

    Regret is in points where accuracies are fractions.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("\nscore", overflow="fold")
    for head in HEADS.values():
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("p against\nstatic", justify="right", no_wrap=True)
    scale = _scale(evaluation)
    for score in evaluation.scores:
        cells = [
            score.name,
            *(
                _cell(name, score.measures.get(name), scale if name.startswith("regret") else 1.0)
                for name in HEADS
            ),
            _chance(score.p_static),
        ]
        # As Text, because a name in brackets is no markup.
        table.add_row(
            *(Text(inert(cell)) for cell in cells), style=ASIDE if score.is_baseline else ""
        )
    return table


def comparison_table(evaluation: Evaluation) -> Table:
    """Draw what each score has more or less than the one they are compared with."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column(Text(f"less {inert(evaluation.against)},\ntarget by target"), overflow="fold")
    scale = _scale(evaluation)
    for head in ("regret@1\nwith 95 % interval", "weighted tau\nwith 95 % interval"):
        table.add_column(head, justify="right", no_wrap=True)
        table.add_column("\np", justify="right", no_wrap=True)
    for score in evaluation.scores:
        if score.name == evaluation.against:
            continue
        cells = [score.name]
        for name, unit, digits in (("regret@1", scale, 2), ("weighted_tau", 1.0, 3)):
            found = score.less.get(name)
            cells += ["-", "-"] if found is None else _less(found, unit, digits)
        table.add_row(
            *(Text(inert(cell)) for cell in cells), style=ASIDE if score.is_baseline else ""
        )
    return table


def evaluation_heading(evaluation: Evaluation) -> Text:
    """Say what was compared, and what was not."""
    low, high = min(evaluation.n_candidates), max(evaluation.n_candidates)
    count = str(low) if low == high else f"{low} to {high}"
    unit = " (points)" if _scale(evaluation) > 1 else ""
    note = inert(evaluation.note)
    left = f"\n{note[0].upper()}{note[1:]}." if note else ""
    return Text(
        f"{len(evaluation.targets)} targets, {count} candidates each; the best of each has an "
        f"accuracy of {evaluation.oracle:.4f} on average. Regret{unit}: what a pick lacks "
        f"to it.{left}"
    )


def regret_figure(evaluation: Evaluation, path: str | os.PathLike[str]) -> Path:
    """Write a picture of the mean regret of each score with its interval; needs matplotlib.

    Parameters
    ----------
    evaluation : Evaluation
    path : path
        Ending in ``.png``, ``.svg`` or ``.pdf``.

    Returns
    -------
    Path

    Raises
    ------
    UsageError, StoreError, ModuleNotFoundError
        As :func:`zoorank.report.pictures.picture_path`.
    """
    place = picture_path(path)
    scores = sorted(evaluation.scores, key=lambda score: -score.measures["regret@1"].mean)
    scale = _scale(evaluation)
    figure = new_figure(7, 1.2 + 0.32 * len(scores))
    axes = figure.add_subplot()
    for row, score in enumerate(scores):
        colour = "tab:gray" if score.is_baseline else "tab:blue"
        for k, marker in ((1, "o"), (3, "s"), (5, "^")):
            regret = score.measures[f"regret@{k}"]
            axes.plot(scale * regret.mean, row, marker, color=colour, fillstyle=_fill(k))
        first = score.measures["regret@1"]
        axes.plot([scale * first.low, scale * first.high], [row, row], color=colour, linewidth=1)
    axes.set_yticks(range(len(scores)), [score.name for score in scores])
    axes.set_xlim(left=0)
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel(
        f"mean regret{' in points' if scale > 1 else ''} of the first pick with its 95 % interval\n"
        "open: best of the first 3 (squares) and 5 (triangles)"
    )
    return save_figure(figure, place)


def _scale(evaluation: Evaluation) -> float:
    """Regret is shown in points where accuracies are fractions."""
    return 100.0 if evaluation.oracle <= 1 else 1.0


def _fill(k: int) -> str:
    return "full" if k == 1 else "none"


def _cell(name: str, estimate: Estimate | None, scale: float) -> str:
    if estimate is None:
        return "-"
    if name == "regret@1":
        low, high = scale * estimate.low, scale * estimate.high
        return f"{scale * estimate.mean:.2f} [{low:.2f}, {high:.2f}]"
    if name.startswith("held"):
        return f"{estimate.mean:.0%}"
    return f"{scale * estimate.mean:.{2 if name.startswith('regret') else 3}f}"


def _less(found: Difference, scale: float, digits: int) -> list[str]:
    mean, low, high = (
        f"{scale * each + 0.0:+.{digits}f}" for each in (found.mean, found.low, found.high)
    )
    return [f"{mean} [{low}, {high}]", _chance(found.p)]


def _chance(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
