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

from zoorank.scores.base import Array, Score, ScoreValue, as_floats, checked
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
    indicators = (codes[:, None] == np.arange(n_classes)).astype(np.float64)
    parts = maximum_evidence(Spectrum.of(F), indicators) / len(F)
    return ScoreValue(math.fsum(parts) / n_classes, per_class=as_floats(parts))


def maximum_evidence(spectrum: Spectrum, targets: Array) -> Array:
    """Log evidence of regression targets, each at its best α and β.

    The fixed point of You et al. (2021): γ = Σ βσ²/(α + βσ²), α ← γ/‖m‖²,
    β ← (n − γ)/‖Fm − y‖², in terms of t = α/β alone, on which m depends. All targets
    go through it together until each has arrived.

    Parameters
    ----------
    spectrum : Spectrum
    targets : ndarray of shape (n_samples, k)

    Returns
    -------
    ndarray of shape (k,)
    """
    n, s = len(targets), spectrum.squares
    lengths = np.einsum("ij,ij->j", targets, targets)
    evidence = _noise(lengths, n)
    if not len(s):
        return evidence
    z = np.square(spectrum.projected(targets)).T
    outside = np.maximum(lengths - z.sum(axis=1), 0.0)
    t, explains = _fixed_point(s, z, outside, n)
    t, z, outside = t[explains], z[explains], outside[explains]
    fit, residual = _errors(s, z, outside, t)
    # β maximises the evidence for this t: n/β = ‖Fm − y‖² + t‖m‖².
    beta = n / np.maximum(residual + t * fit, sys.float_info.min)
    alpha = t * beta
    k = len(s)
    evidence[explains] = (
        n / 2 * np.log(beta)
        + k / 2 * np.log(alpha)
        - n / 2 * math.log(2 * math.pi)
        - beta / 2 * residual
        - alpha / 2 * fit
        - np.log(alpha[:, None] + beta[:, None] * s).sum(axis=1) / 2
    )
    return evidence


def _fixed_point(s: Array, z: Array, outside: Array, n: int) -> tuple[Array, Array]:
    """The t = α/β of each target, and whether the encoding explains any of it."""
    t = np.full(len(z), float(s.mean()))
    explains = np.ones(len(z), dtype=bool)
    going = np.arange(len(z))
    for _ in range(STEPS):
        now = t[going]
        fit, residual = _errors(s, z[going], outside[going], now)
        shares = s / (s + now[:, None])
        gamma = shares.sum(axis=1)
        free = (now[:, None] / (s + now[:, None])).sum(axis=1) + n - len(s)  # n − γ, uncancelled
        with np.errstate(divide="ignore", invalid="ignore"):
            following = np.where(fit > 0, gamma * residual / (fit * free), np.inf)
        following = np.maximum(following, LEAST_RATIO * float(s[0]))
        nothing = following > float(s[0]) / LEAST_RATIO
        explains[going[nothing]] = False
        moved = np.abs(following - now) > TOLERANCE * now
        t[going] = np.where(moved & ~nothing, following, now)
        going = going[moved & ~nothing]
        if not len(going):
            break
    return t, explains


def _noise(lengths: Array, n: int) -> Array:
    """Log evidence where the encoding explains nothing: y is noise of its own size."""
    return np.asarray(-n / 2 * (np.log(2 * math.pi * lengths / n) + 1))


def _errors(s: Array, z: Array, outside: Array, t: Array) -> tuple[Array, Array]:
    """‖m‖² and ‖Fm − y‖² of each target at its t = α/β."""
    shrunk = s + t[:, None]
    fit = (s * z / shrunk**2).sum(axis=1)
    return fit, (z * (t[:, None] / shrunk) ** 2).sum(axis=1) + outside


SCORES = (Score("logme", None, "LogME", logme, cost="O(nd min(n, d))"),)
