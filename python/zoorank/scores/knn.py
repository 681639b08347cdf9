"""What the nearest neighbours say, leaving each sample out (Cover and Hart, 1967).

"Nearest neighbor pattern classification". A sample counts as right when the nearest other
sample is of its class, in features scaled to equal variance. A number is predicted as the mean
of the five nearest: of a single one, its own error would count as much as that of the encoding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zoorank.scores.base import NUMBERS, Array, Score, ScoreValue, as_floats
from zoorank.scores.neighbours import nearest
from zoorank.scores.shared import Shared, alone

NEIGHBOURS = 5


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
        samples the first counts.

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
    codes = shared.codes
    neighbours = nearest(shared.rows, 1, shared.group_codes, shared.team)
    right = codes[neighbours[:, 0]] == codes
    per_class = np.bincount(codes, weights=right) / np.bincount(codes)
    return ScoreValue(float(right.mean()), per_class=as_floats(per_class))


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
        R², at most 1; below 0 where the mean of all numbers predicts better.

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
    return alone(_nearest_neighbours_r2, X, numbers, task="regression", groups=groups)


def _nearest_neighbours_r2(shared: Shared) -> ScoreValue:
    y = shared.targets(slice(None))[:, 0]
    neighbours = nearest(shared.rows, NEIGHBOURS, shared.group_codes, shared.team)
    there = neighbours >= 0
    predicted = np.where(there, y[neighbours], 0.0).sum(axis=1) / there.sum(axis=1)
    return ScoreValue(1.0 - float(np.square(y - predicted).mean()))  # y has the variance 1


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
