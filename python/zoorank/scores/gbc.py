"""GBC, Gaussian Bhattacharyya coefficient (Pándy et al., CVPR 2022).

"Transferability Estimation using Bhattacharyya Class Separability": each class is a
Gaussian with a spherical covariance v_c I, after a projection on 64 principal
components, and the score is minus the overlap of all pairs of classes,

    GBC = −Σ_{a ≠ b} exp(−D(a, b)),
    D(a, b) = ‖μ_a − μ_b‖²/(8v) + p/2 ln(v/√(v_a v_b)),  v = (v_a + v_b)/2.
"""

from __future__ import annotations

import numpy as np

from zoorank.scores.base import Array, Score, ScoreValue
from zoorank.scores.computing import alone
from zoorank.scores.shared import SPECTRA, Shared

COMPONENTS = 64


def gbc(X: Array, labels: Array) -> ScoreValue:
    """Minus the overlap of the classes as spherical Gaussians; needs SciPy.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    labels : ndarray of shape (n_samples,)
        A class of one, or of equal samples, has no spread of its own and is given
        a millionth of the whole encoding's.

    Returns
    -------
    ScoreValue
        Between −K(K − 1) and 0.

    Raises
    ------
    ValueError
        If X holds NaN or infinity, or there are fewer than 2 classes.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> gbc(X, np.array([0, 0, 1, 1])).value > gbc(X, np.array([0, 1, 0, 1])).value
    True
    """
    return alone(_gbc, X, labels)


def _gbc(shared: Shared) -> ScoreValue:
    codes, n_classes = shared.codes, shared.n_classes
    if not shared.spectra.centred.rank:  # all samples are equal, and so are all classes
        return ScoreValue(-float(n_classes * (n_classes - 1)))
    P = shared.spectra.components(COMPONENTS)
    p = P.shape[1]
    least = 1e-6 * float((P**2).mean())
    members = [P[codes == c] for c in range(n_classes)]
    means = np.array([rows.mean(axis=0) for rows in members])
    variances = np.array([max(float(rows.var(axis=0).mean()), least) for rows in members])
    apart = ((means[:, None] - means) ** 2).sum(axis=2)
    v = (variances[:, None] + variances) / 2
    logarithms = np.log(variances)
    distance = apart / (8 * v) + p / 2 * (np.log(v) - (logarithms[:, None] + logarithms) / 2)
    overlap = np.exp(-distance)
    np.fill_diagonal(overlap, 0)
    return ScoreValue(-float(overlap.sum()))


SCORES = (
    Score(
        "gbc",
        None,
        "GBC",
        gbc,
        of_shared=_gbc,
        draws_on=SPECTRA,
        cost="O(nd min(n, d) + 64K²)",
    ),
)
