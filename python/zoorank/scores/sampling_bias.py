"""How far the silhouettes of a sample of rows are off on average.

The mean distances of a row to the classes are known from the rows drawn alone. Whichever of
several noisy means is the least is less than the least mean, so a silhouette of a sample is
too low where several classes are about as near, and it is no straight line in the distances
either. Both are of second order: the mean distances are taken for normal, with the variance
that the rows drawn show.

The least of several normal variables is Clark's approximation (C. E. Clark, "The greatest of
a finite set of random variables", Operations Research 9, 1961).
"""

from __future__ import annotations

import math

import numpy as np

from zoorank.scores.base import Array

# Classes farther away than so many others are the nearest in truth too seldom to count.
NEAREST = 8

# Where two classes are so many deviations apart there is no doubt which one is nearer.
SURE = 30.0

_erf = np.frompyfunc(math.erf, 1, 1)


def row_biases(means: Array, variances: Array, own: Array) -> Array:
    """What the silhouette of each row is off by on average.

    Parameters
    ----------
    means : ndarray of shape (n_rows, n_classes)
        Mean distances to the rows drawn of each class.
    variances : ndarray of shape (n_rows, n_classes)
        Of these means, as estimates of those over all rows.
    own : ndarray of shape (n_rows,)
        Class of each row.

    Returns
    -------
    ndarray of shape (n_rows,)
        0 where all distances are.

    Examples
    --------
    A row as near to one class as to another: the least of two means that both have the
    deviation 0.1 is expected 0.1 / sqrt(pi) below them, which lowers 1 - a / b by 0.0141; the
    rest is that 1 / b bends.

    >>> means, variances = np.array([[1.0, 2.0, 2.0]]), np.array([[0.0, 0.01, 0.01]])
    >>> row_biases(means, variances, np.array([0])).round(4)
    array([-0.0154])
    """
    here = np.arange(len(own))
    a, noise = means[here, own], variances[here, own]
    others = means.copy()
    others[here, own] = np.inf
    nearest = np.argsort(others, axis=1)[:, : min(NEAREST, means.shape[1] - 1)]
    b = others[here, nearest[:, 0]]
    least, spread = _least(
        np.take_along_axis(others, nearest, axis=1),
        np.take_along_axis(variances, nearest, axis=1),
    )
    off = least - b
    square = spread + off**2
    defined = np.maximum(a, b) > 0
    a, b = np.where(defined, a, 1.0), np.where(defined, b, 1.0)
    # s = 1 - a / b inside its class and b / a - 1 outside, with the same slopes where they meet.
    inside = a < b
    larger, less = np.maximum(a, b), np.minimum(a, b)
    by_b = np.where(inside, a / larger**2, 1 / larger)
    bent = np.where(inside, -square, noise) * less / larger**3
    found: Array = np.where(defined, by_b * off + bent, 0.0)
    return found


def _least(means: Array, variances: Array) -> tuple[Array, Array]:
    """Mean and variance of the least in each row of independent normal variables."""
    mean, variance = means[:, 0], variances[:, 0]
    for other, its in zip(means.T[1:], variances.T[1:], strict=True):
        deviation = np.sqrt(variance + its)
        gap = np.full(len(mean), SURE)
        np.divide(other - mean, deviation, out=gap, where=deviation * SURE > abs(other - mean))
        first = (1 + np.asarray(_erf(gap / math.sqrt(2)), dtype=np.float64)) / 2
        density = np.exp(-(gap**2) / 2) / math.sqrt(2 * math.pi)
        between = deviation * density
        least = first * mean + (1 - first) * other - between
        # About the first one's mean, for which nothing large is subtracted.
        step = other - mean
        square = first * variance + (1 - first) * (its + step**2) - step * between
        variance = np.maximum(square - (least - mean) ** 2, 0.0)
        mean = least
    return mean, variance
