"""What the nearest neighbours say, leaving each sample out (Cover and Hart, 1967).

"Nearest neighbor pattern classification". A sample counts as right when the nearest other
sample is of its class, in features scaled to equal variance. A number is predicted as the mean
of the five nearest: of a single one, its own error would count as much as that of the encoding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from zoorank.scores.base import NUMBERS, Array, Score, ScoreValue, as_floats
from zoorank.scores.neighbours import nearest
from zoorank.scores.shared import Shared, alone

NEIGHBOURS = 5
# Rows whose neighbours, among all rows, are looked for: of more, this many are drawn.
MOST_JUDGED = 10_000
DEVIATIONS = 2.5758  # 99 of 100 intervals of a normal variable


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
        per_class=as_floats(per_class),
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
