"""Accuracy of the nearest neighbour, leaving each sample out (Cover and Hart, 1967).

"Nearest neighbor pattern classification". A sample counts as right when the nearest
other sample is of its class, in features scaled to equal variance.
"""

from __future__ import annotations

import numpy as np

from zoorank import engine
from zoorank.scores.base import Array, Score, ScoreValue, as_floats, checked, standardised

BLOCK_BYTES = 64 * 2**20


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
    F, codes, n_classes = checked(X, labels)
    Z = standardised(F, axis=0)
    right = np.empty(len(Z), dtype=bool)
    rows = max(1, BLOCK_BYTES // (8 * len(Z)))
    for start in range(0, len(Z), rows):
        block = slice(start, min(start + rows, len(Z)))
        distances = engine.pairwise_distances(Z[block], Z, metric="sqeuclidean")
        here = np.arange(block.start, block.stop)
        distances[here - start, here] = np.inf
        right[block] = codes[distances.argmin(axis=1)] == codes[block]
    per_class = np.bincount(codes, weights=right, minlength=n_classes) / np.bincount(codes)
    return ScoreValue(float(right.mean()), per_class=as_floats(per_class))


SCORES = (Score("knn", None, "1-NN accuracy", nearest_neighbour, cost="O(n²d)"),)
