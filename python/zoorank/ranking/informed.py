"""Consensus, published accuracy and the record of earlier targets, in one expectation.

Where nothing is known beside the encodings, the consensus decides alone. docs/informed.md has
the rule and what it was chosen by; belief.py has its mathematics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from zoorank.ranking.belief import (
    Belief,
    Effects,
    chances,
    from_record,
    groups,
    place_of,
    spread_of,
)
from zoorank.ranking.consensus import INFORMED, Consensus
from zoorank.ranking.guidance import evidence
from zoorank.ranking.record import SourceCut, Trained
from zoorank.ranking.rows import CutFacts, Merit, RankRow, distinct
from zoorank.scores.base import Array
from zoorank.scores.computing import one_blas_thread

FEWEST = 3  # sources with a published accuracy, below which it has no vote
ROUNDING = 1e-9
DIGITS = 12  # of an accuracy; what is equal comes out of a solved system a little apart


@dataclass(frozen=True)
class Knowledge:
    """What is known of sources before a target is encoded.

    Attributes
    ----------
    lines : tuple of Trained
        The record.
    fingerprint, modality : str
        Of the target; lines on other modalities do not count.
    weights : mapping of str to (str or None)
        sha256 of the weights of each source; a line on other weights is on another source.
    """

    lines: tuple[Trained, ...] = ()
    fingerprint: str = ""
    modality: str = ""
    weights: Mapping[str, str | None] = field(default_factory=dict)

    @cached_property
    def of_this_target(self) -> list[Trained]:
        """Lines on the target itself."""
        return [line for line in self._lines() if self._is_own(line)]

    @cached_property
    def of_others(self) -> list[Trained]:
        """Lines on other targets."""
        return [line for line in self._lines() if not self._is_own(line)]

    def _lines(self) -> Iterator[Trained]:
        for line in self.lines:
            if self.modality in ("", line.modality or self.modality):
                mine = self.weights.get(line.source)
                is_other = mine is not None and line.weights not in ("", mine)
                name = f"{line.source}@{line.weights}" if is_other else line.source
                yield replace(line, source=name)

    def _is_own(self, line: Trained) -> bool:
        return bool(line.fingerprint) and line.fingerprint == self.fingerprint


@dataclass(frozen=True)
class Expectation:
    """What is expected of the candidates of a ranking.

    Attributes
    ----------
    places : tuple of (str, str)
        Source and cut of each encoding that is not another's.
    belief : Belief
        In units of the spread, above the mean of all.
    consensus, published, record : ndarray of shape (n,)
        The parts of its mean.
    spread : float
        Standard deviation of the accuracies of a target's candidates.
    """

    places: tuple[SourceCut, ...]
    belief: Belief
    consensus: Array
    published: Array
    record: Array
    spread: float

    @property
    def is_informed(self) -> bool:
        """Whether anything is known beside the consensus."""
        return any(np.ptp(part) > ROUNDING for part in (self.published, self.record))

    def merit(self, place: int, knowledge: Knowledge) -> Merit:
        """What is expected of one candidate, as accuracy, and by what."""
        source = self.places[place][0]
        others = {line.fingerprint or line.target for line in knowledge.of_others
                  if line.source == source}  # fmt: skip
        return Merit(
            consensus=self._accuracy(self.consensus[place]),
            published=self._accuracy(self.published[place]),
            record=self._accuracy(self.record[place]),
            sd=self.spread * max(float(self.belief.covariance[place, place]), 0.0) ** 0.5,
            targets=len(others),
            on_this=any(line.source == source for line in knowledge.of_this_target),
        )

    def _accuracy(self, value: float) -> float:
        return round(float(self.spread * value), DIGITS) if abs(value) > ROUNDING else 0.0


def effects() -> Effects:
    """Those that the study of series measured, by which targets of every kind are judged."""
    return Effects(**evidence().effects)


def expect(
    places: Sequence[SourceCut],
    votes: Array,
    published: Mapping[str, float],
    knowledge: Knowledge,
    measured: Effects | None = None,
) -> Expectation:
    """What is expected of candidates on a target.

    Parameters
    ----------
    places : sequence of (str, str)
        Source and cut of each.
    votes : ndarray of shape (n,)
        Of the consensus: the share of the others that each beats, less one half.
    published : mapping of str to float
        The same of published accuracy, by source.
    knowledge : Knowledge
    measured : Effects, optional
        By default those of the study of series.
    """
    measured = measured or effects()
    others, own = knowledge.of_others, knowledge.of_this_target
    spread = spread_of([*others, *own], measured.spread)
    with one_blas_thread():
        recorded = from_record(places, others, measured, spread)
    publication = np.array([published.get(name, 0.0) for name, _ in places])
    # Two predictors that are as good as each other and correlated, in one regression.
    # Who has but one of them has all of its weight.
    has_both = np.array([name in published for name, _ in places])
    vote = measured.vote / (1 + has_both * agreement(votes[has_both], publication[has_both]))
    by_vote, by_publication = vote * votes, vote * publication
    belief = Belief(recorded.mean + by_vote + by_publication, recorded.covariance)
    there = {place: at for at, place in enumerate(places)}
    for group in groups(line for line in own if place_of(line) in there):
        at = [there[place_of(line)] for line in group]
        found = np.array([line.accuracy for line in group]) / spread
        belief = belief.after(at, found, chances(group, spread))
    belief = belief.beside_the_mean()
    by_vote, by_publication = by_vote - by_vote.mean(), by_publication - by_publication.mean()
    return Expectation(
        tuple(places),
        belief,
        by_vote,
        by_publication,
        belief.mean - by_vote - by_publication,
        spread,
    )


def agreement(votes: Array, others: Array) -> float:
    """How far two votes say the same, by which they say less together than both apart.

    Returns
    -------
    float
        Their correlation, 0 to 1; 0 where one is the same for all.

    Examples
    --------
    >>> round(agreement(np.array([-0.5, 0, 0.5]), np.array([-0.5, 0, 0.5])), 6)
    1.0
    >>> agreement(np.array([-0.5, 0, 0.5]), np.zeros(3))
    0.0
    """
    if len(votes) < 2 or min(np.ptp(votes), np.ptp(others)) <= ROUNDING:
        return 0.0
    return max(float(np.corrcoef(votes, others)[0, 1]), 0.0)


def inform(
    consensus: Consensus, rows: Sequence[RankRow], knowledge: Knowledge
) -> tuple[Consensus, list[RankRow]]:
    """Let what else is known count beside the consensus; nothing changes where nothing is.

    Parameters
    ----------
    consensus : Consensus
    rows : sequence of RankRow
        With their consensus.
    knowledge : Knowledge

    Returns
    -------
    Consensus
        What decides: the one given, or one by the name of ``"informed"``.
    list of RankRow
        With what is expected of each and its reasons, where that decides.
    """
    votes = published_votes({row.model: row.facts for row in rows if row.status == "ok"})
    if not knowledge.lines and np.ptp([*votes.values(), 0.0]) <= ROUNDING:
        return consensus, list(rows)  # without a matrix of all candidates
    expected = expectation(consensus, rows, knowledge)
    if expected is None or not expected.is_informed:
        return consensus, list(rows)
    names = _representatives(rows)
    there = {place: at for at, place in enumerate(expected.places)}
    informed = []
    for row in rows:
        if consensus.key not in row.scores:
            informed.append(row)
        elif row.status == "baseline":
            informed.append(_decided(row, _of_the_baseline(row, consensus, expected)))
        else:
            merit = expected.merit(there[names[row.model, row.cut or ""]], knowledge)
            informed.append(_decided(row, merit))
    return replace(consensus, name=INFORMED, key=INFORMED, label=INFORMED), informed


def expectation(
    consensus: Consensus, rows: Sequence[RankRow], knowledge: Knowledge
) -> Expectation | None:
    """What is expected of the sources among rows; None where none has a consensus."""
    judged = [row for row in rows if row.status == "ok" and consensus.key in row.scores]
    voting = distinct(judged)
    if not voting:
        return None
    names = _representatives(rows)

    def renamed(line: Trained) -> Trained:
        """With the cut that stands for its encoding in this ranking."""
        return replace(line, cut=names.get(place_of(line), place_of(line))[1])

    # Of two cuts with one encoding the last line counts, as it does of one cut.
    lines = {
        (line.fingerprint or line.target, line.trained, place_of(line)): line
        for line in map(renamed, knowledge.lines)
    }
    known = replace(knowledge, lines=tuple(lines.values()))
    return expect(
        [(row.model, row.cut or "") for row in voting],
        np.array([_vote(row.scores[consensus.key], len(voting)) for row in voting]),
        published_votes({row.model: row.facts for row in voting}),
        known,
    )


def published_votes(facts: Mapping[str, CutFacts]) -> dict[str, float]:
    """The share of the others that each source beats by published accuracy, less one half.

    Compared are those with an accuracy on the benchmark that most have one on; at least three
    and half of all. The others have no vote, which is one of 0. Equal ones share it.

    Parameters
    ----------
    facts : mapping of str to CutFacts
        By source.

    Examples
    --------
    >>> facts = {name: CutFacts(accuracy=a, benchmark="ImageNet-1k top-1")
    ...          for name, a in (("a", 0.7), ("b", 0.8), ("c", 0.76))}
    >>> published_votes({**facts, "unknown": CutFacts()})
    {'a': -0.5, 'b': 0.5, 'c': 0.0}
    """
    benchmarks = Counter(each.benchmark for each in facts.values() if each.accuracy is not None)
    if not benchmarks:
        return {}
    benchmark, count = benchmarks.most_common(1)[0]
    if count < FEWEST or 2 * count < len(facts):
        return {}
    known = {
        name: each.accuracy
        for name, each in facts.items()
        if each.accuracy is not None and each.benchmark == benchmark
    }
    values = np.array(list(known.values()))
    beaten = (values[:, None] > values).sum(axis=1) + (values[:, None] == values).sum(axis=1) / 2
    shares = (beaten - 0.5) / (len(values) - 1) - 0.5
    return dict(zip(known, shares.tolist(), strict=True))


def _vote(share: float, n: int) -> float:
    """From a share in which an encoding half beats itself to that of the others, less one half."""
    return (share - 0.5) * n / max(n - 1, 1)


def _representatives(rows: Sequence[RankRow]) -> dict[SourceCut, SourceCut]:
    """The cut that stands for each, which is another where the encoding is the same."""
    kept = {(row.model, row.cut or "") for row in distinct([r for r in rows if r.status == "ok"])}
    found = {}
    for row in rows:
        if row.status == "ok":
            mine = (row.model, row.cut or "")
            found[mine] = mine if mine in kept else (row.model, row.same_as or "")
    return found


def _of_the_baseline(row: RankRow, consensus: Consensus, expected: Expectation) -> Merit:
    """The raw input: its consensus, and no more known than of a source that nobody tried."""
    vote = _vote(row.scores[consensus.key], len(expected.places))
    return Merit(consensus=expected.spread * effects().vote * vote, sd=expected.spread)


def _decided(row: RankRow, merit: Merit) -> RankRow:
    return replace(
        row,
        score=merit.expected,
        half_width=merit.half_width,
        scores={INFORMED: merit.expected, **row.scores},
        merit=merit,
        note="; ".join(filter(None, [row.note, merit.reasons])),
    )
