"""TransRate (Huang, Huang, Rong, Yang and Wei, ICML 2022).

"Frustratingly Easy Transferability Estimation": an estimate of the mutual information
between encoding and label, by the rates at which the encoding as a whole and each of
its classes can be coded to within a distortion ε,

    TrR = R(Z) − Σ_c n_c/n R(Z_c),   R(Z) = 1/2 ln det(I + ZᵀZ/(nε)),

for centred Z, scaled here to tr(ZᵀZ) = n so that ε means the same for every source.
"""

from __future__ import annotations

import math

import numpy as np

from zoorank.scores.base import Array, Score, ScoreValue, checked

DISTORTION = 1e-4


def transrate(X: Array, labels: Array) -> ScoreValue:
    """Coding rate of the encoding less that of its classes.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    labels : ndarray of shape (n_samples,)

    Returns
    -------
    ScoreValue
        In nats.

    Raises
    ------
    ValueError
        If X holds NaN or infinity, or there are fewer than 2 classes.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [0.1], [0.9], [1.0]])
    >>> round(transrate(X, np.array([0, 0, 1, 1])).value, 4)
    0.0
    """
    F, codes, n_classes = checked(X, labels)
    Z = F - F.mean(axis=0)
    length = math.sqrt(float((Z**2).sum()) / len(Z))
    Z /= length if length > 0 else 1.0
    parts = [Z[codes == c] for c in range(n_classes)]
    within = math.fsum(len(part) / len(Z) * coding_rate(part) for part in parts)
    return ScoreValue(coding_rate(Z) - within)


def coding_rate(Z: Array) -> float:
    """Half the log determinant of I + ZᵀZ/(nε), on the smaller side of Z."""
    n, d = Z.shape
    gram = (Z.T @ Z if d < n else Z @ Z.T) / (n * DISTORTION)
    gram[np.diag_indices_from(gram)] += 1
    return float(np.linalg.slogdet(gram)[1]) / 2


SCORES = (Score("transrate", None, "TransRate", transrate, cost="O(nd min(n, d))"),)
