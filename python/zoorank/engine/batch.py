"""Silhouette coefficients of many encodings of the same samples in one call."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from zoorank import _core
from zoorank.engine import cuda
from zoorank.engine.arrays import (
    as_matrix,
    check_distance_matrix,
    silhouette_classes,
)
from zoorank.engine.environment import check_metric, check_threads, uses_cuda
from zoorank.engine.silhouette import SilhouetteResult, exact_result, silhouette

__all__ = ["silhouette_batch"]


@overload
def silhouette_batch(
    Xs: Iterable[npt.ArrayLike],
    labels: npt.ArrayLike,
    *,
    metric: str = "euclidean",
    n_threads: int | None = None,
) -> list[SilhouetteResult]: ...
@overload
def silhouette_batch(
    Xs: Iterable[npt.ArrayLike],
    labels: npt.ArrayLike,
    *,
    metric: list[str] | tuple[str, ...],
    n_threads: int | None = None,
) -> list[tuple[SilhouetteResult, ...]]: ...
def silhouette_batch(
    Xs: Iterable[npt.ArrayLike],
    labels: npt.ArrayLike,
    *,
    metric: str | list[str] | tuple[str, ...] = "euclidean",
    n_threads: int | None = None,
) -> list[SilhouetteResult] | list[tuple[SilhouetteResult, ...]]:
    """Mean silhouette coefficients of many encodings of the same samples.

    One call is faster than a loop: labels are prepared once, and problems too
    small to occupy all threads are computed side by side.

    Parameters
    ----------
    Xs : iterable of array_like of shape (n, d_i)
        Encodings of the same n samples; widths may differ.
    labels, n_threads
        As for :func:`silhouette_samples`.
    metric : str, or list or tuple of str
        Several metrics are computed for every encoding.

    Returns
    -------
    list of SilhouetteResult
        In the order of `Xs`; each equals that of :func:`silhouette` bit for bit.
        For several metrics, a list of tuples in the order of the metrics.

    Raises
    ------
    ValueError, TypeError
        As for :func:`silhouette_samples`.

    Examples
    --------
    >>> import zoorank
    >>> encodings = [[[0.0], [1.0], [10.0], [12.0]], [[0.0], [5.0], [1.0], [6.0]]]
    >>> [round(r.score, 3) for r in zoorank.silhouette_batch(encodings, [0, 0, 1, 1])]
    [0.856, -0.4]
    >>> both = ("euclidean", "sqeuclidean")
    >>> for results in zoorank.silhouette_batch(encodings, [0, 0, 1, 1], metric=both):
    ...     print([round(result.score, 3) for result in results])
    [0.856, 0.977]
    [-0.4, -0.46]
    """
    names = (metric,) if isinstance(metric, str) else tuple(metric)
    if not names:
        raise ValueError("metric names no metric")
    metrics = tuple(check_metric(name) for name in names)
    of_each = _batch(list(Xs), labels, metrics, check_threads(n_threads))
    return [results[0] for results in of_each] if isinstance(metric, str) else of_each


def _batch(
    Xs: list[Any], labels: npt.ArrayLike, metrics: tuple[str, ...], threads: int
) -> list[tuple[SilhouetteResult, ...]]:
    if any(uses_cuda("auto", X, metric) for X in Xs for metric in metrics):
        return _on_cuda(Xs, labels, metrics)
    matrices = [as_matrix(X, f"Xs[{i}]") for i, X in enumerate(Xs)]
    if not matrices:
        return []
    for i, matrix in enumerate(matrices):
        if len(matrix) != len(matrices[0]):
            raise ValueError(f"Xs[{i}] has {len(matrix)} rows and Xs[0] has {len(matrices[0])}")
    classes, codes = silhouette_classes(labels, len(matrices[0]))
    if "precomputed" in metrics:
        for matrix in matrices:
            check_distance_matrix(matrix)
    begin = time.perf_counter()
    samples: dict[tuple[int, str], npt.NDArray[np.float64]] = {}
    for dtype in {matrix.dtype for matrix in matrices}:
        members = [i for i, matrix in enumerate(matrices) if matrix.dtype == dtype]
        scored = _core.silhouette_batch([matrices[i] for i in members], codes, metrics, threads)
        samples.update(zip(itertools.product(members, metrics), scored, strict=True))
    seconds = (time.perf_counter() - begin) / (len(matrices) * len(metrics))
    return [
        tuple(
            exact_result(samples[i, metric], classes, codes, metric, seconds) for metric in metrics
        )
        for i in range(len(matrices))
    ]


def _on_cuda(
    Xs: list[Any], labels: npt.ArrayLike, metrics: tuple[str, ...]
) -> list[tuple[SilhouetteResult, ...]]:
    """One after the other, each copied to the device once for all metrics if at all."""
    found: list[tuple[SilhouetteResult, ...]] = []
    rows = 0
    for i, X in enumerate(Xs):
        there = cuda.to_device(X, f"Xs[{i}]")
        rows = rows or len(there)
        if len(there) != rows:
            raise ValueError(f"Xs[{i}] has {len(there)} rows and Xs[0] has {rows}")
        device: Any = there  # given distances are added up on the host
        found.append(
            tuple(
                silhouette(
                    X if metric == "precomputed" else device, labels, metric=metric, method="exact"
                )
                for metric in metrics
            )
        )
    return found
