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

from zoorank.scores.base import Array, Score, ScoreValue, checked
from zoorank.scores.spectrum import Spectrum


def hscore(X: Array, labels: Array) -> ScoreValue:
    """How much of the variance of whitened features lies between the classes.

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
    F, codes, n_classes = checked(X, labels)
    U = Spectrum.of(F - F.mean(axis=0)).U
    value = float((_class_sums(U, codes, n_classes) ** 2).sum())
    # Encodings that attain K - 1 are equal, and their rounding must not put them in order.
    return ScoreValue(round(value, 9))


def regularised_hscore(X: Array, labels: Array) -> ScoreValue:
    """H-score with the shrunk covariance of Ledoit and Wolf.

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
    F, codes, n_classes = checked(X, labels)
    centred = F - F.mean(axis=0)
    n, d = centred.shape
    spectrum = Spectrum.of(centred)
    shrinkage = ledoit_wolf(centred, spectrum)
    variances = spectrum.squares / n
    shrunk = (1 - shrinkage) * variances + shrinkage * variances.sum() / d
    between = (_class_sums(spectrum.U, codes, n_classes) ** 2).sum(axis=0) * variances
    return ScoreValue(float((1 - shrinkage) * (between / shrunk).sum()) if len(shrunk) else 0.0)


def ledoit_wolf(centred: Array, spectrum: Spectrum) -> float:
    """Shrinkage of the covariance of centred rows, from its eigenvalues.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices" (2004): δ = min(b̄², d²)/d², with d² = ‖S − mI‖² and
    b̄² = 1/n² Σ ‖xᵢxᵢᵀ − S‖², here without any d × d matrix.
    """
    n, d = centred.shape
    variances = spectrum.squares / n
    mean = variances.sum() / d
    spread = (variances**2).sum() - d * mean**2
    lengths = np.einsum("ij,ij->i", centred, centred)
    noise = ((lengths**2).sum() / n - (variances**2).sum()) / n
    return float(np.clip(noise / spread, 0.0, 1.0)) if spread > 0 else 1.0


def _class_sums(U: Array, codes: Array, n_classes: int) -> Array:
    """Sum of each class's rows over the root of its size, shape (K, r)."""
    member = np.zeros((n_classes, len(codes)))
    member[codes, np.arange(len(codes))] = 1
    sums: Array = (member @ U) / np.sqrt(member.sum(axis=1, keepdims=True))
    return sums


SCORES = (
    Score("hscore", None, "H-score", hscore, cost="O(nd min(n, d))"),
    Score(
        "regularised_hscore",
        None,
        "H-score regularised",
        regularised_hscore,
        cost="O(nd min(n, d))",
    ),
)
