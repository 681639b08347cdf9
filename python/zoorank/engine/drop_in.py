"""Silhouettes of what scikit-learn takes too: SciPy's sparse matrices, and its other metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from zoorank import _core
from zoorank.engine.arrays import (
    check_distance_matrix,
    convert_dtype,
    is_sparse,
    silhouette_classes,
    to_host,
)
from zoorank.engine.environment import check_choice, check_metric
from zoorank.engine.rows import Floats, Integers, Progress, open_rows

# Metrics of scikit-learn that are computed by it.
METRICS_HANDED_OVER = (
    "braycurtis",
    "canberra",
    "chebyshev",
    "correlation",
    "dice",
    "hamming",
    "haversine",
    "jaccard",
    "mahalanobis",
    "minkowski",
    "nan_euclidean",
    "rogerstanimoto",
    "russellrao",
    "seuclidean",
    "sokalmichener",
    "sokalsneath",
    "yule",
)

# A dense copy is made where it takes no more than this, or than three times the sparse matrix.
_SMALL_COPY = 1 << 26  # bytes
_DENSE_ENOUGH = 3

# What one block of distances, or of dense rows, takes.
_BLOCK = 1 << 24  # bytes

# Below this part of |x|² + |y|² too many digits of |x|² + |y|² - 2x·y are gone.
_CANCELLED = 1 / 16

# Values of the rows that are subtracted from each other at once.
_SUBTRACTED = 1 << 20


def is_handed_over(metric: object, parameters: Mapping[str, object]) -> bool:
    """Whether scikit-learn computes this: another metric, or one with parameters.

    Raises
    ------
    ValueError
        For a name that is no metric, neither of the engine nor of scikit-learn.
    """
    if parameters or callable(metric):
        return True
    try:
        check_metric(metric)
    except ValueError:
        check_choice(metric, (*_core.METRICS, *METRICS_HANDED_OVER), "metric")
        return True
    return False


def hand_over(X: Any, labels: Any, metric: Any, parameters: Mapping[str, object]) -> Floats:
    """Silhouettes of every sample by scikit-learn.

    Raises
    ------
    ModuleNotFoundError
        Where scikit-learn is not installed.
    ValueError, TypeError
        As scikit-learn raises them, and for labels as everywhere.
    """
    try:
        from sklearn.metrics import silhouette_samples
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        asked = f"metric {metric!r}" + "".join(f", {name}" for name in parameters)
        raise ModuleNotFoundError(
            f"{asked} is computed by scikit-learn, which is not installed; install it, or use "
            f"one of {', '.join(_core.METRICS)}",
            name="sklearn",
        ) from None
    # Booleans stay what they are: some metrics are defined on them alone.
    as_given = is_sparse(X) or (isinstance(X, np.ndarray) and not isinstance(X, np.memmap))
    given = X if as_given else open_rows(to_host(X)).load()
    _, codes = silhouette_classes(labels, given.shape[0])
    found: Floats = silhouette_samples(given, codes, metric=metric, **parameters)
    return found.astype(np.float64, copy=False)


class SparseRows:
    """Rows of a SciPy sparse matrix, of which no dense copy is made.

    Parameters
    ----------
    X : sparse matrix or array of shape (n, d), of any format

    Raises
    ------
    TypeError
        For values that are no real numbers.
    ValueError
        For another number of dimensions, no rows or no columns, and NaN or infinity.
    """

    def __init__(self, X: Any) -> None:
        if X.ndim != 2:
            raise ValueError(f"X must have 2 dimensions, got shape {X.shape}")
        if 0 in X.shape:
            missing = "samples" if X.shape[0] == 0 else "features"
            raise ValueError(f"X has no {missing}: its shape is {X.shape}")
        matrix = X.tocsr()
        values = convert_dtype(matrix.data, "X")
        if not matrix.has_canonical_format:
            matrix = matrix.copy()  # what sums duplicates does so in place
            matrix.data = values.astype(values.dtype)
            matrix.sum_duplicates()
        elif values is not matrix.data:
            matrix = type(matrix)((values, matrix.indices, matrix.indptr), shape=matrix.shape)
        bad = np.flatnonzero(~np.isfinite(matrix.data))
        if len(bad):
            raise ValueError(
                f"X holds NaN or infinity; the first bad row is {_row(matrix, bad[0])}"
            )
        self.matrix = matrix
        self.shape: tuple[int, int] = (int(matrix.shape[0]), int(matrix.shape[1]))

    @property
    def is_small(self) -> bool:
        """Whether a dense copy is no burden; the engine then computes on it."""
        copy = self.shape[0] * self.shape[1] * self.matrix.data.itemsize
        held = self.matrix.data.nbytes + self.matrix.indices.nbytes + self.matrix.indptr.nbytes
        return bool(copy <= max(_SMALL_COPY, _DENSE_ENOUGH * held))

    def take(self, indices: Integers) -> Any:
        """Some rows, in the order of their indices."""
        return self.matrix[indices]

    def silhouettes(
        self, codes: Integers, metric: str, threads: int = 0, progress: Progress | None = None
    ) -> Floats:
        """Silhouettes of every row, in float64 and a memory that no pair of rows adds to.

        Squared Euclidean and cosine distances are summed up from class means. Euclidean ones
        come from products of blocks of rows, Manhattan ones from dense blocks, and
        precomputed ones are those of the pattern: where nothing is stored the distance is 0.
        """
        sizes = np.bincount(codes)
        if metric == "manhattan":
            sums = _sums_manhattan(self.matrix, codes, sizes, threads)
        else:
            sums = _SUMS[metric](self.matrix, codes, sizes)
        found = np.empty(len(codes))
        for first, block in sums:
            rows = slice(first, first + len(block))
            found[rows] = _silhouettes_from_sums(block, codes[rows], sizes)
            if progress is not None:
                progress(rows.stop / len(codes))
        return found


# The sums of distances of a block of rows to every class, with the first row of the block.
_Sums = Iterator[tuple[int, npt.NDArray[np.float64]]]


def _silhouettes_from_sums(sums: Floats, own: Integers, sizes: Integers) -> Floats:
    at = (np.arange(len(own)), own)
    others = np.maximum(sizes[own] - 1, 1)
    a = sums[at] / others
    means = sums / sizes
    means[at] = np.inf
    b = means.min(axis=1)
    larger = np.maximum(a, b)
    s: Floats = np.divide(b - a, larger, out=np.zeros(len(own)), where=larger > 0)
    s[sizes[own] == 1] = 0
    return s


def _sums_euclidean(X: Any, codes: Integers, sizes: Integers) -> _Sums:
    X = _scaled(X)
    squares = _squares(X)
    members = _members(codes, len(sizes))
    transposed = X.T.tocsr()
    for first, stop in _blocks(len(codes), len(codes)):
        both = squares[first:stop, None] + squares
        distances = both - 2 * (X[first:stop] @ transposed).toarray()
        near_rows, near_columns = np.nonzero(distances < _CANCELLED * both)
        distances[near_rows, near_columns] = _squared_differences(
            X, near_rows + first, X, near_columns
        )
        np.sqrt(distances, out=distances)
        yield first, distances @ members


def _sums_manhattan(X: Any, codes: Integers, sizes: Integers, threads: int) -> _Sums:
    members = _members(codes, len(sizes))
    wide = max(1, _BLOCK // (8 * X.shape[1]))
    for first, stop in _blocks(len(codes), max(len(sizes), X.shape[1])):
        rows = X[first:stop].toarray().astype(np.float64, copy=False)
        sums = np.zeros((stop - first, len(sizes)))
        for begin in range(0, len(codes), wide):
            others = X[begin : begin + wide].toarray().astype(np.float64, copy=False)
            distances = _core.pairwise_distances(rows, others, "manhattan", threads, "auto")
            sums += distances @ members[begin : begin + wide]
        yield first, sums


def _sums_squared(X: Any, codes: Integers, sizes: Integers) -> _Sums:
    """From |x - m|² to the mean m of each class, and the variance of the class around it."""
    X = _scaled(X)
    squares = _squares(X)
    # A class may have no row here, though it has some elsewhere.
    counts = np.maximum(sizes, 1)
    means = _members(codes, len(sizes), 1 / counts).T.tocsr() @ X
    means.sort_indices()
    spread = _variances(X, codes, means, sizes)
    of_means = _squares(means)
    transposed = means.T.tocsr()
    for first, stop in _blocks(len(codes), len(sizes)):
        both = squares[first:stop, None] + of_means
        distances = both - 2 * (X[first:stop] @ transposed).toarray()
        near_rows, near_classes = np.nonzero(distances < _CANCELLED * both)
        distances[near_rows, near_classes] = _squared_differences(
            X, near_rows + first, means, near_classes
        )
        yield first, (distances + spread) * sizes


def _sums_cosine(X: Any, codes: Integers, sizes: Integers) -> _Sums:
    """Half the squared distance of unit rows; a row of zeros is at 1 from all others."""
    unit, zero = _unit_rows(X)
    filled = np.flatnonzero(~zero)
    empty = np.bincount(codes[zero], minlength=len(sizes))
    if len(filled):
        for first, sums in _sums_squared(unit[filled], codes[filled], sizes - empty):
            yield from _in_order(filled[first : first + len(sums)], sums / 2 + empty)
    for first, stop in _blocks(len(codes) - len(filled), len(sizes)):
        rows = np.flatnonzero(zero)[first:stop]
        sums = np.tile(sizes.astype(np.float64), (len(rows), 1))
        sums[np.arange(len(rows)), codes[rows]] -= 1
        yield from _in_order(rows, sums)


def _in_order(rows: Integers, sums: Floats) -> _Sums:
    """Blocks of rows that follow each other."""
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    for begin, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        yield int(rows[begin]), sums[begin:stop]


def _sums_precomputed(X: Any, codes: Integers, sizes: Integers) -> _Sums:
    check_distance_matrix(X)
    negative = np.flatnonzero(X.data < -100 * np.finfo(X.dtype).eps)
    if len(negative):
        raise ValueError(
            "the distance matrix holds a negative distance; the first bad row is "
            f"{_row(X, negative[0])}"
        )
    members = _members(codes, len(sizes))
    for first, stop in _blocks(len(codes), len(sizes)):
        yield first, (X[first:stop].astype(np.float64) @ members).toarray()


_SUMS = {
    "euclidean": _sums_euclidean,
    "sqeuclidean": _sums_squared,
    "cosine": _sums_cosine,
    "precomputed": _sums_precomputed,
}


def _blocks(n: int, width: int) -> Iterator[tuple[int, int]]:
    step = max(1, _BLOCK // (8 * width))
    for first in range(0, n, step):
        yield first, min(first + step, n)


def _members(codes: Integers, classes: int, weights: npt.ArrayLike = 1.0) -> Any:
    """The sparse matrix of shape (n, K) with the weight of its class in each row."""
    from scipy.sparse import csr_array

    values = np.broadcast_to(np.asarray(weights, np.float64), classes)[codes]
    return csr_array((values, codes, np.arange(len(codes) + 1)), shape=(len(codes), classes))


def _scaled(X: Any) -> Any:
    """In float64, by a power of two such that no square overflows; silhouettes stay the same."""
    from scipy.sparse import csr_array

    largest = float(np.abs(X.data).max(initial=0))
    exponent = int(np.frexp(largest)[1]) if largest else 0
    values = np.ldexp(X.data.astype(np.float64), -exponent)
    return csr_array((values, X.indices, X.indptr), shape=X.shape)


def _unit_rows(X: Any) -> tuple[Any, npt.NDArray[np.bool_]]:
    """Rows of length 1, and which rows are zeros."""
    from scipy.sparse import csr_array

    stored = np.diff(X.indptr)
    of_value = np.repeat(np.arange(X.shape[0]), stored)
    values = X.data.astype(np.float64)
    largest = np.zeros(X.shape[0])
    np.maximum.at(largest, of_value, np.abs(values))
    zero = largest == 0
    values /= np.where(zero, 1, largest)[of_value]
    lengths = np.sqrt(np.bincount(of_value, weights=values**2, minlength=X.shape[0]))
    values /= np.where(zero, 1, lengths)[of_value]
    return csr_array((values, X.indices, X.indptr), shape=X.shape), zero


def _squares(X: Any) -> Floats:
    """|x|² of each row."""
    of_value = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    return np.bincount(of_value, weights=X.data**2, minlength=X.shape[0]).astype(np.float64)


def _squared_differences(X: Any, rows: Integers, Y: Any, others: Integers) -> Floats:
    """|x - y|² of some pairs of rows, from their differences."""
    found = np.empty(len(rows))
    if not len(rows):
        return found
    taken = np.diff(X.indptr)[rows] + np.diff(Y.indptr)[others]
    batch = np.cumsum(taken) // _SUBTRACTED
    cuts = np.flatnonzero(np.diff(batch)) + 1
    for begin, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        found[begin:stop] = _squares(X[rows[begin:stop]] - Y[others[begin:stop]])
    return found


def _variances(X: Any, codes: Integers, means: Any, sizes: Integers) -> Floats:
    """Mean squared distance of the rows of each class to its mean, from differences."""
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(sizes)
    found = np.zeros(len(sizes))
    mean, stored = np.zeros(X.shape[1]), np.zeros(X.shape[1], np.int64)
    for k, (size, end) in enumerate(zip(sizes, ends, strict=True)):
        if size < 2:
            continue
        members = X[order[end - size : end]]
        of_mean = slice(means.indptr[k], means.indptr[k + 1])
        features = means.indices[of_mean]
        mean[features] = means.data[of_mean]
        np.add.at(stored, members.indices, 1)
        absent = (size - stored[features]) * mean[features] ** 2
        found[k] = (((members.data - mean[members.indices]) ** 2).sum() + absent.sum()) / size
        mean[features] = 0
        stored[members.indices] = 0
    return found


def _row(X: Any, value: int) -> int:
    """The row of a stored value."""
    return int(np.searchsorted(X.indptr, value, side="right") - 1)
