"""Accuracy of the nearest neighbour, leaving each sample out (Cover and Hart, 1967).

"Nearest neighbor pattern classification". A sample counts as right when the nearest
other sample is of its class, in features scaled to equal variance.
"""

from __future__ import annotations

import numpy as np

from zoorank.scores.base import Array, Score, ScoreValue, as_floats
from zoorank.scores.neighbours import nearest
from zoorank.scores.shared import Shared, alone


def nearest_neighbour(X: Array, labels: Array) -> ScoreValue:
    """Leave-one-out accuracy of the nearest neighbour, exactly.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The encoding; each feature is standardised, a constant one does not count.
    labels : ndarray of shape (n_samples,)

    Returns
    -------
    ScoreValue
        Between 0 and 1, with the accuracy within each class. Of several nearest
        samples the first counts.

    Raises
    ------
    ValueError
        If X holds NaN or infinity, or there are fewer than 2 classes.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 1.0], [0.0, 2.0], [3.0, 0.0], [4.0, 0.0]])
    >>> nearest_neighbour(X, np.array(["a", "a", "b", "b"])).value
    1.0
    """
    return alone(_nearest_neighbour, X, labels)


def _nearest_neighbour(shared: Shared) -> ScoreValue:
    codes = shared.codes
    neighbours = nearest(shared.rows, 1, shared.group_codes, shared.team)
    right = codes[neighbours[:, 0]] == codes
    per_class = np.bincount(codes, weights=right) / np.bincount(codes)
    return ScoreValue(float(right.mean()), per_class=as_floats(per_class))


SCORES = (
    Score(
        "knn",
        None,
        "1-NN accuracy",
        nearest_neighbour,
        of_shared=_nearest_neighbour,
        cost="O(n²d)",
    ),
)
