"""The nearest rows of each row, in features scaled to equal variance.

Products in float32 find the few that may be nearest, by a bound on their rounding; those few
are told apart by differences in float64. Half the time of products in float64, and the same
neighbours.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from zoorank import engine
from zoorank.scores.base import Array
from zoorank.scores.spectrum import CACHED_BYTES, MEAN_ROUNDING, CentredRows
from zoorank.scores.threads import Team

WHOLE = 2**25  # distances: so many of all rows are one symmetric product, half the work
BLOCK = 2**24  # of more, so many at a time
PAIRS = 2**21  # features of pairs at a time
DOUBTFUL = 16  # candidates a row and neighbour; where there are more, products in float64 decide


def scales(rows: CentredRows) -> Array:
    """What each centred feature is multiplied by to have variance 1; 0 where it is constant."""
    squares = np.zeros(rows.shape[1])
    for block in map(rows.take, rows.blocks(CACHED_BYTES)):
        squares += np.einsum("ij,ij->j", block, block)
    deviations = np.sqrt(squares / len(rows.X))
    flat = deviations <= MEAN_ROUNDING * np.abs(rows.mean)
    return np.where(flat, 0.0, 1 / np.where(flat, 1.0, deviations))


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
    step = n if n**2 <= WHOLE else max(1, BLOCK // n)
    blocks = [asked[start : start + step] for start in range(0, len(asked), step)]
    return np.concatenate(team.map(search.of, blocks))


class _Search:
    def __init__(self, rows: CentredRows, k: int, groups: Array | None) -> None:
        self._rows, self._k, self._groups = rows, k, groups
        self._scales = scales(rows)
        self._points = np.empty(rows.shape, np.float32)
        for block in rows.blocks(CACHED_BYTES):
            self._points[block] = rows.take(block) * self._scales
        self._squares = np.einsum("ij,ij->i", self._points, self._points)
        # |x|² + |y|² − 2xy is off by so much of |x|² + |y|² at most, x and y rounded included,
        # unless the roundings of d products conspire.
        self._slack = np.float32((12 + 2 * np.sqrt(rows.shape[1])) * 2.0**-24)

    def of(self, asked: Array) -> Array:
        """The neighbours of some rows."""
        every = len(asked) == len(self._points)  # then BLAS computes one half and copies it
        mine = self._points if every else self._points[asked]
        far = mine @ self._points.T
        far *= -2
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
        step = max(1, PAIRS // self._rows.shape[1])
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
