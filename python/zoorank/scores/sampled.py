"""Mean silhouettes of all rows, from a sample of them stratified by class.

A row drawn counts twice: for its own silhouette, and in the mean distances of all others to
its class. Taking the silhouettes of the sample for independent values misses the second,
which may be the larger by far (a rare class is near to many rows). The influence of a row
has both: it is the derivative of the mean when the row's weight within its class grows, the
"infinitesimal jackknife" of Jaeckel (1972) and Efron, "The Jackknife, the Bootstrap and
Other Resampling Plans" (1982), chapter 6.

What the mean is off by on average, whatever the rows, is in ``sampling_bias.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from zoorank import engine
from zoorank.engine.arrays import number_classes
from zoorank.scores.base import Array, SampleScore
from zoorank.scores.sampling_bias import row_biases

BLOCK_BYTES = 64 * 2**20


def sampled_silhouette(
    X: Array, labels: Array, sizes: Array | None = None, *, metric: str, macro: bool = False
) -> SampleScore:
    """Estimate the mean silhouette of all rows, with the influence of each row drawn.

    Parameters
    ----------
    X : ndarray of shape (n_drawn, n_features)
        Encodings of the rows drawn.
    labels : ndarray of shape (n_drawn,)
        Of every class, with two rows at least where it has as many.
    sizes : ndarray of shape (n_classes,), optional
        How many rows of each class there are in all, in the order of the sorted labels: a class
        weighs what part of them it is, and of a class drawn wholly nothing is left to chance.
        By default there are many more than were drawn, and as many of every class.
    metric : {"cosine", "euclidean", "sqeuclidean", "manhattan"}
    macro : bool
        Whether every class weighs alike, whatever its size.

    Returns
    -------
    SampleScore

    Raises
    ------
    ValueError
        As for :func:`zoorank.silhouette`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [10.0], [12.0]])
    >>> labels, sizes = np.array(list("aabb")), np.array([70, 30])
    >>> round(sampled_silhouette(X, labels, sizes, metric="euclidean").value, 3)
    0.876
    """
    classes, codes = number_classes(labels, len(X))
    alike = np.full(len(classes), 1 / len(classes))
    shares = alike if macro or sizes is None else sizes / np.sum(sizes)
    exact = engine.silhouette(X, labels, metric=metric, method="exact")
    order = np.argsort(codes, kind="stable")
    count = np.bincount(codes)
    totals = np.full(len(classes), np.inf) if sizes is None else np.maximum(sizes, count)
    influence = np.empty(len(codes))
    influence[order], biases = _influences(
        np.asarray(X)[order], codes[order], shares, totals, metric
    )
    class_biases = np.bincount(codes[order], biases) / count
    return SampleScore(
        value=float(shares @ exact.per_class),
        per_class=tuple(exact.per_class.tolist()),
        influence=influence,
        bias=float(shares @ class_biases),
        class_biases=tuple(class_biases.tolist()),
    )


def _influences(
    X: Array, codes: Array, shares: Array, totals: Array, metric: str
) -> tuple[Array, Array]:
    """Influences of rows sorted by class, up to a constant for each class, and their biases."""
    count = np.bincount(codes, minlength=len(shares))
    starts = np.r_[0, np.cumsum(count)[:-1]]
    influence, biases = np.zeros(len(codes)), np.zeros(len(codes))
    for rows, distances in _blocks(X, metric):
        own = codes[rows]
        here = np.arange(len(own))
        sums = np.add.reduceat(distances, starts, axis=1, dtype=np.float64)
        others = np.maximum(count[own] - 1, 1)
        a = sums[here, own] / others
        means = sums / count
        means[here, own] = a
        several = count[own] > 1
        variances = _variances(distances, means, rows, codes, totals)
        biases[rows] = np.where(several, row_biases(means, variances, own), 0.0)
        means[here, own] = np.inf
        near = means.argmin(axis=1)
        b = means[here, near]
        silhouette, by_a, by_b = _derivatives(a, b, several)
        weight = shares[own] / count[own]
        # How the mean moves with a and b of each row, in the column of the class they belong to.
        moves = np.zeros_like(means)
        by_a *= count[own] / others
        moves[here, own] = weight * by_a
        moves[here, near] = weight * by_b
        levels = moves.copy()
        levels[here, own] *= a
        levels[here, near] *= b
        for label, start in enumerate(starts):
            members = slice(start, start + count[label])
            influence[members] += moves[:, label] @ distances[:, members]
            influence[members] -= levels[:, label].sum()
        # A row's mean distance to its own class is not over itself.
        influence[rows] += shares[own] * silhouette + weight * by_a * a
    return influence, biases


def _variances(distances: Array, means: Array, rows: slice, codes: Array, totals: Array) -> Array:
    """Of the mean distances to the rows drawn, as estimates of those to all."""
    count = np.bincount(codes, minlength=len(totals))
    itself = codes[rows][:, None] == np.arange(len(count))
    drawn, all_ = count - itself, totals - itself
    starts = np.r_[0, np.cumsum(count)[:-1]]
    squares = np.add.reduceat(np.square(distances, dtype=np.float64), starts, axis=1)
    # What rounding leaves of distances that are all alike is no noise to speak of.
    found: Array = np.maximum(squares - drawn * np.square(means), 0.0)
    found *= 1 - drawn / np.maximum(all_, 1)
    found /= np.maximum(drawn * (drawn - 1), 1)
    return found


def _derivatives(a: Array, b: Array, several: Array) -> tuple[Array, Array, Array]:
    """Silhouettes (b - a) / max(a, b), and how they change with a and with b."""
    largest = np.where(several, np.maximum(a, b), 0.0)
    defined = largest > 0
    scale = np.where(defined, largest, 1.0)
    inside = a < b
    by_a = np.where(inside, -1 / scale, -b / scale**2)
    by_b = np.where(inside, a / scale**2, 1 / scale)
    return tuple(np.where(defined, each, 0.0) for each in ((b - a) / scale, by_a, by_b))  # type: ignore[return-value]


def _blocks(X: Array, metric: str) -> Iterator[tuple[slice, Array]]:
    """Rows and their distances to all, a block at a time."""
    rows = max(1, BLOCK_BYTES // (8 * len(X)))
    for start in range(0, len(X), rows):
        block = slice(start, min(start + rows, len(X)))
        distances = engine.pairwise_distances(X[block], X, metric=metric)
        distances[np.arange(block.stop - start), np.arange(start, block.stop)] = 0
        yield block, distances
