"""What the nearest neighbours say, leaving each sample out (Cover and Hart, 1967).

"Nearest neighbor pattern classification". A sample counts as right when the nearest other
sample is of its class, in features scaled to equal variance. A number is predicted as the mean
of the five nearest: of a single one, its own error would count as much as that of the encoding.

Products in float32 find the few that may be nearest, by a bound on their rounding; those few
are told apart by differences in float64. Half the time of products in float64, and the same
neighbours.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from zoorank import engine
from zoorank.scores.base import NUMBERS, Array, Score, ScoreValue
from zoorank.scores.computing import Team, alone
from zoorank.scores.shared import CentredRows, Shared

NEIGHBOURS = 5
# Rows whose neighbours, among all rows, are looked for: of more, this many are drawn.
MOST_JUDGED = 10_000
DEVIATIONS = 2.5758  # 99 of 100 intervals of a normal variable
WHOLE = 2**25  # distances: so many of all rows are one symmetric product, half the work
BLOCK = 2**25  # of more, so many at a time
PAIRS = 2**21  # features of pairs at a time
DOUBTFUL = 16  # candidates a row and neighbour; where there are more, products in float64 decide


def nearest_neighbour(X: Array, labels: Array, *, groups: Any = None) -> ScoreValue:
    """Leave-one-out accuracy of the nearest neighbour.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The encoding; each feature is standardised, a constant one does not count.
    labels : ndarray of shape (n_samples,)
    groups : array_like of shape (n_samples,), optional
        A sample of the same group is no neighbour.

    Returns
    -------
    ScoreValue
        Between 0 and 1, with the accuracy within each class. Of several nearest
        samples the first counts. Of more than 10 000 samples so many are judged, the same
        ones for every encoding and of each class its share, and the half width of the
        interval (99 %) is more than 0.

    Raises
    ------
    ValueError
        If X holds NaN or infinity, or there are fewer than 2 classes or 2 groups.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 1.0], [0.0, 2.0], [3.0, 0.0], [4.0, 0.0]])
    >>> nearest_neighbour(X, np.array(["a", "a", "b", "b"])).value
    1.0
    >>> patients = [1, 1, 2, 2]
    >>> nearest_neighbour(X, np.array(["a", "a", "b", "b"]), groups=patients).value
    0.0
    """
    return alone(_nearest_neighbour, X, labels, groups=groups)


def _nearest_neighbour(shared: Shared) -> ScoreValue:
    codes, sizes = shared.codes, shared.target_lengths
    judged = _judged(codes)
    neighbours = nearest(shared.rows, 1, shared.group_codes, shared.team, judged)
    right = codes[neighbours[:, 0]] == codes[judged]
    counts = np.bincount(codes[judged])
    per_class = np.bincount(codes[judged], weights=right) / counts
    shares = sizes / sizes.sum()
    left_out = 1 - counts / sizes
    variances = per_class * (1 - per_class) / np.maximum(counts - 1, 1) * left_out
    return ScoreValue(
        float(right.mean() if len(judged) == len(codes) else shares @ per_class),
        half_width=DEVIATIONS * math.sqrt(shares**2 @ variances),
        per_class=tuple(per_class.tolist()),
    )


def _judged(codes: Array) -> Array:
    """Rows to judge: all of them, or of each class its share of so many, but two at least."""
    if len(codes) <= MOST_JUDGED:
        return np.arange(len(codes))
    generator = np.random.default_rng(0)
    sizes = np.bincount(codes)
    wanted = np.clip(np.ceil(MOST_JUDGED / len(codes) * sizes), 2, sizes).astype(int)
    order = generator.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    place = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    judged: Array = np.sort(order[place < np.repeat(wanted, sizes)])
    return judged


def nearest_neighbours_r2(X: Array, numbers: Array, *, groups: Any = None) -> ScoreValue:
    """Share of the numbers' variance that the mean of each sample's five nearest explains.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        As for :func:`nearest_neighbour`.
    numbers : ndarray of shape (n_samples,)
        To be predicted.
    groups : array_like of shape (n_samples,), optional
        A sample of the same group is no neighbour. Where fewer than five are left, those count.

    Returns
    -------
    ScoreValue
        R², at most 1; below 0 where the mean of all numbers predicts better. Of more than
        10 000 samples so many are judged, as for :func:`nearest_neighbour`.

    Raises
    ------
    ValueError
        If X or the numbers hold NaN or infinity, all numbers are equal, or there are fewer than
        2 groups.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.arange(40.0)[:, None]
    >>> round(nearest_neighbours_r2(X, np.sqrt(np.arange(40))).value, 2)
    0.96
    """
    return alone(_nearest_neighbours_r2, X, numbers, task="numbers", groups=groups)


def _nearest_neighbours_r2(shared: Shared) -> ScoreValue:
    y = shared.targets(slice(None))[:, 0]
    judged = _judged(np.zeros(len(y), dtype=np.int64))
    neighbours = nearest(shared.rows, NEIGHBOURS, shared.group_codes, shared.team, judged)
    there = neighbours >= 0
    predicted = np.where(there, y[neighbours], 0.0).sum(axis=1) / there.sum(axis=1)
    errors = np.square(y[judged] - predicted)  # y has the variance 1
    left_out = 1 - len(judged) / len(y)
    half_width = DEVIATIONS * float(errors.std()) * math.sqrt(left_out / len(judged))
    return ScoreValue(1.0 - float(errors.mean()), half_width)


def nearest(
    rows: CentredRows, k: int, groups: Array | None, team: Team, asked: Array | None = None
) -> Array:
    """Find the k nearest other rows of each row, or of some.

    Parameters
    ----------
    rows : CentredRows
        Their features are scaled to variance 1; a constant one does not count.
    k : int
    groups : ndarray of shape (n_samples,) or None
        No row of the same group is a neighbour.
    team : Team
    asked : ndarray of int64, optional
        Numbers of the rows whose neighbours are wanted; by default of all.

    Returns
    -------
    ndarray of int64 of shape (n_asked, k)
        Of several rows at one distance the first ones count. -1 where there are fewer than k
        rows of other groups. In no order of distance.
    """
    n = len(rows.X)
    asked = np.arange(n) if asked is None else asked
    search = _Search(rows, k, groups)
    if n**2 <= WHOLE:
        return search.of(asked)
    step = max(1, BLOCK // n)
    blocks = [asked[start : start + step] for start in range(0, len(asked), step)]
    return np.concatenate(team.map(search.of, blocks))


class _Search:
    def __init__(self, rows: CentredRows, k: int, groups: Array | None) -> None:
        self._rows, self._k, self._groups = rows, k, groups
        self._points, self._scales = rows.standardised()
        self._squares = np.einsum("ij,ij->i", self._points, self._points)
        # |x|² + |y|² − 2xy is off by so much of |x|² + |y|² at most, x and y rounded included,
        # unless the roundings of d products conspire.
        self._slack = np.float32((12 + 2 * np.sqrt(rows.X.shape[1])) * 2.0**-24)

    def of(self, asked: Array) -> Array:
        """The neighbours of some rows."""
        every = len(asked) == len(self._points)  # then BLAS computes one half and copies it
        if every:
            far = self._points @ self._points.T
            far *= -2
        else:
            far = (-2 * self._points[asked]) @ self._points.T
        far += (1 + self._slack) * self._squares
        self._exclude(far, asked)
        k = min(self._k, far.shape[1])
        bounds = far.min(axis=1) if k == 1 else np.partition(far, k - 1, axis=1)[:, k - 1]
        # The k nearest are no farther than that; what may be nearer is a candidate.
        bounds += 2 * self._slack * self._squares[asked]
        np.minimum(bounds, np.finfo(np.float32).max, out=bounds)
        far -= 2 * self._slack * self._squares
        places, others = np.divmod(np.flatnonzero(far <= bounds[:, None]), far.shape[1])
        if len(places) > DOUBTFUL * self._k * len(asked):
            del far
            return self._by_products(asked)
        return self._nearest(asked, places, others)

    def _nearest(self, asked: Array, places: Array, others: Array) -> Array:
        """The k nearest of the candidates: ``others`` of the rows ``asked[places]``."""
        found = np.full((len(asked), self._k), -1)
        candidates = np.bincount(places, minlength=len(asked))
        doubtful = np.repeat(candidates > self._k, candidates)
        distances = np.zeros(len(places))
        distances[doubtful] = self._distances(asked[places[doubtful]], others[doubtful])
        order = np.lexsort((others, distances, places))
        rank = np.arange(len(places)) - np.repeat(np.cumsum(candidates) - candidates, candidates)
        kept = rank < self._k
        found[places[kept], rank[kept]] = others[order][kept]
        return found

    def _distances(self, rows: Array, others: Array) -> Array:
        step = max(1, PAIRS // self._rows.X.shape[1])
        distances = np.empty(len(rows))
        for start in range(0, len(rows), step):
            pairs = slice(start, start + step)
            apart = self._rows.take(rows[pairs]) - self._rows.take(others[pairs])
            apart *= self._scales
            distances[pairs] = np.einsum("ij,ij->i", apart, apart)
        return distances

    def _by_products(self, asked: Array) -> Array:
        """The same where many rows are at about one distance, such as copies of each other."""
        found = np.full((len(asked), self._k), -1)
        step = max(1, BLOCK // (4 * len(self._every)))
        for start in range(0, len(asked), step):
            part = asked[start : start + step]
            far = engine.pairwise_distances(
                self._every[part], self._every, metric="sqeuclidean", n_threads=1
            )
            self._exclude(far, part)
            here = np.arange(len(part))
            for rank in range(self._k):
                first = far.argmin(axis=1)
                there = np.isfinite(far[here, first])
                found[start + here[there], rank] = first[there]
                far[here, first] = np.inf
        return found

    @cached_property
    def _every(self) -> Array:
        every: Array = self._rows.take(slice(None)) * self._scales
        return every

    def _exclude(self, far: Array, asked: Array) -> None:
        """Put those out of reach that are no neighbours: the row itself and its group."""
        if self._groups is None:
            far[np.arange(len(asked)), asked] = np.inf
        else:
            far[self._groups[asked, None] == self._groups] = np.inf


SCORES = (
    Score(
        "knn",
        None,
        "1-NN accuracy",
        nearest_neighbour,
        of_shared=_nearest_neighbour,
        cost="O(n²d)",
    ),
    Score(
        "knn_r2",
        None,
        f"{NEIGHBOURS}-NN R²",
        nearest_neighbours_r2,
        of_shared=_nearest_neighbours_r2,
        tasks=NUMBERS,
        cost="O(n²d)",
    ),
)
