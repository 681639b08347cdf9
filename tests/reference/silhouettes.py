"""Silhouettes and distances by their definition, in float64, from differences."""

import numpy as np

# Largest error in s that a computation in this type may make, on any data.
TOLERANCE = {np.dtype(np.float32): 5e-6, np.dtype(np.float64): 1e-12}

VECTOR_METRICS = ("euclidean", "sqeuclidean", "cosine", "manhattan")


def distances(X, Y, metric):
    """Distances between the rows of two matrices, each pair on its own."""
    X, Y = np.asarray(X, dtype=np.float64), np.asarray(Y, dtype=np.float64)
    if metric == "cosine":
        x, y = unit_rows(X), unit_rows(Y)
        D = np.array([((y - row) ** 2).sum(axis=1) for row in x]) / 2
        D[D < 1e-30] = 0  # parallel rows, but for the rounding of their unit rows
        D[~X.any(axis=1)] = 1
        D[:, ~Y.any(axis=1)] = 1
        return D
    of_difference = {
        "euclidean": lambda d: np.sqrt((d**2).sum(axis=1)),
        "sqeuclidean": lambda d: (d**2).sum(axis=1),
        "manhattan": lambda d: np.abs(d).sum(axis=1),
    }[metric]
    return np.array([of_difference(Y - row) for row in X])


def unit_rows(X):
    """Rows of length 1; rows of zeros stay."""
    largest = np.abs(X).max(axis=1, keepdims=True)
    scaled = X / np.where(largest == 0, 1, largest)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(length == 0, 1, length)


def tolerance(X, metric):
    """Largest error in s on this data: the table above, and what unit rows can resolve.

    A unit row carries a rounding error of some eps; where all rows point nearly the
    same way, that is what remains of the distances between them.
    """
    if metric != "cosine":
        return TOLERANCE[X.dtype]
    chords = np.sqrt(2 * distances(X, X, "cosine"))
    smallest = chords[chords > 0].min() if chords.any() else 1
    return max(TOLERANCE[X.dtype], 16 * np.finfo(np.float64).eps / smallest)


def silhouette_samples(X, labels, metric):
    """Silhouette coefficient of each row."""
    D = np.array(X, dtype=np.float64) if metric == "precomputed" else distances(X, X, metric)
    np.fill_diagonal(D, 0)
    return silhouette_of_rows(D, np.arange(len(D)), labels)


def silhouette_of_rows(D, rows, labels):
    """Silhouette coefficients of some rows, given their distances to all."""
    _, codes = np.unique(labels, return_inverse=True)
    size = np.bincount(codes)
    means = np.array([np.bincount(codes, weights=distances) for distances in D]) / size
    own_class = codes[rows]
    at = (np.arange(len(rows)), own_class)
    own = means[at] * size[own_class] / np.maximum(size[own_class] - 1, 1)
    means[at] = np.inf
    nearest = means.min(axis=1)
    larger = np.maximum(own, nearest)
    s = np.where(larger > 0, (nearest - own) / np.where(larger > 0, larger, 1), 0)
    return np.where(size[own_class] == 1, 0, s)
