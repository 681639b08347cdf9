"""LogME, the logarithm of the maximum evidence (You, Liu, Wang and Long, ICML 2021).

"LogME: Practical Assessment of Pre-trained Models for Transfer Learning". Each class
becomes a regression target y in {0, 1}ⁿ of the Bayesian linear model y = Fw + noise
with w ~ N(0, I/α) and noise ~ N(0, I/β), whose evidence is

    ln p(y|F) = n/2 ln β + d/2 ln α − n/2 ln 2π − β/2 ‖Fm − y‖² − α/2 ‖m‖² − 1/2 ln|A|,
    A = αI + βFᵀF,  m = βA⁻¹Fᵀy.

With t = α/β, d/2 ln α − 1/2 ln|A| is −1/2 ln|I + FᵀF/t|, where FFᵀ may stand for FᵀF.
Published code that keeps d/2 ln α together with a sum over min(n, d) singular values is
wrong for d > n.

Numbers to predict are one such target themselves. They are scaled to mean 0 and variance 1,
which the authors leave to the user: neither their unit nor where it begins may put
encodings in order.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from zoorank.scores.base import CLASSES, NUMBERS, Array, Score, ScoreValue, Task
from zoorank.scores.computing import alone
from zoorank.scores.shared import SPECTRA, Shared
from zoorank.scores.spectrum import Spectrum

STEPS = 100
TOLERANCE = 1e-10
# Roots lie close together only where the steps between them are short.
STEPS_AT_ONCE, LONGEST_STRIDE = 12.0, 1.0
# Where nothing of y is explained the steps fall off like 1/t and never arrive: after so many
# strides each is longer than the last by this factor.
PATIENCE, HASTE = 64, 1.25
SHORTEST_STEP, LONGEST_STEP = 1e-8, 60.0
# Where y lies in the span of F the noise vanishes and the evidence has no maximum.
LEAST_RATIO = 1e-12


def logme(X: Array, labels: Array, *, task: Task = "classes") -> ScoreValue:
    """Mean over classes of the maximum log evidence a sample; needs SciPy.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The encoding F, which is neither centred nor scaled.
    labels : ndarray of shape (n_samples,)
        Classes, or numbers to predict, which are scaled to mean 0 and variance 1.
    task : {"classes", "numbers"}
        Which of the two they are.

    Returns
    -------
    ScoreValue
        In nats a sample, with the evidence of each class.

    Raises
    ------
    ValueError
        If X or the numbers hold NaN or infinity, there are fewer than 2 classes, or all
        numbers are equal.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 1.0], [0.0, 1.1], [1.0, 0.0], [1.1, 0.0]])
    >>> logme(X, np.array([0, 0, 1, 1])).value > logme(X, np.array([0, 1, 0, 1])).value
    True
    >>> near, far = np.array([0.3, 0.5, 1.0, 1.2]), np.array([0.3, 1.2, 0.5, 1.0])
    >>> values = [logme(X, y, task="numbers").value for y in (near, far)]
    >>> values[0] > values[1]
    True
    """
    return alone(_logme, X, labels, task=task)


def _logme(shared: Shared) -> ScoreValue:
    raw = shared.spectra.raw
    evidence, _ = maximum_evidence(raw, shared.target_lengths)
    parts = evidence / raw.n_samples
    value = math.fsum(parts) / len(parts)
    per_class = tuple(parts.tolist()) if shared.task == "classes" else ()
    return ScoreValue(value, per_class=per_class)


def maximum_evidence(spectrum: Spectrum, lengths: Array) -> tuple[Array, Array]:
    """Log evidence of regression targets, each at its best α and β.

    The fixed point of You et al. (2021): γ = tr βFᵀF A⁻¹, α ← γ/‖m‖²,
    β ← (n − γ)/‖Fm − y‖², in terms of t = α/β alone, on which m depends. All targets
    go through it together until each has arrived.

    Parameters
    ----------
    spectrum : Spectrum
        Of F, with the targets y in its basis.
    lengths : ndarray of shape (k,)
        Their ‖y‖².

    Returns
    -------
    evidence : ndarray of shape (k,)
    ratio : ndarray of shape (k,)
        The t of each; infinite where F explains nothing.
    """
    n = spectrum.n_samples
    evidence, ratio = _noise(lengths, n), np.full(len(lengths), np.inf)
    if not spectrum.rank:
        return evidence, ratio
    model = _Model(spectrum, lengths)
    t, explains = _fixed_point(model)
    explained = np.flatnonzero(explains)
    t = t[explained]
    at = model.at(explained, t)
    # β maximises the evidence for this t: n/β = ‖Fm − y‖² + t‖m‖².
    beta = n / np.maximum(at.residual + t * at.fit, sys.float_info.min)
    evidence[explained] = (
        n / 2 * np.log(beta)
        - n / 2 * math.log(2 * math.pi)
        - beta / 2 * (at.residual + t * at.fit)
        - (at.logarithm - spectrum.gram.order * np.log(t)) / 2
    )
    ratio[explained] = t
    return evidence, ratio


@dataclass(frozen=True)
class _Errors:
    """What there is to know at a t = α/β, for each of some targets.

    ‖m‖², ‖Fm − y‖², ln|G + tI| of the Gram matrix G, γ and n − γ.
    """

    fit: Array
    residual: Array
    logarithm: Array
    gamma: Array
    free: Array


@dataclass(frozen=True)
class _Model:
    """Regression of some targets on an encoding."""

    spectrum: Spectrum
    lengths: Array

    def at(self, which: Array, t: Array) -> _Errors:
        """Solve at a t for each of the targets ``which``."""
        gram, n = self.spectrum.gram, self.spectrum.n_samples
        c = self.spectrum.coordinates[which]
        solved = gram.shifted(c, t)
        x = solved.solutions
        explained, length = np.einsum("ij,ij->i", c, x), np.einsum("ij,ij->i", x, x)
        if self.spectrum.of_features:  # x is m, and c is Fᵀy
            fit = length
            residual = np.maximum(self.lengths[which] - explained - t * fit, 0.0)
        else:  # m is Fᵀx, c is y, and y − Fm is tx
            residual = t**2 * length
            forms = np.einsum("ij,ij->i", x, gram.times(x))
            fit = np.where(t * length < explained / 2, explained - t * length, forms)
        free = n - gram.order + solved.rests
        return _Errors(fit, residual, solved.logarithms, solved.shares, free)

    def step(self, which: Array, t: Array) -> Array:
        """The t that follows; infinite where the encoding explains nothing."""
        at = self.at(which, t)
        with np.errstate(divide="ignore", invalid="ignore"):
            following = at.gamma * at.residual / (at.fit * at.free)
        return np.asarray(np.where(at.fit > 0, following, np.inf))


def _fixed_point(model: _Model) -> tuple[Array, Array]:
    """The t = α/β of each target, and whether the encoding explains any of it.

    The fixed point that the steps lead to is the first root, on their side of the start,
    of their length on a scale of logarithms. Strides of several steps find it between two
    places, and false position (the Illinois algorithm) on the spot, where the steps
    themselves would be hundreds.
    """
    spectrum = model.spectrum
    lowest, highest = (math.log(LEAST_RATIO**sign * spectrum.gram.largest) for sign in (1, -1))

    def length(which: Array, u: Array) -> Array:
        with np.errstate(divide="ignore"):
            steps = np.log(model.step(which, np.exp(u))) - u
        return np.asarray(np.clip(steps, -LONGEST_STEP, LONGEST_STEP))

    every = np.arange(len(model.lengths))
    u = np.full(len(every), math.log(spectrum.gram.trace / spectrum.rank))
    f = length(every, u)
    far, f_far = u.copy(), f.copy()
    going = every[f != 0]
    strides = 0
    while len(going):
        steps_at_once = STEPS_AT_ONCE * HASTE ** max(0, strides - PATIENCE)
        stride = np.clip(steps_at_once * f[going], -LONGEST_STRIDE, LONGEST_STRIDE)
        strides += 1
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


def _noise(lengths: Array, n: int) -> Array:
    """Log evidence where the encoding explains nothing: y is noise of its own size."""
    return np.asarray(-n / 2 * (np.log(2 * math.pi * lengths / n) + 1))


SCORES = (
    Score(
        "logme",
        None,
        "LogME",
        logme,
        of_shared=_logme,
        draws_on=SPECTRA,
        tasks=CLASSES | NUMBERS,
        cost="O(nd min(n, d))",
    ),
)
