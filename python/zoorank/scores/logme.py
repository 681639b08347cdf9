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
from collections.abc import Callable

import numpy as np

from zoorank.scores.base import Array, Score, ScoreValue, as_floats, checked
from zoorank.scores.spectrum import Spectrum

STEPS = 100
TOLERANCE = 1e-10
# Roots lie close together only where the steps between them are short.
STEPS_AT_ONCE, LONGEST_STRIDE = 12.0, 1.0
SHORTEST_STEP, LONGEST_STEP = 1e-8, 60.0
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
    """The t = α/β of each target, and whether the encoding explains any of it.

    The fixed point that the steps lead to is the first root, on their side of the start,
    of their length on a scale of logarithms. Strides of several steps find it between two
    places, and false position (the Illinois algorithm) on the spot, where the steps
    themselves would be hundreds.
    """
    lowest, highest = (math.log(LEAST_RATIO**sign * float(s[0])) for sign in (1, -1))

    def length(which: Array, u: Array) -> Array:
        with np.errstate(divide="ignore"):
            steps = np.log(_step(s, z[which], outside[which], np.exp(u), n)) - u
        return np.asarray(np.clip(steps, -LONGEST_STEP, LONGEST_STEP))

    every = np.arange(len(z))
    u = np.full(len(z), math.log(float(s.mean())))
    f = length(every, u)
    far, f_far = u.copy(), f.copy()
    going = every[f != 0]
    while len(going):
        stride = np.clip(STEPS_AT_ONCE * f[going], -LONGEST_STRIDE, LONGEST_STRIDE)
        ahead = np.clip(u[going] + stride, lowest, highest)
        f_ahead = length(going, ahead)
        far[going], f_far[going] = ahead, f_ahead
        inside = (ahead > lowest) & (ahead < highest) & (np.abs(f_ahead) > SHORTEST_STEP)
        going = going[inside & (f_ahead * f[going] > 0)]
        u[going], f[going] = far[going], f_far[going]
    explains = ~((far == highest) & (f_far > 0))
    outward = f * f_far > 0  # at the end of the scale, or as good as there
    return np.exp(_root(length, u, f, far, f_far, every[~outward & (f_far != 0)])), explains


def _root(
    length: Callable[[Array, Array], Array],
    u: Array,
    f: Array,
    far: Array,
    f_far: Array,
    going: Array,
) -> Array:
    """Where the length is 0, between u and far; far itself for those that do not go."""
    found: Array = far.copy()
    for _ in range(STEPS):
        if not len(going):
            break
        a, b, f_a, f_b = u[going], far[going], f[going], f_far[going]
        middle = (a * f_b - b * f_a) / (f_b - f_a)
        f_middle = length(going, middle)
        found[going] = middle
        crossed = f_middle * f_b < 0
        # The end that stays where it was twice loses half its weight.
        u[going], f[going] = np.where(crossed, b, a), np.where(crossed, f_b, f_a / 2)
        far[going], f_far[going] = middle, f_middle
        going = going[(np.abs(f_middle) > TOLERANCE) & (np.abs(middle - u[going]) > TOLERANCE)]
    return found


def _step(s: Array, z: Array, outside: Array, t: Array, n: int) -> Array:
    """The t that follows; infinite where the encoding explains nothing."""
    fit, residual = _errors(s, z, outside, t)
    gamma = (s / (s + t[:, None])).sum(axis=1)
    free = (t[:, None] / (s + t[:, None])).sum(axis=1) + n - len(s)  # n − γ, uncancelled
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(fit > 0, gamma * residual / (fit * free), np.inf))


def _noise(lengths: Array, n: int) -> Array:
    """Log evidence where the encoding explains nothing: y is noise of its own size."""
    return np.asarray(-n / 2 * (np.log(2 * math.pi * lengths / n) + 1))


def _errors(s: Array, z: Array, outside: Array, t: Array) -> tuple[Array, Array]:
    """‖m‖² and ‖Fm − y‖² of each target at its t = α/β."""
    shrunk = s + t[:, None]
    fit = (s * z / shrunk**2).sum(axis=1)
    return fit, (z * (t[:, None] / shrunk) ** 2).sum(axis=1) + outside


SCORES = (Score("logme", None, "LogME", logme, cost="O(nd min(n, d))"),)
