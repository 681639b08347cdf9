"""Distances between rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zoorank import _core
from zoorank.engine import cuda
from zoorank.engine.arrays import Matrix, as_matrix, as_pair
from zoorank.engine.environment import check_metric, check_precision, check_threads, uses_cuda


def pairwise_distances(
    X: npt.ArrayLike,
    Y: npt.ArrayLike | None = None,
    *,
    metric: str = "euclidean",
    precision: str = "auto",
    n_threads: int | None = None,
) -> Matrix:
    """Distance of each row of `X` to each row of `Y`.

    Rows are centred before they are multiplied, and pairs that still lose too
    many digits to cancellation are computed from differences, so that near rows
    far from the origin come out right.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Any input that :func:`silhouette_samples` takes.
    Y : array_like of shape (m, d), optional
        `X` itself by default; the diagonal is then exactly 0.
    metric : {"euclidean", "sqeuclidean", "cosine", "manhattan", "precomputed"}
        The cosine distance to a row of zeros is 1. ``precomputed`` hands `X` back.
    precision : {"auto", "float32", "bf16x3"}
        As for :func:`silhouette`, and for ``sqeuclidean`` and ``cosine`` too; but
        no mean evens out the error of a single distance.
    n_threads : int, optional
        As for :func:`silhouette_samples`.

    Returns
    -------
    ndarray of shape (n, m)
        float32 when both inputs are, float64 otherwise; in host memory.

    Raises
    ------
    ValueError
        For NaN or infinity (naming the first bad row), widths that differ, an
        unknown metric, ``precomputed`` with a matrix of another shape or a negative
        distance in it, or ``precision="bf16x3"`` where the instruction set in use is
        not ``amx``.
    TypeError
        As for :func:`silhouette_samples`.

    Examples
    --------
    >>> import zoorank
    >>> zoorank.pairwise_distances([[0.0, 0.0], [3.0, 4.0]])
    array([[0., 5.],
           [5., 0.]])
    """
    metric = check_metric(metric)
    check_precision(precision)
    if metric == "precomputed":
        matrix = as_matrix(X)
        columns = len(matrix) if Y is None else len(as_matrix(Y, "Y"))
        if matrix.shape[1] != columns:
            raise ValueError(
                f"precomputed distances must have {columns} columns, got {matrix.shape}"
            )
        _check_distances(matrix)
        return matrix
    threads = check_threads(n_threads)
    if uses_cuda("auto", X, metric) or (Y is not None and uses_cuda("auto", Y, metric)):
        distances = cuda.pairwise_distances(X, Y, metric)
        if Y is None:
            np.fill_diagonal(distances, 0)
        return distances
    if Y is not None:
        x, y = as_pair(X, Y)
        return _core.pairwise_distances(x, y, metric, threads, precision)
    x = as_matrix(X)
    distances = _core.pairwise_distances(x, x, metric, threads, precision)
    np.fill_diagonal(distances, 0)  # a row of zeros is at cosine distance 1 even from its like
    return distances


def _check_distances(matrix: Matrix) -> None:
    """Refuse what no distance is, as the silhouettes of such a matrix do."""
    lowest, highest = matrix.min(axis=1), matrix.max(axis=1)
    for bad, what in (
        (~(np.isfinite(lowest) & np.isfinite(highest)), "NaN or infinity"),
        (lowest < -100 * np.finfo(matrix.dtype).eps, "a negative distance"),
    ):
        if bad.any():
            raise ValueError(
                f"the distance matrix holds {what}; the first bad row is {int(bad.argmax())}"
            )
