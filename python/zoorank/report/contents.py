"""What the page shows of a ranking: columns, the cells of its table, cards, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zoorank.ranking import Ranking, RankRow
from zoorank.ranking.columns import FACTS
from zoorank.report.closeups import first_picks
from zoorank.report.figures import FORMS, significant
from zoorank.scores import TABLE

N_CARDS = 3
LONGEST_NAME = 48

Value = str | float | None


@dataclass(frozen=True)
class PageColumn:
    """A column of the table on the page.

    Attributes
    ----------
    id : str
        Of its values in the data of the page.
    label, help : str
        Its heading, and what that means.
    values : tuple
        To sort by, one for each row.
    texts : tuple of str
        What the cells show.
    words : bool
        Whether they are words, not figures.
    descends : bool
        Whether the first click on the heading sorts from the largest down.
    """

    id: str
    label: str
    help: str
    values: tuple[Value, ...]
    texts: tuple[str, ...]
    words: bool = False
    descends: bool = False


@dataclass(frozen=True)
class Cell:
    """What a cell of the table shows."""

    text: str
    title: str = ""
    cut: str = ""
    source: bool = False
    words: bool = False
    share: float | None = None


@dataclass(frozen=True)
class TableRow:
    """A row of the table: its kind, for its style, and its cells."""

    kind: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Card:
    """One of the first picks at a glance."""

    place: str
    model: str
    cut: str
    score: str
    score_name: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Reason:
    """Why rows have no score, those with the same reason together."""

    reason: str
    names: tuple[tuple[str, str], ...]
    traceback: str


def depths_of(rows: list[RankRow]) -> tuple[list[float | None], str]:
    """How deep each cut is, as a share of the deepest of its source, and a share of what.

    Returns
    -------
    depths : list of (float or None)
        None where a source was cut once, or nothing is known.
    title : str
        Empty where no source was cut twice.
    """
    sources = [row for row in rows if row.status == "ok"]
    by_flops = all(row.facts.flops is not None for row in sources)

    def work(row: RankRow) -> float:
        return (row.facts.flops if by_flops else row.parameters_kept) or 0

    most: dict[str, float] = {}
    cuts: dict[str, int] = {}
    for row in sources:
        cuts[row.model] = cuts.get(row.model, 0) + 1
        most[row.model] = max(most.get(row.model, 0), work(row))
    depths = [
        float(f"{work(row) / most[row.model]:.4g}")
        if row.status == "ok" and cuts[row.model] > 1 and most[row.model] > 0
        else None
        for row in rows
    ]
    if all(depth is None for depth in depths):
        return depths, ""
    what = "operations" if by_flops else "parameters"
    return depths, f"depth of the cut, in shares of {what}"


def columns_of(ranking: Ranking, rows: Sequence[RankRow]) -> Iterator[PageColumn]:
    """The columns that have something to show, in their order."""
    yield _column("rank", "rank", "by the score that decides", [row.rank for row in rows])
    yield _column("model", "source", "its name, and its cut", [row.model for row in rows])
    for key, label in ranking.labels.items():
        values = [row.scores.get(key) for row in rows]
        upwards = is_better_higher(ranking, key)
        text = label if upwards else f"{label}; less is better"
        yield _column(f"score {key}", label, text, values, significant, descends=upwards)
    text = f"{ranking.labels[ranking.class_key or ranking.key]} of the class it separates worst"
    worst = [row.class_min for row in rows]
    yield _column("worst class", "worst class", text, worst, significant, descends=True)
    for fact in FACTS:
        values = [fact.of(row) for row in rows]
        if any(value is not None for value in values):
            column = _column(fact.key, fact.heading, fact.meaning, values, FORMS[fact.unit])
            words, share = fact.unit == "words", fact.unit == "share"
            yield replace(column, words=words, descends=share)
    notes = [row.note or None for row in rows]
    if any(notes):
        column = _column("note", "note", "what else is worth knowing", notes)
        yield replace(column, words=True)


def _column(
    name: str,
    label: str,
    text: str,
    values: Sequence[Any],
    form: Callable[[Any], str] = str,
    *,
    descends: bool = False,
) -> PageColumn:
    """A column of these values: as a chart takes them, and as a cell shows them."""
    exact = tuple(float(f"{each:.6g}") if isinstance(each, float) else each for each in values)
    texts = tuple("–" if each is None else form(each) for each in values)
    if not all(isinstance(each, str) for each in values):
        texts = tuple(text.replace("-", "−", 1) if text[:1] == "-" else text for text in texts)
    return PageColumn(name, label, text, exact, texts, descends=descends)


def is_better_higher(ranking: Ranking, key: str) -> bool:
    """Whether more of a score is better; of another package's scores only the decider tells."""
    if key == ranking.key:
        return ranking.higher_is_better
    return all(score.higher_is_better for score in TABLE if score.key == key)


def short_names(models: Iterable[str]) -> dict[str, str]:
    """Names that fit into a headline: of a long path the end, where no other ends alike.

    Examples
    --------
    >>> names = short_names(["timm:resnet18", "hf:" + "/models" * 12 + "/all-MiniLM"])
    >>> list(names.values())
    ['timm:resnet18', 'hf:…/all-MiniLM']
    """
    short = {}
    for model in models:
        kind, colon, place = model.partition(":")
        if not colon or "/" in kind:
            kind, colon, place = "", "", model
        end = place.rstrip("/").rpartition("/")[2]
        is_long = len(model) > LONGEST_NAME and "/" in place
        short[model] = f"{kind}{colon}…/{end}" if is_long else model
    counts = Counter(short.values())
    return {model: name if counts[name] == 1 else model for model, name in short.items()}


def table_of(
    ranking: Ranking, rows: list[RankRow], columns: list[PageColumn], full_names: Sequence[str]
) -> list[TableRow]:
    """The rows of the table, of the columns' cells."""
    scores = [row.score for row in rows if row.score is not None]
    low, high = min(scores, default=0.0), max(scores, default=1.0)
    low = min(low, 0.0)

    def cell(column: PageColumn, place: int) -> Cell:
        row, text = rows[place], column.texts[place]
        if column.id == "model":
            return Cell(text, full_names[place], cut=row.cut or "", source=True)
        if column.id == f"score {ranking.key}" and row.score is not None:
            share = (row.score - low) / (high - low) if high > low else 1.0
            within = f" ± {significant(row.half_width)}" if row.half_width > 0 else ""
            share = share if ranking.higher_is_better else 1 - share
            return Cell(text + within, share=round(share, 3))
        if column.id == "rank" and row.tied:
            return Cell(f"{text} =")
        return Cell(text, words=column.words)

    best = ranking.best
    return [
        TableRow(
            "best" if row is best else "baseline" if row.status == "baseline" else "",
            tuple(cell(column, place) for column in columns),
        )
        for place, row in enumerate(rows)
    ]


def cards_of(ranking: Ranking) -> list[Card]:
    """The first sources, each at its best cut, and the raw input."""
    cards = []
    places = ("First pick", "Second source", "Third source")
    picks = first_picks(ranking, N_CARDS)
    for place, row in [*zip(places, picks, strict=False), ("Without a network", ranking.baseline)]:
        if row is None or row.score is None:
            continue
        facts = [("rank", str(row.rank))] if row.rank is not None else []
        facts += [
            (fact.name, FORMS[fact.unit](fact.of(row)))
            for fact in FACTS
            if fact.unit != "share" and fact.of(row)
        ]
        name = ranking.labels[ranking.key]
        cards.append(
            Card(place, row.model, row.cut or "", significant(row.score), name, tuple(facts))
        )
    return cards


def reasons_of(rows: Iterable[RankRow]) -> list[Reason]:
    """Rows with the same reason together, in the order they came."""
    by_reason: dict[str, list[RankRow]] = {}
    for row in rows:
        by_reason.setdefault(row.note, []).append(row)
    return [
        Reason(
            reason or "no reason is recorded",
            tuple((row.model, row.cut or "") for row in alike),
            next((row.traceback for row in alike if row.traceback), ""),
        )
        for reason, alike in by_reason.items()
    ]
