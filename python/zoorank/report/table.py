"""A ranking as a table for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from rich import box
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from zoorank.ranking import Ranking, RankRow

T = TypeVar("T")

BEST = "bold green"
ASIDE = "italic cyan"
FAILED = "red"
NOTE_WIDTH = 24
NAME_WIDTH = 16

# Columns that a narrow table can do without, beside those of scores.
SCORE_SECONDS, ENCODE_SECONDS, BY_CLASS = "score seconds", "encode seconds", "range by class"
PARAMETERS, DIM, LEFT, ROWS = "parameters kept", "dim", "left in round", "rows"


@dataclass(frozen=True)
class RankingTable:
    """Draws a ranking to fit the console.

    As the console gets narrower, notes move below the table, then columns move
    together, then the cut goes under its model, then columns are left out, the least
    telling first, and named below. Nothing is cut off: before the last columns go, names
    fold.
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
        # Measured with names folded, drawn with all the room there is for them.
        layout = replace(layout, name_width=None)
        noted = [row for row in self.ranking if row.note]
        room = options.max_width - width - 2
        if noted and room >= min(NOTE_WIDTH, max(len(row.note) for row in noted)):
            layout, noted = replace(layout, notes=True), []
        yield self._heading()
        yield Text()
        yield self._table(layout, signs)
        if layout.hidden:
            yield Text(f"Too narrow for: {', '.join(layout.hidden)}.", style="dim")
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
        others = [
            label
            for key, label in reversed(list(self.ranking.labels.items()))
            if key != self.ranking.key
        ]
        silhouettes = [label for label in others if label.startswith("MSC")]
        details = [label for label in others if label not in silhouettes]
        first = (SCORE_SECONDS, ENCODE_SECONDS, *details, BY_CLASS)
        last = (PARAMETERS, DIM, *silhouettes)
        if self.ranking.race is not None:
            last += (LEFT, ROWS)
        for most in range(1, len(first) + 1):
            yield replace(narrow, hidden=first[:most])
        for most in range(len(last) + 1):
            yield replace(narrow, hidden=first + last[:most], name_width=NAME_WIDTH)

    def _heading(self) -> Text:
        target = self.ranking.target
        return Text.assemble(
            (target.name, "bold"),
            f": {target.n_samples} samples, {len(target.classes)} classes, "
            f"{target.modality} {target.shape}",
        )

    def _table(self, layout: _Layout, signs: Signs) -> Table:
        gap = 0 if layout.dense else 1
        table = Table(
            box=box.SIMPLE_HEAD, padding=(0, gap, 0, 0), show_edge=False, header_style="dim"
        )
        columns = [each for each in self._columns(layout, signs) if each.name not in layout.hidden]
        for column in columns:
            folds = column.justify == "left"
            table.add_column(
                Text(column.head, column.style),
                justify=column.justify,
                no_wrap=not folds,
                overflow="fold" if folds else "ellipsis",
                max_width=layout.name_width if folds else None,
            )
        best = self.ranking.best
        for row in self.ranking:
            style = BEST if row is best else _style(row)
            # As Text, because a name in brackets is no markup.
            table.add_row(*(Text(column.cell(row)) for column in columns), style=style)
        return table

    def _columns(self, layout: _Layout, signs: Signs) -> Iterator[_Column]:
        ranking = self.ranking

        def shown(value: T | None, form: Callable[[T], str]) -> str:
            return signs.none if value is None else form(value)

        def rank(row: RankRow) -> str:
            text = shown(row.rank, str) + ("=" if row.tied else "")
            return f"{signs.best} {text}" if row is ranking.best else text

        def stacked(row: RankRow) -> str:
            return f"{row.model}\n  {row.cut}" if row.cut else row.model

        def score(row: RankRow, key: str) -> str:
            width = row.half_width if key == ranking.key else 0.0
            interval = f" {signs.within} {width:.4f}" if width > 0 else ""
            return shown(row.scores.get(key), "{:.4f}".format) + interval

        def by_class(row: RankRow) -> str:
            if not row.per_class:
                return signs.none
            low, high = (shown(end, "{:.2f}".format) for end in (row.class_min, row.class_max))
            return f"{low:>5}{signs.to}{high:<5}"

        def rows(row: RankRow) -> str:
            every = ranking.target.n_samples if row.score is not None else None
            return shown(row.rows or every, str)

        yield _Column("", "", rank)
        if layout.stacked:
            yield _Column("model", "model\n  cut", stacked, "left")
        else:
            yield _Column("model", "model", lambda row: row.model, "left")
            yield _Column("cut", "cut", lambda row: row.cut or signs.none, "left")
        for key, label in ranking.labels.items():
            style = "bold not dim" if key == ranking.key else ""
            yield _Column(label, _head(label, layout), partial(score, key=key), style=style)
        of_deciding = _head(ranking.labels[ranking.class_key or ranking.key], layout)
        of_deciding = of_deciding.rpartition("\n")[2]
        yield _Column(BY_CLASS, f"by class\n{of_deciding}", by_class, "center")
        yield _Column(DIM, "\ndim", lambda row: shown(row.dim, str))
        yield _Column(PARAMETERS, "params\nkept", lambda row: shown(row.parameters_kept, count))
        head = "enc.\ns" if layout.dense else "encode\ns"
        yield _Column(ENCODE_SECONDS, head, lambda row: shown(row.encode_seconds, seconds))
        yield _Column(SCORE_SECONDS, "score\ns", lambda row: shown(row.score_seconds, seconds))
        if ranking.race is not None:
            yield _Column(LEFT, "left in\nround", lambda row: shown(row.left_in_round, str))
            yield _Column(ROWS, "\nrows", rows)
        if layout.notes:
            yield _Column("note", "note", lambda row: row.note, "left")


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
    name_width: int | None = None


@dataclass(frozen=True)
class _Column:
    """What a row shows in a column; one of words is to the left and folds."""

    name: str
    head: str
    cell: Callable[[RankRow], str]
    justify: JustifyMethod = "right"
    style: str = ""


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
