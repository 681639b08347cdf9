"""Cut points as a table for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from zoorank.encoding.cuts import SourceCuts
from zoorank.messages import inert
from zoorank.report.figures import count
from zoorank.report.table import FAILED


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
