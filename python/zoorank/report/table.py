"""A ranking as a table for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from zoorank.selection import Ranking, RankRow

T = TypeVar("T")

BEST = "bold green"
ASIDE = "italic cyan"
FAILED = "red"
NOTE_WIDTH = 24

# Columns that a narrow table can do without, beside those of scores.
SCORE_SECONDS, ENCODE_SECONDS, BY_CLASS = "score seconds", "encode seconds", "range by class"


@dataclass(frozen=True)
class RankingTable:
    """Draws a ranking to fit the console.

    As the console gets narrower, notes move below the table, then columns move
    together, then the cut goes under its model, then columns are left out, the least
    telling first, and named below. Nothing is cut off: a name that still does not fit
    folds.
    """

    ranking: Ranking

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the heading, the table, the notes and the verdict."""
        signs = Signs.for_encoding(options.encoding)
        unbound = options.update(width=1000)
        for layout in self._layouts():
            width = Measurement.get(console, unbound, self._table(layout, signs)).maximum
            if width <= options.max_width:
                break
        noted = [row for row in self.ranking if row.note]
        room = options.max_width - width - 2
        if noted and room >= min(NOTE_WIDTH, max(len(row.note) for row in noted)):
            layout, noted = replace(layout, notes=True), []
        yield self._heading()
        yield Text()
        yield self._table(layout, signs)
        if layout.hidden:
            names = ", ".join(self.ranking.labels.get(key, key) for key in layout.hidden)
            yield Text(f"Too narrow for: {names}.", style="dim")
        if noted:
            yield Text()
        for row in noted:
            place = f"{row.model}, {row.cut}" if row.cut else row.model
            yield Text.assemble((place, _style(row) or "bold"), f": {row.note}")
        if self.ranking.race is not None:
            yield Text()
            yield Text(self.ranking.race.summary)
        yield Text()
        yield Text(self.ranking.verdict, style="bold")
        if self.ranking.guidance:
            yield Text()
            yield Text(self.ranking.guidance)

    def _layouts(self) -> Iterator[_Layout]:
        """From the widest to the narrowest."""
        yield _Layout()
        yield _Layout(dense=True)
        narrow = _Layout(dense=True, stacked=True)
        yield narrow
        details = [
            key
            for key, label in reversed(list(self.ranking.labels.items()))
            if key != self.ranking.key and not label.startswith("MSC")
        ]
        dispensable = (SCORE_SECONDS, ENCODE_SECONDS, *details, BY_CLASS)
        for most in range(1, len(dispensable) + 1):
            yield replace(narrow, hidden=dispensable[:most])

    def _heading(self) -> Text:
        target = self.ranking.target
        return Text.assemble(
            (target.name, "bold"),
            f": {target.n_samples} samples, {len(target.classes)} classes, "
            f"{target.kind} {target.shape}",
        )

    def _table(self, layout: _Layout, signs: Signs) -> Table:
        gap = 0 if layout.dense else 1
        table = Table(
            box=box.SIMPLE_HEAD, padding=(0, gap, 0, 0), show_edge=False, header_style="dim"
        )
        table.add_column(justify="right", no_wrap=True)
        table.add_column("model\n  cut" if layout.stacked else "model", overflow="fold")
        if not layout.stacked:
            table.add_column("cut", overflow="fold")
        labels = self.ranking.labels.items()
        heads = [_head(label, layout) for key, label in labels if key not in layout.hidden]
        for position, head in enumerate(heads):
            style = "bold not dim" if position == 0 else ""
            table.add_column(Text(head, style), justify="right", no_wrap=True)
        by_class = self.ranking.labels[self.ranking.class_key or self.ranking.key]
        of_deciding = _head(by_class, layout).rpartition("\n")[2]
        if BY_CLASS not in layout.hidden:
            table.add_column(f"by class\n{of_deciding}", justify="center", no_wrap=True)
        for head in ("\ndim", "params\nkept"):
            table.add_column(head, justify="right", no_wrap=True)
        if ENCODE_SECONDS not in layout.hidden:
            encode = "enc.\ns" if layout.dense else "encode\ns"
            table.add_column(encode, justify="right", no_wrap=True)
        if SCORE_SECONDS not in layout.hidden:
            table.add_column("score\ns", justify="right", no_wrap=True)
        if self.ranking.race is not None:
            table.add_column("left in\nround", justify="right", no_wrap=True)
            table.add_column("\nrows", justify="right", no_wrap=True)
        if layout.notes:
            table.add_column("note", overflow="fold")
        best = self.ranking.best
        for row in self.ranking:
            style = BEST if row is best else _style(row)
            # As Text, because a name in brackets is no markup.
            table.add_row(*map(Text, self._cells(row, layout, signs)), style=style)
        return table

    def _cells(self, row: RankRow, layout: _Layout, signs: Signs) -> Iterator[str]:
        def shown(value: T | None, form: Callable[[T], str]) -> str:
            return signs.none if value is None else form(value)

        rank = shown(row.rank, str) + ("=" if row.tied else "")
        yield f"{signs.best} {rank}" if row is self.ranking.best else rank
        if layout.stacked:
            yield f"{row.model}\n  {row.cut}" if row.cut else row.model
        else:
            yield row.model
            yield row.cut or signs.none
        for key in self.ranking.labels:
            if key in layout.hidden:
                continue
            width = row.half_width if key == self.ranking.key else 0.0
            interval = f" {signs.within} {width:.4f}" if width > 0 else ""
            yield shown(row.scores.get(key), "{:.4f}".format) + interval
        low, high = shown(row.class_min, "{:.2f}".format), shown(row.class_max, "{:.2f}".format)
        if BY_CLASS not in layout.hidden:
            yield f"{low:>5}{signs.to}{high:<5}" if row.per_class else signs.none
        yield shown(row.dim, str)
        yield shown(row.parameters_kept, count)
        if ENCODE_SECONDS not in layout.hidden:
            yield shown(row.encode_seconds, seconds)
        if SCORE_SECONDS not in layout.hidden:
            yield shown(row.score_seconds, seconds)
        if self.ranking.race is not None:
            yield shown(row.left_in_round, str)
            rows = row.rows or (self.ranking.target.n_samples if row.score is not None else None)
            yield shown(rows, str)
        if layout.notes:
            yield row.note


def count(number: int) -> str:
    """A count in three digits.

    Examples
    --------
    >>> [count(number) for number in (0, 950, 4_652_008, 25_600_000)]
    ['0', '950', '4.65M', '25.6M']
    """
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:#.3g}".rstrip(".") + unit
    return str(number)


def seconds(duration: float) -> str:
    """A duration to the digits that matter.

    Examples
    --------
    >>> [seconds(duration) for duration in (0.0004, 0.123, 4.56, 312.4)]
    ['<0.01', '0.12', '4.6', '312']
    """
    if duration < 0.01:
        return "<0.01"
    digits = 2 if duration < 1 else 1 if duration < 99.95 else 0
    return f"{duration:.{digits}f}"


@dataclass(frozen=True)
class _Layout:
    """How a table makes do with the width there is."""

    dense: bool = False
    stacked: bool = False
    notes: bool = False
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signs:
    """Signs that the terminal can show."""

    best: str
    none: str
    to: str
    within: str

    @classmethod
    def for_encoding(cls, encoding: str) -> Signs:
        """Those of ASCII where the encoding is not of Unicode."""
        if encoding.lower().startswith("utf"):
            return cls("★", "–", "…", "±")
        return cls("*", "-", "..", "+-")


def _head(label: str, layout: _Layout) -> str:
    """A label over two lines, its second word short where space is."""
    first, _, second = label.partition(" ")
    if layout.dense and len(second) > 7:
        second = f"{second[:6]}."
    return f"{first}\n{second}" if second else f"\n{first}"


def _style(row: RankRow) -> str:
    return {"baseline": ASIDE, "failed": FAILED, "ok": ""}[row.status]
