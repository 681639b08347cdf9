"""Nearest neighbours, by FAISS where it is installed and by the engine's own kernels else."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from zoorank.engine.arrays import Matrix, as_matrix, on_device
from zoorank.engine.environment import check_choice, check_integer, check_threads, device_wish
from zoorank.engine.index import BLOCK, brute_force, load_faiss, raised, row_cells, search

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Of each of these the order and the length are known below.
METRICS = ("euclidean", "sqeuclidean", "cosine", "manhattan")
_OF_SQUARES = ("euclidean", "sqeuclidean", "cosine")  # of differences, or of those of directions
_OF_ABSOLUTES = ("manhattan",)  # differences, for which there is no index
NEIGHBOR_METHODS = ("auto", "exact", "approximate")

# From this many rows on, "auto" is approximate.
_APPROXIMATE_FROM = 200_000

# Candidates beyond k, so that rounding in the search decides nothing.
_SPARE = 8


def nearest_neighbors(
    X: npt.ArrayLike,
    k: int,
    *,
    metric: str = "euclidean",
    method: str = "auto",
    n_threads: int | None = None,
) -> tuple[Floats, Integers]:
    """The `k` nearest other rows of each row.

    A row is never its own neighbour: it is left out by its index, so that a duplicate
    of it is found at distance 0.

    Parameters
    ----------
    X : array_like of shape (n, d)
        As for :func:`silhouette_samples`. An array on a CUDA device is copied to the host;
        then, and where ``ZOORANK_DEVICE`` is ``cuda``, faiss-gpu searches on the first GPU.
    k : int
        At least 1, at most n - 1.
    metric : {"euclidean", "sqeuclidean", "cosine", "manhattan"}
    method : {"auto", "exact", "approximate"}
        ``"approximate"`` searches a sixteenth of an inverted file and needs FAISS. What
        it misses depends on the data: under a tenth of the neighbours in 8 features, and
        the more the more independent features there are. ``"auto"`` is exact below
        200 000 rows, for ``manhattan``, and without FAISS.
    n_threads : int, optional
        As for :func:`silhouette_samples`.

    Returns
    -------
    distances : ndarray of shape (n, k), float64
        Ascending.
    indices : ndarray of shape (n, k), int64
        Equal distances in order of index. -1, at distance infinity, where an
        approximate search found fewer than k.

    Notes
    -----
    The search is in float32 with FAISS, and in the type of the rows without; the order and
    the distances are from differences in float64. Where rounding in the search may have
    lost a neighbour, ``"exact"`` searches for those rows again in float64.

    Raises
    ------
    ValueError
        For NaN or infinity, an unknown metric or method, `k` out of range, and a value of
        ``ZOORANK_DEVICE`` other than ``cpu`` and ``cuda``.
    TypeError
        As for :func:`silhouette_samples`.
    RuntimeError
        For ``"approximate"`` without FAISS, or when faiss-cpu and faiss-gpu are both
        installed and hide each other.

    References
    ----------
    M. Douze et al., "The Faiss library", arXiv:2401.08281, 2024.

    Examples
    --------
    >>> import zoorank
    >>> distances, indices = zoorank.nearest_neighbors([[0.0], [1.0], [5.0]], 1)
    >>> indices.ravel().tolist(), distances.ravel().tolist()
    ([1, 0, 1], [1.0, 1.0, 4.0])
    """
    check_choice(metric, METRICS, "metric")
    if metric not in (*_OF_SQUARES, *_OF_ABSOLUTES):
        raise ValueError(f"metric {metric!r} has no order of neighbours")
    check_choice(method, NEIGHBOR_METHODS, "method")
    threads = check_threads(n_threads)
    on_gpu = on_device(X) or device_wish() == "cuda"
    matrix = as_matrix(X)
    n, k = len(matrix), check_integer(k, "k")
    if not 1 <= k < n:
        raise ValueError(f"k must lie between 1 and n_samples - 1 = {n - 1}, got {k}")
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if len(bad):
        raise ValueError(f"X holds NaN or infinity; the first bad row is {bad[0]}")
    if metric == "cosine" and not matrix.any(axis=1).all():
        zero = np.flatnonzero(~matrix.any(axis=1))[0]
        raise ValueError(f"a row of zeros has no cosine neighbours; the first one is {zero}")
    faiss = load_faiss() if metric in _OF_SQUARES else None
    if method == "approximate" and faiss is None:
        if metric in _OF_ABSOLUTES:
            raise RuntimeError(f"method='approximate': metric {metric!r} has no index; use 'exact'")
        raise RuntimeError(
            "method='approximate': FAISS is missing; pip install 'zoorank[faiss-cpu]'"
        )
    approximate = method == "approximate" or (method == "auto" and n >= _APPROXIMATE_FROM)
    cells = row_cells(n) if approximate else None
    wanted = min(n, k + 1 + _SPARE)
    values, power = _in_range(matrix)
    if metric in _OF_ABSOLUTES:
        found = brute_force(values, values, wanted, metric, threads)
        order, indices, _ = _ranked(values, found, k, metric)
        return _lengths(order, metric, power), indices
    points, raised = _points(values, metric)
    if faiss is None:
        found = brute_force(values, values, wanted, metric, threads)
    else:
        found = search(faiss, points, points, wanted, cells, threads, on_gpu=on_gpu)
    order, indices, farthest = _ranked(values, found, k, metric)
    if cells is None and wanted < n and (faiss is not None or values.dtype == np.float32):
        again = _in_doubt(points, raised, order[:, -1], farthest)
        if len(again):
            rows = values.astype(np.float64, copy=False)
            found = brute_force(rows[again], rows, wanted, metric, threads)
            order[again], indices[again], _ = _ranked(values, found, k, metric, again)
    return _lengths(order, metric, power), indices


def _in_range(matrix: Matrix) -> tuple[Matrix, int]:
    """The rows, times a power of two where squares in float64 need one, and that power.

    The largest number goes as high up as its squares allow, for beside it those of all
    other differences are tiny. float32 only has to leave room for a difference.
    """
    exponent = int(np.frexp(np.abs(matrix).max())[1])
    least, most = (-1000, 100) if matrix.dtype == np.float32 else (-100, 400)
    if least <= exponent <= most:
        return matrix, 0
    return np.ldexp(matrix, most - exponent), most - exponent


def _points(values: Matrix, metric: str) -> tuple[npt.NDArray[np.float32], int]:
    """Rows in float32 whose Euclidean order is that of the metric, times what power of two."""
    if metric == "cosine":
        return _directions(values).astype(np.float32), 0
    centre: npt.NDArray[Any] = np.median(values[:: max(1, len(values) // 1000)], axis=0)
    return raised(np.subtract(values, centre, dtype=values.dtype))


def _directions(rows: npt.NDArray[Any]) -> Floats:
    values = rows.astype(np.float64)
    values /= np.abs(values).max(axis=-1, keepdims=True)
    values /= np.linalg.norm(values, axis=-1, keepdims=True)
    return values


def _ranked(
    values: Matrix, found: Integers, k: int, metric: str, asked: Integers | None = None
) -> tuple[Floats, Integers, Floats]:
    """The nearest of what was found for the rows asked for, all by default.

    Returns
    -------
    order : ndarray of shape (m, k)
        What decides, from differences in float64: ascending, infinity where there is none.
    indices : ndarray of shape (m, k)
        Without the row itself; -1 where there is none.
    farthest : ndarray of shape (m,)
        What decides, of the farthest that was found.
    """
    asked = np.arange(len(found)) if asked is None else asked
    order, indices = np.empty((len(found), k)), np.empty((len(found), k), np.int64)
    farthest = np.empty(len(found))
    step = max(1, BLOCK // (found.shape[1] * values.shape[1]))
    for begin in range(0, len(found), step):
        here = slice(begin, begin + step)
        rows, own = found[here], asked[here, None]
        none = (rows == own) | (rows < 0)
        D = np.where(none, np.inf, _distances(values, own, rows, metric))
        first = np.lexsort((rows, D), axis=1)[:, :k]
        order[here] = np.take_along_axis(D, first, axis=1)
        indices[here] = np.take_along_axis(np.where(none, -1, rows), first, axis=1)
        farthest[here] = np.where(none, 0, D).max(axis=1)
    return order, indices, farthest


def _distances(values: Matrix, own: Integers, others: Integers, metric: str) -> Floats:
    """Sums of absolute differences, or of squares; for cosine of squares between directions."""
    x, y = values[own].astype(np.float64), values[others].astype(np.float64)
    if metric == "cosine":
        x, y = _directions(x), _directions(y)
    difference = y - x
    if metric in _OF_ABSOLUTES:
        absolute: Floats = np.abs(difference).sum(axis=2)
        return absolute
    squares: Floats = np.einsum("ijk,ijk->ij", difference, difference)
    return squares


def _in_doubt(
    points: npt.NDArray[np.float32], power: int, nearest: Floats, farthest: Floats
) -> Integers:
    """Rows of which a search in float32 may have missed a neighbour.

    It compares |x|² + |y|² - 2xy, and rounds by the size of these squares, not by that of
    the difference. A row that it missed it took for farther than all that it found: none
    is within `nearest`, the k-th square, where both roundings end before `farthest`.
    """
    d = points.shape[1]
    norms: Floats = np.sqrt(np.einsum("ij,ij->i", points, points, dtype=np.float64))
    np.ldexp(norms, -power, out=norms)
    lost = np.ldexp(float(d), -2 * power - 120)  # squares too small for float32

    def rounding(squares: Floats) -> Floats:
        size = 2 * norms + np.sqrt(squares)
        bound: Floats = (4 + np.sqrt(d)) * 2.0**-24 * size**2 + lost
        return bound

    doubtful = nearest + rounding(nearest) >= farthest - rounding(farthest)
    return np.flatnonzero(doubtful & (nearest > 0))


def _lengths(order: Floats, metric: str, power: int) -> Floats:
    """Distances of the rows as they were given; what is too large for a number is infinite."""
    if metric == "cosine":
        return order / 2
    lengths: Floats = np.sqrt(order) if metric == "euclidean" else order
    with np.errstate(over="ignore", under="ignore"):
        np.ldexp(lengths, (-2 if metric == "sqeuclidean" else -1) * power, out=lengths)
    return lengths
