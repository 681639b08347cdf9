"""PARC, pairwise annotation representation comparison (Bolya, Mittapalli and Hoffman, 2021).

"Scalable Diverse Model Selection for Accessible Transfer Learning" (NeurIPS): Spearman's
correlation, over all pairs of samples, between the distance of their encodings and the
distance of their one-hot labels, both one minus Pearson's correlation.
"""

from __future__ import annotations

import numpy as np

from zoorank.scores.base import Array, Score, ScoreValue, checked

MOST_SAMPLES = 5000


def parc(X: Array, labels: Array) -> ScoreValue:
    """Whether samples of one class are alike and those of two are not; needs SciPy.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        A row whose features are all equal correlates with no other.
    labels : ndarray of shape (n_samples,)

    Returns
    -------
    ScoreValue
        Between −100 and 100. Above 5000 samples, of as many drawn with a fixed
        seed: the pairs of more would not fit into memory.

    Raises
    ------
    ValueError
        If X holds NaN or infinity, there are fewer than 2 classes, or all pairs
        are equally far apart.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 1.0, 2.0], [0.0, 2.0, 3.0], [5.0, 1.0, 0.0], [9.0, 2.0, 0.0]])
    >>> parc(X, np.array([0, 0, 1, 1])).value > parc(X, np.array([0, 1, 0, 1])).value
    True
    """
    from scipy.stats import rankdata

    F, codes, _ = checked(X, labels)
    if len(F) > MOST_SAMPLES:
        drawn = np.random.default_rng(0).choice(len(F), MOST_SAMPLES, replace=False)
        F, codes = F[drawn], codes[drawn]
    rows = F - F.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    flat = length <= 1e-12 * np.abs(F).max(axis=1, keepdims=True, initial=0)
    rows = np.where(flat, 0, rows / np.where(flat, 1, length))
    pairs = np.triu_indices(len(F), 1)
    # Labels have two distances only, so the order of the pairs by label is a split in two.
    differs = (codes[:, None] != codes)[pairs]
    ranks = rankdata((1 - rows @ rows.T)[pairs])
    if differs.all() or not differs.any() or ranks.min() == ranks.max():
        raise ValueError("all pairs of samples are equally far apart; PARC needs two distances")
    return ScoreValue(100 * float(np.corrcoef(ranks, differs)[0, 1]))


SCORES = (Score("parc", None, "PARC", parc, cost="O(n²(d + log n))"),)
