"""LogME, the logarithm of the maximum evidence (You, Liu, Wang and Long, ICML 2021).

"LogME: Practical Assessment of Pre-trained Models for Transfer Learning". Each class
becomes a regression target y in {0, 1}ⁿ of the Bayesian linear model y = Fw + noise
with w ~ N(0, I/α) and noise ~ N(0, I/β), whose evidence is

    ln p(y|F) = n/2 ln β + d/2 ln α − n/2 ln 2π − β/2 ‖Fm − y‖² − α/2 ‖m‖² − 1/2 ln|A|,
    A = αI + βFᵀF,  m = βA⁻¹Fᵀy.

With the singular values σ of F, ln|A| = Σ ln(α + βσ²) over k = min(n, d) of them plus
(d − k) ln α, so k/2 ln α is what remains of d/2 ln α. Published code that keeps
d/2 ln α together with the sum over k is wrong for d > n.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from zoorank.scores.base import Array, Score, ScoreValue, checked
from zoorank.scores.spectrum import Spectrum

STEPS = 1000
TOLERANCE = 1e-8
# Where y lies in the span of F the noise vanishes and the evidence has no maximum.
LEAST_RATIO = 1e-12


def logme(X: Array, labels: Array) -> ScoreValue:
    """Mean over classes of the maximum log evidence a sample.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The encoding F, which is neither centred nor scaled.
    labels : ndarray of shape (n_samples,)

    Returns
    -------
    ScoreValue
        With the evidence of each class.

    Raises
    ------
    ValueError
        If X holds NaN or infinity, or there are fewer than 2 classes.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 1.0], [0.0, 1.1], [1.0, 0.0], [1.1, 0.0]])
    >>> logme(X, np.array([0, 0, 1, 1])).value > logme(X, np.array([0, 1, 0, 1])).value
    True
    """
    F, codes, n_classes = checked(X, labels)
    spectrum = Spectrum.of(F)
    parts = [maximum_evidence(spectrum, codes == c) / len(F) for c in range(n_classes)]
    return ScoreValue(math.fsum(parts) / n_classes, per_class=tuple(parts))


def maximum_evidence(spectrum: Spectrum, target: Array) -> float:
    """Log evidence of one regression target at the best α and β.

    The fixed point of You et al. (2021): γ = Σ βσ²/(α + βσ²), α ← γ/‖m‖²,
    β ← (n − γ)/‖Fm − y‖², in terms of t = α/β alone, on which m depends.

    Parameters
    ----------
    spectrum : Spectrum
    target : ndarray of shape (n_samples,)

    Returns
    -------
    float
    """
    y = target.astype(np.float64)
    n, s = len(y), spectrum.squares
    if not len(s):
        return _noise(y)
    z = np.square(spectrum.U.T @ y)
    outside = max(float(y @ y - z.sum()), 0.0)
    least = LEAST_RATIO * float(s[0])
    t = float(s.mean())
    for _ in range(STEPS):
        fit, residual = _errors(s, z, outside, t)
        gamma = float((s / (s + t)).sum())
        free = float((t / (s + t)).sum()) + n - len(s)  # n − γ without its cancellation
        following = max(gamma * residual / (fit * free), least) if fit > 0 else math.inf
        if following > float(s[0]) / LEAST_RATIO:
            return _noise(y)
        if abs(following - t) <= TOLERANCE * t:
            break
        t = following
    fit, residual = _errors(s, z, outside, t)
    # β maximises the evidence for this t: n/β = ‖Fm − y‖² + t‖m‖².
    beta = n / max(residual + t * fit, sys.float_info.min)
    alpha = t * beta
    k = len(s)
    return (
        n / 2 * math.log(beta)
        + k / 2 * math.log(alpha)
        - n / 2 * math.log(2 * math.pi)
        - beta / 2 * residual
        - alpha / 2 * fit
        - float(np.log(alpha + beta * s).sum()) / 2
    )


def _noise(y: Array) -> float:
    """Log evidence where the encoding explains nothing: y is noise of its own size."""
    return -len(y) / 2 * (math.log(2 * math.pi * float(y @ y) / len(y)) + 1)


def _errors(s: Array, z: Array, outside: float, t: float) -> tuple[float, float]:
    """‖m‖² and ‖Fm − y‖² at t = α/β."""
    shrunk = s + t
    fit = float((s * z / shrunk**2).sum())
    return fit, float((z * (t / shrunk) ** 2).sum()) + outside


SCORES = (Score("logme", None, "LogME", logme, cost="O(nd min(n, d))"),)
