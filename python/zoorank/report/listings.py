"""What `cuts`, `score` and `info` print."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from zoorank.messages import inert
from zoorank.report.figures import count, seconds
from zoorank.report.table import FAILED

if TYPE_CHECKING:
    from zoorank.encoding.cuts import SourceCuts
    from zoorank.ranking.provenance import Environment
    from zoorank.scores import Score
    from zoorank.scores.files import FileScore


def cuts_tables(sources: tuple[SourceCuts, ...]) -> Iterator[RenderableType]:
    """Draw a table for each source, or say why it has none."""
    for source in sources:
        if not source.cuts:
            yield Text.assemble((inert(source.model), FAILED), f": {inert(source.note)}")
            continue
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
        table.add_column(Text(f"{inert(source.model)}\ncut", "bold"), overflow="fold")
        for head in ("output\nshape", "FLOPs\nup to here", "parameters\nkept", "\nshare"):
            table.add_column(head, justify="right", no_wrap=True, header_style="dim")
        for cut in source.cuts:
            table.add_row(
                Text(inert(cut.name)),
                " × ".join(map(str, cut.shape)),
                f"{cut.flops_share:.1%}",
                count(cut.parameters_kept),
                f"{cut.parameters_share:.1%}",
            )
        yield table
        yield Text()


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


def info_table(found: Environment) -> Table:
    """Draw what an installation can do, what is missing last in its words."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for group, facts in asdict(found).items():
        table.add_row(Text(group, "bold not dim"), "")
        for name, value in facts.items():
            table.add_row(f"  {name.replace('_', ' ')}", Text(_shown(value)))
    return table


def _shown(value: object) -> str:
    if value is None:
        return "not installed"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
