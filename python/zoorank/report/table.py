"""A ranking as a table for people, in as many columns as a terminal has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from rich import box
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from zoorank.messages import inert, listing
from zoorank.ranking import Ranking, RankRow
from zoorank.ranking.columns import FACTS
from zoorank.report.figures import FORMS, significant

T = TypeVar("T")

BEST = "bold green"
ASIDE = "italic cyan"
FAILED = "red"
FILTERED = "yellow"
NOTE_WIDTH = 24
NAME_WIDTH = 16
PLACES = 8  # named at a note that is about many rows
NONE = ("–", "-")
# When columns leave: the larger, the sooner.
BASIC, SCORES, DETAIL, MOST = 20, 30, 50, 90
# From here on, which leaves five scores, before headings are cut short and cuts move under sources.
EARLY = SCORES + 5


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
        What it is called where it has to be left out.
    head, second : str
        Its heading, and a second line of that, which is left out where there is no room and the
        first tells enough.
    cells : tuple of str
        One for each row of the ranking.
    justify : str
        Words are to the left, and fold where there is no room.
    style : str
        Of the head.
    leaves : int
        The larger, the sooner it is left out where there is no room; 0 never.
    """

    name: str
    head: str
    cells: tuple[str, ...]
    second: str = ""
    justify: JustifyMethod = "right"
    style: str = ""
    leaves: int = 0


@dataclass(frozen=True)
class Layout:
    """Columns of a table, the blanks between them, and how wide a name may be."""

    columns: tuple[Column, ...]
    gap: int = 2
    name_width: int | None = None


@dataclass(frozen=True)
class RankingTable:
    """Draws a ranking to fit the console.

    What failed, was filtered or not tried stands below the table, with its reason. As the console
    gets narrower, notes move there too and columns are left out, the least telling first, and
    named; then the cut goes under its source, and names fold.
    """

    ranking: Ranking

    @property
    def _rows(self) -> list[RankRow]:
        """Those of the table; what has no score is named below it."""
        return [row for row in self.ranking if row.status in ("ok", "baseline", "sampled")]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the heading, the table, the notes and the verdict."""
        signs = Signs.for_encoding(options.encoding)
        columns = list(self._columns(signs))
        layout, width = self._fitting(columns, console, options)
        shown = layout.columns
        notes = [row for row in self._rows if row.note]
        room = options.max_width - width - 2
        if notes and room >= min(NOTE_WIDTH, max(len(row.note) for row in notes)):
            cells = tuple(inert(row.note) for row in self._rows)
            note = Column("note", "note", cells, justify="left")
            layout, notes = replace(layout, columns=(*shown, note)), []
        yield self._heading()
        yield from (Text(inert(note), style="yellow") for note in self.ranking.target.notes)
        yield Text()
        yield self._table(layout)
        names = {column.name for column in (*shown, *columns[:3])}
        left_out = [column.name for column in columns if column.name not in names]
        if left_out:
            yield Text(f"In a wider window: {', '.join(left_out)}.", style="dim")
        notes += [*self.ranking.filtered, *self.ranking.failures, *self.ranking.untried]
        if notes:
            yield Text()
            yield from _notes(notes)
        for narrowed in self.ranking.narrowed:
            yield Text()
            yield Text(narrowed)
        yield Text()
        yield Text(inert(self.ranking.verdict), style="bold")
        if self.ranking.guidance:
            yield Text()
            yield Text(self.ranking.guidance)

    def _fitting(
        self, columns: Sequence[Column], console: Console, options: ConsoleOptions
    ) -> tuple[Layout, int]:
        """The widest layout that fits, and how wide it is."""
        unbound = options.update(width=1000)
        for layout in _narrower(columns):
            table = self._table(layout)
            width = Measurement.get(console, unbound, table).maximum
            if width <= options.max_width:
                break
        # Measured with names folded, drawn with all the room there is for them.
        return replace(layout, name_width=None), width

    def _heading(self) -> Text:
        target = self.ranking.target
        numbers = target.task == "numbers"
        predicted = "numbers to predict" if numbers else f"{len(target.classes)} classes"
        shape = "" if target.shape == f"({target.modality})" else f" {target.shape}"
        return Text.assemble(
            (inert(target.name), "bold"),
            f": {target.n_samples} samples, {predicted}, {target.modality}{shape}",
        )

    def _table(self, layout: Layout) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD,
            padding=(0, layout.gap - 1, 0, 0),  # the box has one of its own
            show_edge=False,
            header_style="dim",
        )
        two_lines = any(column.second for column in layout.columns)
        for column in layout.columns:
            folds = column.justify == "left"
            table.add_column(
                Text(_head(column, two_lines=two_lines), column.style),
                justify=column.justify,
                no_wrap=not folds,
                overflow="fold" if folds else "ellipsis",
                max_width=layout.name_width if folds else None,
            )
        best = self.ranking.best
        for place, row in enumerate(self._rows):
            style = BEST if row is best else _style(row)
            # As Text, because a name in brackets is no markup.
            table.add_row(*(Text(column.cells[place]) for column in layout.columns), style=style)
        return table

    def _columns(self, signs: Signs) -> Iterator[Column]:
        """All columns that have something to show."""
        ranking, rows = self.ranking, self._rows

        def shown(values: Sequence[T | None], form: Callable[[T], str]) -> tuple[str, ...]:
            return tuple(signs.none if value is None else form(value) for value in values)

        ranks = shown([row.rank for row in rows], str)
        yield Column(
            "rank",
            "",
            tuple(
                (f"{signs.best} " if row is ranking.best else "") + rank + "=" * row.tied
                for row, rank in zip(rows, ranks, strict=True)
            ),
        )
        yield Column("source", "source", tuple(inert(row.model) for row in rows), justify="left")
        yield Column("cut", "cut", shown([row.cut for row in rows], inert), justify="left")
        for place, (key, label) in enumerate(ranking.labels.items()):
            scores = shown([row.scores.get(key) for row in rows], significant)
            head, _, second = label.partition(" ")
            if key != ranking.key:
                yield Column(label, head, scores, second, leaves=SCORES + place)
                continue
            intervals = [
                f" {signs.within} {significant(row.half_width)}" if row.half_width > 0 else ""
                for row in rows
            ]
            cells = tuple(map("".join, zip(scores, intervals, strict=True)))
            yield Column(label, head, cells, second, style="bold not dim")
        ranges = self._ranges(signs)
        known = [Column("range by class", "by class", ranges, justify="center", leaves=MOST)]
        for place, fact in enumerate(FACTS):
            words = fact.unit == "words"
            form = inert if words else FORMS[fact.unit]
            known.append(
                Column(
                    fact.name,
                    fact.heading,
                    shown([fact.of(row) for row in rows], form),
                    justify="left" if words else "right",
                    leaves=place + (DETAIL if fact.is_detail else BASIC),
                )
            )
        yield from (column for column in known if set(column.cells) != {signs.none})
        if ranking.race is not None:
            left = shown([row.left_in_round for row in rows], str)
            yield Column("left in round", "left in", left, "round", leaves=11)
        if ranking.race is not None or any(row.status == "sampled" for row in rows):
            every = ranking.target.n_samples
            seen = [(row.rows or every) if row.scores else None for row in rows]
            yield Column("rows", "rows", shown(seen, str), leaves=10)

    def _ranges(self, signs: Signs) -> tuple[str, ...]:
        """Score of the worst and of the best class of each row."""
        ends = [(row.class_min, row.class_max) for row in self._rows]
        return tuple(
            signs.none
            if low is None or high is None
            else f"{_end(low):>5}{signs.to}{_end(high):<5}"
            for low, high in ends
        )


def _notes(rows: Sequence[RankRow]) -> Iterator[Text]:
    """A line for each note, with all the rows that it is about."""
    by_note: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        place = f"{row.model} cut at {row.cut}" if row.cut else row.model
        by_note.setdefault((row.note, _style(row)), []).append(place)
    for (note, style), places in by_note.items():
        yield Text.assemble((inert(listing(places, PLACES)), style or "bold"), f": {inert(note)}")


def _end(score: float) -> str:
    """A score in two decimals; 0 has no sign."""
    return f"{round(score, 2) + 0.0:.2f}"


def _head(column: Column, *, two_lines: bool) -> str:
    """A heading; one of a line stands at the bottom of two."""
    if column.second:
        return f"{column.head}\n{column.second}"
    return f"\n{column.head}" if two_lines else column.head


def _narrower(columns: Sequence[Column]) -> Iterator[Layout]:
    """From the widest to the narrowest layout, as :class:`RankingTable` says."""
    layout = Layout(tuple(columns))
    leaving = sorted(filter(lambda column: column.leaves, columns), key=lambda each: -each.leaves)
    yield layout
    for column in leaving:
        if column.leaves >= EARLY:
            layout = replace(layout, columns=_without(layout.columns, column))
            yield layout
    layout = replace(layout, columns=_with_short_heads(layout.columns))
    yield layout
    layout = replace(layout, gap=1)
    yield layout
    layout = replace(layout, columns=_stacked(layout.columns))
    yield layout
    for column in leaving:
        if column.leaves < EARLY:
            layout = replace(layout, columns=_without(layout.columns, column))
            yield layout
    yield replace(layout, name_width=NAME_WIDTH)


def _without(columns: Sequence[Column], leaving: Column) -> tuple[Column, ...]:
    return tuple(column for column in columns if column.name != leaving.name)


def _with_short_heads(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Headings of one line where no other begins alike."""
    heads = [column.head for column in columns]
    return tuple(
        column if heads.count(column.head) > 1 else replace(column, second="") for column in columns
    )


def _stacked(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The cut under its source, in one column."""
    named = {column.name: column for column in columns}
    source, cut = named["source"], named["cut"]
    cells = tuple(
        model if place in NONE else f"{model}\n  {place}"
        for model, place in zip(source.cells, cut.cells, strict=True)
    )
    both = replace(source, cells=cells)
    return tuple(both if each is source else each for each in columns if each is not cut)


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
            return cls("★", NONE[0], "…", "±")
        return cls("*", NONE[1], "..", "+-")


def _style(row: RankRow) -> str:
    styles = {"baseline": ASIDE, "failed": FAILED, "filtered": FILTERED, "sampled": "dim"}
    return styles.get(row.status, "")
