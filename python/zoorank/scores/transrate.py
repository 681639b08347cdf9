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

from zoorank.scores.base import Array, Score, ScoreValue
from zoorank.scores.computing import alone
from zoorank.scores.shared import SPECTRA, Shared

DISTORTION = 1e-4


def transrate(X: Array, labels: Array) -> ScoreValue:
    """Coding rate of the encoding less that of its classes; needs SciPy.

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
    return alone(_transrate, X, labels)


def _transrate(shared: Shared) -> ScoreValue:
    centred, n = shared.spectra.centred, shared.n_samples
    gram = centred.gram
    if not centred.rank:
        return ScoreValue(0.0)
    scale = n / gram.trace
    parts = [
        members.mean() * _coding_rate(shared.rows.take(members), scale)
        for members in (shared.codes == c for c in range(shared.n_classes))
    ]
    t = n * DISTORTION / scale
    whole = gram.shifted(np.zeros((1, gram.order)), np.array([t])).logarithms[0]
    return ScoreValue(float(whole - gram.order * math.log(t)) / 2 - math.fsum(parts))


def _coding_rate(rows: Array, scale: float) -> float:
    """Half the log determinant of I + ZᵀZ/(nε) for the rows, scaled, on their smaller side."""
    n, d = rows.shape
    gram = (rows.T @ rows if d < n else rows @ rows.T) * (scale / (n * DISTORTION))
    gram[np.diag_indices_from(gram)] += 1
    return float(np.linalg.slogdet(gram)[1]) / 2


SCORES = (
    Score(
        "transrate",
        None,
        "TransRate",
        transrate,
        of_shared=_transrate,
        draws_on=SPECTRA,
        cost="O(nd min(n, d))",
    ),
)
