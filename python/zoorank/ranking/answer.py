"""From what became of the sources to the ranking: what decides, the order, the verdict."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from zoorank.encoding.costs import Stages
from zoorank.ranking.consensus import Consensus
from zoorank.ranking.guidance import guidance
from zoorank.ranking.informed import Knowledge, inform
from zoorank.ranking.provenance import Provenance
from zoorank.ranking.racing.facts import BudgetFacts, RaceFacts
from zoorank.ranking.ranking import Ranking
from zoorank.ranking.record import Trained
from zoorank.ranking.rows import RankRow, SourceRows, baseline_rows, distinct
from zoorank.scores import Score
from zoorank.scores.base import Array
from zoorank.targets.facts import TargetFacts

if TYPE_CHECKING:
    from zoorank.ranking.outcomes import Run


@dataclass(frozen=True)
class Request:
    """All of a ranking but what became of its sources.

    Attributes
    ----------
    run : Run
    deciding : Score or Consensus
    target : TargetFacts
    provenance : Provenance
        Without the weights of the sources.
    lines : tuple of Trained
        The record.
    with_baseline : bool
        Whether the raw input is scored.
    """

    run: Run
    deciding: Score | Consensus
    target: TargetFacts
    provenance: Provenance
    lines: tuple[Trained, ...] = ()
    with_baseline: bool = True

    @cached_property
    def baseline(self) -> list[RankRow]:
        """The raw input, scored; a DataError where the target has changed meanwhile."""
        if not self.with_baseline:
            return []
        found = baseline_rows(self.run)
        self.run.target.check_unchanged()  # an array in a file is read while it is scored
        return found

    def answered(
        self,
        sources: Sequence[SourceRows],
        race: RaceFacts | None = None,
        budget: BudgetFacts | None = None,
        *,
        with_baseline: bool = True,
    ) -> Ranking:
        """The ranking of what became of the sources, be it all or what there is so far."""
        baseline = self.baseline if with_baseline else []
        scores = self.run.scores
        weights = {each.outcome.model: each.outcome.weights_sha256 for each in sources}
        rows = [*baseline, *(row for source in sources for row in source.rows)]
        known = Knowledge(self.lines, self.target.fingerprint, self.target.modality, weights)
        deciders, rows = _decided(self.deciding, rows, known)
        deciding = deciders[0]
        ordered = ranked(rows, deciding)
        saw_target = {source.outcome.model for source in sources if source.outcome.saw_target}
        return Ranking(
            rows=ordered,
            target=self.target,
            score=deciding.name,
            key=deciding.key,
            labels={each.key: each.label for each in (*deciders, *scores)},
            higher_is_better=deciding.higher_is_better,
            verdict=verdict(ordered, deciding, saw_target),
            provenance=replace(self.provenance, weights=weights),
            class_key=scores[0].key,
            guidance=guidance(deciding.key, ordered, self.target),
            race=race,
            budget=budget,
            stages=sum((source.outcome.stages for source in sources), Stages()),
        )


def _decided(
    deciding: Score | Consensus, rows: list[RankRow], known: Knowledge
) -> tuple[tuple[Score | Consensus, ...], list[RankRow]]:
    """What decides, and perhaps the consensus that has a part in it; and the rows with both."""
    if not isinstance(deciding, Consensus):
        return (deciding,), rows
    rows = with_consensus(deciding, rows)
    is_published = any(row.facts.accuracy is not None for row in rows)
    if not deciding.takes_known or not (known.lines or is_published):
        return (deciding,), rows
    informed, rows = inform(deciding, rows, known)
    return (informed, deciding), rows


def with_consensus(consensus: Consensus, rows: Sequence[RankRow]) -> list[RankRow]:
    """The rows with their consensus, where all parts have a value.

    Parameters
    ----------
    consensus : Consensus
    rows : sequence of RankRow
        Of all sources, and perhaps the baseline, which has no vote. Cuts of a source
        that give the same encoding have one vote together, and the same consensus.

    Returns
    -------
    list of RankRow
        Without the interval of the first part, in whose units a consensus is not.
    """
    judged = [
        row
        for row in rows
        if row.status != "sampled" and all(part.key in row.scores for part in consensus.parts)
    ]
    sources = _counted(judged)
    values: dict[int, float] = {}
    if sources:
        signs = np.array([1.0 if part.higher_is_better else -1.0 for part in consensus.parts])
        table = signs * _table(sources, consensus.parts)
        for row, mine in zip(judged, signs * _table(judged, consensus.parts), strict=True):
            values[id(row)] = share_beaten(table, mine)
    return [_judged(row, consensus.key, values.get(id(row))) for row in rows]


def _counted(rows: Iterable[RankRow]) -> list[RankRow]:
    """The rows of sources, one for each encoding."""
    return distinct([row for row in rows if row.status == "ok"])


def share_beaten(table: Array, mine: Array) -> float:
    """Share of a table's values that ``mine`` beats, column by column; an equal counts half.

    Halves are added up before one division, so that rows that beat as many have the same
    share to the last bit.

    Examples
    --------
    >>> share_beaten(np.array([[1.0, 5.0], [2.0, 5.0]]), np.array([2.0, 9.0]))
    0.875
    """
    return float(((table < mine) + (table == mine) / 2).sum() / table.size)


def _judged(row: RankRow, key: str, value: float | None) -> RankRow:
    if value is None:
        return row
    return replace(row, score=value, half_width=0.0, scores={key: value, **row.scores})


def _table(rows: Sequence[RankRow], parts: Sequence[Score]) -> Array:
    return np.array([[row.scores[part.key] for part in parts] for row in rows])


def ranked(rows: Iterable[RankRow], score: Score | Consensus) -> tuple[RankRow, ...]:
    """Put rows in order and number the sources.

    Best score first. Equal scores share the smaller rank, as in sport (1, 1, 3),
    and the encoding that keeps fewer parameters comes first among them, because
    it costs less to run. The baseline stands where its score puts it, before
    sources that only equal it. What left a race stands where its estimate puts it, but
    never before the best of those run on all rows. What has no finite score comes last, in
    the order of the zoo. The first source and all whose intervals overlap with its own are
    marked as tied, unless these are of what is expected before training.

    Examples
    --------
    >>> from zoorank.scores import find_score
    >>> rows = [RankRow(None, "a", "fc", 0.1), RankRow(None, "b", "fc", 0.3)]
    >>> [(row.rank, row.model) for row in ranked(rows, find_score())]
    [(1, 'b'), (2, 'a')]
    >>> rows = [RankRow(None, "a", "fc", 0.3), RankRow(None, "b", "fc", 0.2, half_width=0.15)]
    >>> [row.tied for row in ranked(rows, find_score())]
    [True, True]
    """
    rows = tuple(rows)
    sign = -1.0 if score.higher_is_better else 1.0
    exact = (sign * row.score for row in rows if row.score is not None and _is_whole(row))
    winner = min(exact, default=-math.inf)

    def place(row: RankRow) -> tuple[bool, float, bool, float, bool, float]:
        if row.score is None:
            return (True, 0.0, False, 0.0, False, 0.0)
        kept = math.inf if row.parameters_kept is None else row.parameters_kept
        value = sign * row.score
        left = row.left_in_round is not None
        shown = max(value, winner) if left else value
        return (False, shown, left, value if left else 0.0, row.status != "baseline", kept)

    numbered: list[RankRow] = []
    sources = 0
    last: RankRow | None = None
    for row in sorted(rows, key=place):
        if row.status == "ok" and row.score is not None:
            sources += 1
            tied = last is not None and last.score == row.score
            last = replace(row, rank=last.rank if tied and last else sources)
            numbered.append(last)
        else:
            numbered.append(row)
    return _with_ties(numbered, score)


def _with_ties(rows: Sequence[RankRow], score: Score | Consensus) -> tuple[RankRow, ...]:
    best = next((row for row in rows if row.rank is not None), None)
    # What training may still show is much, so intervals of what is expected would tie all.
    if best is None or best.merit is not None:
        return tuple(rows)
    sign = 1.0 if score.higher_is_better else -1.0

    def overlaps(row: RankRow) -> bool:
        if row.rank is None or row.score is None or best.score is None:
            return False
        width = row.half_width + best.half_width
        return width > 0 and sign * (best.score - row.score) <= width

    tied = [row is not best and overlaps(row) for row in rows]
    return tuple(
        replace(row, tied=True) if mark or (row is best and any(tied)) else row
        for row, mark in zip(rows, tied, strict=True)
    )


def verdict(rows: Iterable[RankRow], score: Score | Consensus, own: Collection[str] = ()) -> str:
    """Say in a sentence or three whether the zoo helps, given rows in ranked order.

    Parameters
    ----------
    rows : iterable of RankRow
    score : Score or Consensus
        That decides.
    own : collection of str
        Sources that were trained on the target itself.
    """
    rows = tuple(rows)
    sources = [row for row in rows if row.status == "ok"]
    raw = next((row.score for row in rows if row.status == "baseline"), None)
    if not sources:
        if any(row.status == "filtered" for row in rows):
            return "No source is left by the filters; the notes give the reasons."
        if any(row.status == "sampled" for row in rows):
            return "No source was scored on all rows; on a sample alone none is ranked."
        return "No source could be scored; the notes give the reasons."
    return " ".join(filter(None, (_of_the_best(sources, raw, score), _of_own(sources, own))))


def _of_the_best(sources: Sequence[RankRow], raw: float | None, score: Score | Consensus) -> str:
    best = sources[0]
    place = _place(best)
    sources = _counted(sources)
    equals = [
        row for row in sources if row.score == best.score and not _have_one_encoding(row, best)
    ]
    if equals:
        others = f"{len(equals)} others that are as good"
        place += f" or {_place(equals[0]) if len(equals) == 1 else others}"
    if raw is None:
        return f"Try {place} first: {score.label} {best.score:.4f}."
    behind = [row for row in sources if not _better(row.score, raw, score)]
    if not _better(best.score, raw, score):
        return (
            "On this target the raw input is already at least as good as "
            f"any network: {score.label} {raw:.4f} against {best.score:.4f} for the best, "
            f"{place}. By this score the zoo does not help."
        )
    note = f", no worse than {len(behind)} of {len(sources)} encodings" if behind else ""
    return (
        f"Try {place} first: {score.label} {best.score:.4f}. "
        f"The raw input without a network has {raw:.4f}{note}."
    )


def _have_one_encoding(row: RankRow, other: RankRow) -> bool:
    """Whether two rows are of one encoding."""
    return row.model == other.model and (row.same_as or row.cut) == (other.same_as or other.cut)


def _of_own(sources: Sequence[RankRow], own: Collection[str]) -> str:
    """That the first pick has seen the answers, if so, and which is the first that has not."""
    best = sources[0]
    if best.model not in own:
        return ""
    other = next((row for row in sources if row.model not in own), None)
    first = "" if other is None else f"; the first that was not is {_place(other)}"
    return (
        f"{best.model} was trained on this target itself, so its score says nothing about "
        f"transfer{first}."
    )


def _place(row: RankRow) -> str:
    return f"{row.model} cut at {row.cut}"


def _is_whole(row: RankRow) -> bool:
    return row.status == "ok" and row.left_in_round is None


def _better(value: float | None, other: float, score: Score | Consensus) -> bool:
    if value is None:
        return False
    return value > other if score.higher_is_better else value < other
