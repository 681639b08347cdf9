"""The score of one encoding, for people."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from zoorank.messages import inert
from zoorank.report.figures import seconds
from zoorank.scores import Score
from zoorank.scores.files import FileScore


def score_table(result: FileScore, score: Score) -> RenderableType:
    """Draw the score, and that of every class from worst to best."""
    interval = f" ± {result.half_width:.4f}" if result.half_width > 0 else ""
    line = Text.assemble(
        f"{score.label} ",
        (f"{result.value:.4f}{interval}", "bold"),
        f"  ({result.n_samples} samples, {result.n_features} features, "
        f"{seconds(result.seconds)} s)",
    )
    if not result.per_class:
        return line
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("class", overflow="fold")
    table.add_column(score.label, justify="right", no_wrap=True)
    for name, value in sorted(result.per_class.items(), key=lambda item: item[1]):
        table.add_row(Text(inert(name)), f"{value:.4f}")
    return Group(line, Text(), table)
