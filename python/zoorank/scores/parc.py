"""PARC, pairwise annotation representation comparison (Bolya, Mittapalli and Hoffman, 2021).

"Scalable Diverse Model Selection for Accessible Transfer Learning" (NeurIPS): Spearman's
correlation, over all pairs of samples, between the distance of their encodings and the
distance of their one-hot labels, both one minus Pearson's correlation.
"""

from __future__ import annotations

import math

import numpy as np

from zoorank.scores.base import Array, Score, ScoreValue
from zoorank.scores.computing import alone
from zoorank.scores.shared import Shared

MOST_SAMPLES = 5000
BLOCK = 512


def parc(X: Array, labels: Array) -> ScoreValue:
    """Whether samples of one class are alike and those of two are not.

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
    return alone(_parc, X, labels)


def _parc(shared: Shared) -> ScoreValue:
    F, codes = shared.doubles, shared.codes
    if len(F) > MOST_SAMPLES:
        drawn = np.random.default_rng(0).choice(len(F), MOST_SAMPLES, replace=False)
        F, codes = F[drawn], codes[drawn]
    rows = F - F.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    flat = length <= 1e-12 * np.abs(F).max(axis=1, keepdims=True, initial=0)
    rows = np.where(flat, 0, rows / np.where(flat, 1, length))
    distances, alike = _pairs(rows, codes)
    ordered = np.sort(distances)
    n_alike = int(alike.sum())
    if n_alike in (0, len(alike)) or ordered[0] == ordered[-1]:
        raise ValueError("all pairs of samples are equally far apart; PARC needs two distances")
    return ScoreValue(-100 * _rank_correlation(ordered, distances[alike]))


def _pairs(rows: Array, codes: Array) -> tuple[Array, Array]:
    """One minus the correlation of each pair of rows, and whether both are of one class."""
    n = len(rows)
    distances = np.empty(n * (n - 1) // 2)
    alike = np.empty(len(distances), dtype=bool)
    done = 0
    for start in range(0, n, BLOCK):
        block = 1 - rows[start : start + BLOCK] @ rows[start:].T
        for i, line in enumerate(block):
            following = slice(done, done + len(line) - i - 1)
            distances[following] = line[i + 1 :]
            alike[following] = codes[start + i + 1 :] == codes[start + i]
            done = following.stop
    return distances, alike


def _rank_correlation(ordered: Array, ones: Array) -> float:
    """Spearman's correlation of numbers with a mark that some of them bear.

    A mark has two values, so it takes the mean rank of those marked and the spread of
    all ranks, which ties alone make smaller: no rank of the others is ever made.

    Parameters
    ----------
    ordered : ndarray
        All numbers, sorted.
    ones : ndarray
        Those that are ones, in any order.
    """
    total, chosen = len(ordered), np.sort(ones)
    below = np.searchsorted(ordered, chosen, side="left")
    ranks = (below + np.searchsorted(ordered, chosen, side="right") + 1) / 2
    edges = np.flatnonzero(np.diff(ordered, prepend=-np.inf, append=np.inf))
    ties = np.diff(edges).astype(np.float64)
    variance = (total**2 - 1) / 12 - float((ties**3 - ties).sum()) / (12 * total)
    share = len(chosen) / total
    apart = float(ranks.mean()) - (total + 1) / 2
    return apart * math.sqrt(share / (1 - share) / variance)


SCORES = (Score("parc", None, "PARC", parc, of_shared=_parc, cost="O(n²(d + log n))"),)
