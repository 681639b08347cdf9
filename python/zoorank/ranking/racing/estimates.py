"""What a sample says of the candidates that left a race, with intervals that hold.

Who leaves is decided in ``elimination.py``. Here the estimates of those that left are put right
by what the sources run on all rows were off by, and by the biases that are left after that: the
two have their own small ones, and those of all candidates that left differ from those of the
few that tell of them in the same direction, so that without a correction all would be off alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zoorank.ranking.racing.elimination import RoundEstimates
from zoorank.ranking.rows import RankRow
from zoorank.scores.base import Array, SampleScore

# What the shared bias is known to, in parts of itself.
KNOWN_TO = 0.5


@dataclass(frozen=True, eq=False)
class SampledCandidate:
    """One candidate on the sample of one round.

    Attributes
    ----------
    row : RankRow
    influence : ndarray of shape (n_rows,)
        Of each row drawn on the score that decides.
    biases : mapping
        Of each score, by key.
    class_biases : ndarray of shape (n_classes,)
        Of the score that decides.
    """

    row: RankRow
    influence: Array
    biases: Mapping[str, float]
    class_biases: Array

    @classmethod
    def of(
        cls, row: RankRow, deciding: SampleScore, scores: Mapping[str, SampleScore]
    ) -> SampledCandidate:
        """Keep what later rounds need."""
        classes = deciding.class_biases or (deciding.bias,) * len(deciding.per_class)
        biases = {key: each.bias for key, each in scores.items()}
        return cls(row, deciding.influence.astype(np.float32), biases, np.array(classes))


@dataclass(frozen=True)
class SharedBias:
    """What the estimates of several candidates are off by, as far as that can be told.

    The bias of a single candidate is estimated with much noise, which goes with the error of
    its score: taking it off would add as much as it takes. What the estimates of all have in
    common is known better and is taken off; how they differ widens the intervals.

    Attributes
    ----------
    mean : float
        To be taken off every estimate.
    square : float
        Mean square of what may be left then.
    """

    mean: float
    square: float

    @classmethod
    def of(cls, gaps: Array) -> SharedBias:
        """Sum up the estimated biases of some candidates.

        Examples
        --------
        >>> SharedBias.of(np.array([-0.02, -0.02, -0.02, -0.02]))
        SharedBias(mean=-0.02, square=0.0001)
        """
        mean, count = float(gaps.mean()), len(gaps)
        if count == 1:
            return cls(mean, mean**2)
        spread = float(gaps.var(ddof=1)) * (1 + 1 / count)
        return cls(mean, spread + (KNOWN_TO * mean) ** 2)


def estimated_rows(
    left: Sequence[SampledCandidate],
    known: Sequence[tuple[SampledCandidate, RankRow]],
    estimates: RoundEstimates,
    key: str,
    confidence: float,
) -> list[RankRow]:
    """Rows of the candidates that left in one round.

    Parameters
    ----------
    left : sequence of SampledCandidate
    known : sequence of tuple of SampledCandidate and RankRow
        Candidates on the same sample, and what they are on all rows.
    estimates : RoundEstimates
        Of ``left`` and then ``known``.
    key : str
        Of the score that decides.
    confidence : float
        Of the intervals.

    Returns
    -------
    list of RankRow
        In the order of ``left``. All scores and classes are corrected by the same weights, so
        that they still go together.
    """
    count = len(left)
    weights = estimates.weights[:count, count:]
    keys = tuple(left[0].biases)
    said = _values([each.row for each in left], keys)
    then = _values([each.row for each, _ in known], keys)
    now = _values([row for _, row in known], keys)
    gaps = _biases(left, keys) - weights @ _biases([each for each, _ in known], keys)
    corrected = said + weights @ (now - then) - gaps.mean(axis=0)
    shared = SharedBias.of(gaps[:, keys.index(key)])
    widths = estimates.half_widths(confidence, shared.square)[:count]
    rows = []
    for each, values, width in zip(left, corrected.tolist(), widths, strict=True):
        scores = dict(zip(keys, values, strict=False))
        row = replace(each.row, score=scores[key], scores=scores)
        rows.append(replace(row, per_class=tuple(values[len(keys) :]), half_width=float(width)))
    return rows


def selective_confidence(confidence: float, selected: int, candidates: int) -> float:
    """How sure each interval must be, for the part of those that were selected to hold.

    Who leaves is who looked bad. Where all are alike that is nobody but those that the sample
    wronged, and intervals that hold for a candidate named beforehand fail for them. Those of R
    selected out of m hold, on average over the selected, at 1 - (1 - confidence) R / m
    (Benjamini and Yekutieli, "False discovery rate-adjusted multiple confidence intervals for
    selected parameters", Journal of the American Statistical Association 100, 2005).

    Examples
    --------
    >>> selective_confidence(0.95, 100, 100), round(selective_confidence(0.95, 10, 100), 4)
    (0.95, 0.995)
    """
    return 1 - (1 - confidence) * selected / candidates if selected < candidates else confidence


def _values(rows: Sequence[RankRow], keys: Sequence[str]) -> Array:
    """A row for each candidate: its scores and then its classes."""
    return np.array([[*(row.scores[key] for key in keys), *row.per_class] for row in rows])


def _biases(entries: Sequence[SampledCandidate], keys: Sequence[str]) -> Array:
    """Those of :func:`_values`."""
    return np.array([[*(each.biases[key] for key in keys), *each.class_biases] for each in entries])
