"""H-score (Bao et al., ICIP 2019) and its regularised form (Ibrahim et al., 2022).

"An Information-Theoretic Approach to Transferability in Task Transfer Learning" gives

    H(f) = tr(cov(f)⁻¹ cov(E[f | y])),

and "Newer is not always better: Rethinking transferability metrics, their
peculiarities, stability and performance" replaces the covariance, which is singular
as soon as d ≥ n, by the estimate of Ledoit and Wolf (2004):

    H_δ(f) = tr(Σ_δ⁻¹ (1 − δ) cov(E[f | y])),  Σ_δ = (1 − δ) cov(f) + δ tr(cov(f))/d I.
"""

from __future__ import annotations

import numpy as np

from zoorank.scores.base import Array, Score, ScoreValue
from zoorank.scores.computing import alone
from zoorank.scores.shared import SPECTRA, Shared
from zoorank.scores.spectrum import Tridiagonal


def hscore(X: Array, labels: Array) -> ScoreValue:
    """How much of the variance of whitened features lies between the classes; needs SciPy.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The encoding; a singular covariance is inverted on its range.
    labels : ndarray of shape (n_samples,)

    Returns
    -------
    ScoreValue
        Between 0 and K − 1, which every encoding of rank n − 1 attains: where
        d ≥ n this score cannot tell encodings apart.

    Raises
    ------
    ValueError
        If X holds NaN or infinity, or there are fewer than 2 classes.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 0.1], [0.0, 0.0], [1.0, 0.1], [1.0, 0.0]])
    >>> round(hscore(X, np.array([0, 0, 1, 1])).value, 6)
    1.0
    """
    return alone(_hscore, X, labels)


def _hscore(shared: Shared) -> ScoreValue:
    # Encodings that attain K - 1 are equal, and their rounding must not put them in order.
    explained = shared.spectra.centred.explained() / shared.target_lengths
    return ScoreValue(round(float(explained.sum()), 9))


def regularised_hscore(X: Array, labels: Array) -> ScoreValue:
    """H-score with the shrunk covariance of Ledoit and Wolf; needs SciPy.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    labels : ndarray of shape (n_samples,)

    Returns
    -------
    ScoreValue
        Between 0 and K − 1.

    Raises
    ------
    ValueError
        As for :func:`hscore`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 0.1], [0.0, 0.0], [1.0, 0.1], [1.0, 0.0]])
    >>> 0 < regularised_hscore(X, np.array([0, 0, 1, 1])).value < 1
    True
    """
    return alone(_regularised_hscore, X, labels)


def _regularised_hscore(shared: Shared) -> ScoreValue:
    centred = shared.spectra.centred
    gram, c = centred.gram, centred.coordinates
    d = shared.matrix.shape[1]
    shrinkage = ledoit_wolf(gram, shared.rows.squares(), d)
    if not centred.rank or shrinkage == 1:
        return ScoreValue(0.0)
    # Σ_δ = (1 − δ)/n (CᵀC + tI)
    t = shrinkage / (1 - shrinkage) * gram.trace / d
    if t <= centred.least:
        explained = centred.explained()
    else:
        solved = gram.shifted(c, np.full(len(c), t)).solutions
        # C(CᵀC + tI)⁻¹Cᵀ is I − t(CCᵀ + tI)⁻¹.
        explained = np.einsum("ij,ij->i", c, solved if centred.of_features else c - t * solved)
    return ScoreValue(float((explained / shared.target_lengths).sum()))


def ledoit_wolf(gram: Tridiagonal, squares: Array, n_features: int) -> float:
    """Shrinkage of the covariance S of centred rows.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices" (2004): δ = min(b̄², d²)/d², with d² = ‖S − mI‖² and
    b̄² = 1/n² Σ ‖xᵢxᵢᵀ − S‖².

    Parameters
    ----------
    gram : Tridiagonal
        As good as nS: it has the same trace and the same norm.
    squares : ndarray of shape (n_samples,)
        The ‖xᵢ‖².
    n_features : int
    """
    n = len(squares)
    square = gram.square / n**2
    spread = square - (gram.trace / n) ** 2 / n_features
    noise = (float((squares**2).sum()) / n - square) / n
    return float(np.clip(noise / spread, 0.0, 1.0)) if spread > 0 else 1.0


SCORES = (
    Score(
        "hscore",
        None,
        "H-score",
        hscore,
        of_shared=_hscore,
        draws_on=SPECTRA,
        cost="O(nd min(n, d))",
    ),
    Score(
        "regularised_hscore",
        None,
        "H-score regularised",
        regularised_hscore,
        of_shared=_regularised_hscore,
        draws_on=SPECTRA,
        cost="O(nd min(n, d))",
    ),
)
