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
from zoorank.scores.spectrum import Spectrum, least_share, smaller_gram

_PROBES = 8
# The probes see the smallest eigenvalue within a factor of about √d.
_SAFE = 0.01
_LEAST_SHRINKAGE = 1e-9


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
    centred = F - F.mean(axis=0)
    weights = _class_weights(codes, n_classes)
    value = _of_full_rank(centred, weights)
    if value is None:
        value = float((Spectrum.of(centred).projected(weights) ** 2).sum())
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
    gram = smaller_gram(centred)
    trace = float(np.trace(gram)) / n
    shrinkage = ledoit_wolf(centred, gram)
    if trace == 0 or shrinkage == 1:
        return ScoreValue(0.0)
    weights = _class_weights(codes, n_classes)
    solve = np.linalg.solve if shrinkage > _LEAST_SHRINKAGE else _least_norm
    shrunk = (1 - shrinkage) / n * gram
    shrunk[np.diag_indices_from(shrunk)] += shrinkage * trace / d
    if d < n:
        sums = centred.T @ weights
        inside = sums.T @ solve(shrunk, sums)
    else:  # C(CᵀC + λI)⁻¹Cᵀ = (CCᵀ + λI)⁻¹CCᵀ
        inside = weights.T @ solve(shrunk, gram @ weights)
    return ScoreValue((1 - shrinkage) / n * float(np.trace(inside)))


def ledoit_wolf(centred: Array, gram: Array) -> float:
    """Shrinkage of the covariance S of centred rows.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices" (2004): δ = min(b̄², d²)/d², with d² = ‖S − mI‖² and
    b̄² = 1/n² Σ ‖xᵢxᵢᵀ − S‖². Both Gram matrices have the trace and the norm that it takes.
    """
    n, d = centred.shape
    mean = float(np.trace(gram)) / n / d
    square = float(np.einsum("ij,ij->", gram, gram)) / n**2
    spread = square - d * mean**2
    lengths = np.einsum("ij,ij->i", centred, centred)
    noise = (float((lengths**2).sum()) / n - square) / n
    return float(np.clip(noise / spread, 0.0, 1.0)) if spread > 0 else 1.0


def _of_full_rank(centred: Array, weights: Array) -> float | None:
    """H-score by solving with the Gram matrix; None unless it is clearly not singular.

    A solution costs a fifth of an eigendecomposition, but knows no rank. So a few random
    vectors are solved for too: they grow by about the inverse of the smallest eigenvalue.
    """
    alive = centred[:, centred.any(axis=0)]  # units that never fire have no say
    n, d = alive.shape
    if d == 0:
        return None
    gram = smaller_gram(alive)
    largest = float(np.abs(gram).sum(axis=1).max())
    if d >= n:
        gram += largest / n  # centred rows add up to 0; this gives that direction a length
    wanted = alive.T @ weights if d < n else weights
    probes = np.random.default_rng(0).standard_normal((len(gram), _PROBES))
    try:
        solved = np.linalg.solve(gram, np.hstack([probes, wanted]))
    except np.linalg.LinAlgError:
        return None
    grown = np.linalg.norm(solved[:, :_PROBES], axis=0) / np.linalg.norm(probes, axis=0)
    if not grown.max() * largest * least_share(alive) < _SAFE:
        return None
    if d >= n:  # the encoding spans all that is centred, whatever it holds
        return float(weights.shape[1] - 1)
    return float(np.einsum("ij,ij->", wanted, solved[:, _PROBES:]))


def _least_norm(matrix: Array, right: Array) -> Array:
    """Solution where the covariance is hardly shrunk and perhaps singular."""
    return np.asarray(np.linalg.lstsq(matrix, right, rcond=None)[0])


def _class_weights(codes: Array, n_classes: int) -> Array:
    """Indicators of the classes, each of length 1, shape (n_samples, K)."""
    member = np.zeros((len(codes), n_classes))
    member[np.arange(len(codes)), codes] = 1
    weights: Array = member / np.sqrt(member.sum(axis=0))
    return weights


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
