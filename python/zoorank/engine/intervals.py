"""Statistics of the regression estimator: intervals, sample sizes, means by class.

The survey-sampling textbook behind it: C.-E. Sarndal, B. Swensson, J. Wretman, "Model
Assisted Survey Sampling", Springer, 1992, chapters 6 and 10.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_PRIOR_ROWS = 8
_ROWS_OF_A_STRATUM = 30
_SERIES_FROM = 30  # degrees of freedom

# A class of which so many rows were drawn speaks for itself.
_OWN_ROWS = 3


@functools.cache
def student_t(confidence: float, degrees: float) -> float:
    """Two-sided quantile of Student's t; degrees of freedom are rounded down.

    For 30 or more from the normal quantile (Abramowitz and Stegun 26.7.5), within 1e-4
    at a confidence of 0.99; below by bisection of the distribution function.

    >>> round(student_t(0.99, 239), 4), round(student_t(0.99, 2), 4)
    (2.5966, 9.9248)
    """
    degrees = max(1, int(degrees))
    if degrees < _SERIES_FROM:
        low, high = 0.0, 2.0
        while _inside(high, degrees) < confidence:
            low, high = high, 2 * high
        while high - low > 1e-12 * high:
            middle = (low + high) / 2
            low, high = (middle, high) if _inside(middle, degrees) < confidence else (low, middle)
        return high
    z = _normal_quantile(confidence)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / degrees**power for power, term in enumerate(terms))


def _normal_quantile(confidence: float) -> float:
    # From the tail: 0.5 + confidence / 2 rounds to 1 just below a confidence of 1.
    return -NormalDist().inv_cdf((1 - confidence) / 2)


def _inside(t: float, degrees: int) -> float:
    """The probability of [-t, t] (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(degrees))
    square = math.cos(angle) ** 2
    term, total = 1.0, 0.0
    # Factors 1/2, 3/4, ... for even degrees; 2/3, 4/5, ... for odd ones.
    for k in range(degrees // 2):
        total += term
        term *= square * (
            (2 * k + 1) / (2 * k + 2) if degrees % 2 == 0 else (2 * k + 2) / (2 * k + 3)
        )
    if degrees % 2 == 0:
        return math.sin(angle) * total
    return 2 / math.pi * (angle + math.sin(angle) * math.cos(angle) * total)


@dataclass(frozen=True)
class Mean:
    """An estimated mean, half its interval, and what both were computed with.

    `deviation` is that of the residuals of rows drawn in proportion to the strata.
    """

    value: float
    half_width: float
    slope: float
    deviation: float


def regression_mean(
    values: Floats,
    surrogates: Floats,
    strata: Integers,
    sizes: Integers,
    surrogate_means: Floats,
    confidence: float,
) -> Mean:
    """Estimate a mean from rows drawn at random within strata.

    The surrogate is known of every row. What its mean over the drawn rows of a stratum is
    off by is taken off theirs, times the slope of values over surrogates that they have
    in common (the combined regression estimator).

    Parameters
    ----------
    values, surrogates : ndarray of shape (m,)
        Of the rows drawn.
    strata : ndarray of shape (m,)
        The stratum of each; two rows at least from strata that have more.
    sizes, surrogate_means : ndarray of shape (H,)
        How many rows each stratum has, and their mean surrogate.
    confidence : float

    Returns
    -------
    Mean
    """
    drawn = np.bincount(strata, minlength=len(sizes))
    share = sizes / sizes.sum()

    def means(of: Floats) -> Floats:
        sums: Floats = np.bincount(strata, weights=of, minlength=len(sizes)) / drawn
        return sums

    of_values, of_surrogates = means(values), means(surrogates)
    y, x = values - of_values[strata], surrogates - of_surrogates[strata]
    weight = (sizes / drawn)[strata]
    square = float(weight @ x**2)
    # Where surrogates do not differ, a slope of 1 is as good as any.
    slope = float(weight @ (x * y)) / square if square > 0 else 1.0
    variance = means((y - slope * x) ** 2) * drawn / np.maximum(drawn - 1, 1)
    variance *= len(values) / max(len(values) - 1, 1)  # a slope was fitted
    parts = share**2 * variance / drawn * (1 - drawn / sizes)
    total = float(parts.sum())
    freedom = math.inf
    if total > 0:  # Satterthwaite's
        freedom = total**2 / float((parts**2 / np.maximum(drawn - 1, 1)).sum())
    return Mean(
        value=float(share @ (of_values + slope * (surrogate_means - of_surrogates))),
        half_width=student_t(confidence, int(min(freedom, len(values)))) * math.sqrt(total),
        slope=slope,
        deviation=math.sqrt(float(share @ variance)),
    )


def allocate(sizes: Integers, rows: int) -> Integers:
    """How many rows to draw from each stratum: `rows` in proportion to sizes, and some of each.

    Half of the rows would do for those of the smallest strata: with a few rows a stratum
    has a mean, with some thirty an interval that holds.
    """
    least = min(max(rows // (2 * len(sizes)), _OWN_ROWS), _ROWS_OF_A_STRATUM)
    wanted: Integers = np.minimum(np.maximum(sizes * rows // sizes.sum(), least), sizes)
    return wanted


def rows_needed(deviation: float, n: int, tol: float, confidence: float) -> int:
    """How many of `n` rows bring the half width down to `tol`."""
    reach = _normal_quantile(confidence) * deviation
    # A ratio of at most 1, so that no tolerance, however small, overflows when squared.
    ratio = reach / math.hypot(reach, math.sqrt(n) * tol)
    return math.ceil(n * ratio**2)


@dataclass(frozen=True)
class ClassMeans:
    """Mean residual of each class, and half the interval around it."""

    mean: Floats
    half_width: Floats


def residuals_by_class(
    residuals: Floats, drawn: Integers, sizes: Integers, confidence: float
) -> ClassMeans:
    """Estimate the mean residual of every class from rows drawn from all of them.

    A class from which three rows were drawn, or all, speaks for itself; one with few or
    none leans on the mean over all, the more so the less classes differ (the best
    linear unbiased predictor of a model with one variance between classes and one
    within).

    Parameters
    ----------
    residuals : ndarray of shape (m,)
    drawn : ndarray of shape (m,)
        The class of each residual.
    sizes : ndarray of shape (K,)
        How many rows each class has.
    confidence : float

    Returns
    -------
    ClassMeans
    """
    count = np.bincount(drawn, minlength=len(sizes))
    seen = np.maximum(count, 1)
    mean = np.bincount(drawn, weights=residuals, minlength=len(sizes)) / seen
    overall = float(residuals.mean())
    groups = int((count > 0).sum())
    freedom = max(len(residuals) - groups, 1)
    within = float(((residuals - mean[drawn]) ** 2).sum()) / freedom
    # Moments estimator of the variance between classes.
    spread = float((count * (mean - overall) ** 2).sum()) - (groups - 1) * within
    balance = len(residuals) - float((count**2).sum()) / len(residuals)
    between = max(spread / balance, 0.0) if balance > 0 else 0.0
    # Classes differ in variance too; that of a few rows is held near the pooled one.
    squares = np.bincount(drawn, weights=(residuals - mean[drawn]) ** 2, minlength=len(sizes))
    variance = (squares + _PRIOR_ROWS * within) / (np.maximum(count - 1, 0) + _PRIOR_ROWS)
    noise = variance / seen * np.maximum(1 - count / sizes, 0)
    total = between + noise
    weight = np.where(
        count == 0, 0.0, np.divide(between, total, where=total > 0, out=np.ones(len(sizes)))
    )
    error = np.where(count == 0, between + variance / sizes, weight * noise)
    error = error + (1 - weight) ** 2 * (between / groups + within / len(residuals))
    borrowed = student_t(confidence, freedom) * np.sqrt(error)
    alone = (count >= _OWN_ROWS) | (count == sizes)
    counts, which = np.unique(seen, return_inverse=True)
    quantile = np.array([student_t(confidence, m - 1) for m in counts])[which]
    deviation = np.sqrt(squares / np.maximum(count - 1, 1) / seen * (1 - count / sizes))
    return ClassMeans(
        mean=np.where(alone, mean, overall + weight * (mean - overall)),
        half_width=np.where(alone, quantile * deviation, borrowed),
    )
