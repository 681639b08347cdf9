"""Silhouette coefficients: how well encodings group by class."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from zoorank import _core
from zoorank.engine import cost, cuda
from zoorank.engine.arrays import Matrix, as_matrix
from zoorank.engine.device_rows import DeviceRows
from zoorank.engine.estimate import Estimate, estimate_mean, predicted_rows
from zoorank.engine.labels import number_classes
from zoorank.engine.options import METRICS, check_choice, check_precision, check_threads, uses_cuda
from zoorank.engine.result import SilhouetteResult, exact_result
from zoorank.engine.rows import MemoryRows, StreamedRows, is_streamed, open_rows
from zoorank.engine.samples import LEAST_REFERENCES, estimate_samples
from zoorank.engine.surrogate import Progress, silhouettes_by_means

METHODS = ("auto", "exact", "estimate")

_Path = str | os.PathLike[str]

__all__ = [
    "METRICS",
    "SilhouetteResult",
    "silhouette",
    "silhouette_samples",
    "silhouette_score",
]


@overload
def silhouette_samples(
    X: npt.ArrayLike | _Path | Sequence[_Path],
    labels: npt.ArrayLike,
    *,
    metric: str = ...,
    method: str = ...,
    references: int = ...,
    return_error: Literal[False] = ...,
    random_state: int | np.random.Generator | None = ...,
    n_threads: int | None = ...,
) -> npt.NDArray[np.float64]: ...


@overload
def silhouette_samples(
    X: npt.ArrayLike | _Path | Sequence[_Path],
    labels: npt.ArrayLike,
    *,
    metric: str = ...,
    method: str = ...,
    references: int = ...,
    return_error: Literal[True],
    random_state: int | np.random.Generator | None = ...,
    n_threads: int | None = ...,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...


def silhouette_samples(
    X: npt.ArrayLike | _Path | Sequence[_Path],
    labels: npt.ArrayLike,
    *,
    metric: str = "euclidean",
    method: str = "exact",
    references: int = 64,
    return_error: bool = False,
    random_state: int | np.random.Generator | None = None,
    n_threads: int | None = None,
) -> npt.NDArray[np.float64] | tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    r"""Silhouette coefficient of each sample.

    With :math:`a_i` the mean distance of sample i to the others of its class and
    :math:`b_i` the smallest mean distance to another class,
    :math:`s_i = (b_i - a_i) / \max(a_i, b_i)` [1]_. A class of one scores 0, and
    so does 0/0. A drop-in for :func:`sklearn.metrics.silhouette_samples`, except
    that NaN and infinity are errors.

    Parameters
    ----------
    X : array_like of shape (n, d), or (n, n) for ``metric="precomputed"``
        Encodings, or distances between them. float32 is computed in float32, to
        within 5e-6 of the float64 answer; all else in float64. An array that lives on
        a CUDA device is computed there, without a copy.
    labels : array_like of shape (n,)
        Integers or strings.
    metric : {"euclidean", "sqeuclidean", "cosine", "manhattan", "precomputed"}
        ``cosine`` and ``sqeuclidean`` take O(nKd) time, the others O(n²d).
    method : {"exact", "estimate"}
        ``"estimate"`` takes O(nKd) time for ``euclidean`` too: mean distances from
        `references` random rows of the sample's class and of the five nearest others,
        with the known mean squared distance as control variate. It makes every mean
        distance unbiased, and the root mean square error of s at 64 references some
        0.001 to 0.003 on encodings of real data (``docs/estimator.md``). Exact where that
        costs no more, for other metrics and on a device.
    references : int, default=64
        Rows of each class that others are compared with, at least 8, for
        ``method="estimate"``. The error falls with their square root, and is 0 for
        classes that have no more rows.
    return_error : bool, default=False
        Whether to return the standard error of each sample too.
    random_state : int or numpy.random.Generator, optional
        Seed of the draw.
    n_threads : int, optional
        The result has the same bits for any number. By default the environment
        variable ``ZOORANK_NUM_THREADS``, or every available processor.

    Returns
    -------
    samples : ndarray of shape (n,), float64
    errors : ndarray of shape (n,), float64
        Standard error of each, 0 where exact; only with ``return_error=True``.

    Raises
    ------
    ValueError
        For NaN, infinity or a negative distance (naming the first bad row), labels of
        another length, fewer than 2 or more than n - 1 classes, an unknown metric, and
        for references of all classes that take more than a gigabyte.
    TypeError
        For input that is sparse, complex or on a device that is not CUDA's.
    RuntimeError
        For an array on a CUDA device where none can be used, with the reason.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and
       validation of cluster analysis", J. Comput. Appl. Math. 20, 53-65, 1987.

    Examples
    --------
    >>> import zoorank
    >>> X = [[0.0], [1.0], [10.0], [12.0]]
    >>> zoorank.silhouette_samples(X, ["a", "a", "b", "b"]).round(3)
    array([0.909, 0.9  , 0.789, 0.826])
    """
    check_choice(metric, METRICS, "metric")
    check_choice(method, ("exact", "estimate"), "method")
    threads = check_threads(n_threads)
    if references < LEAST_REFERENCES:
        raise ValueError(f"references must be at least {LEAST_REFERENCES}, got {references}")
    found = None
    if uses_cuda("auto", X, metric):
        samples = cuda.silhouettes(X, labels, metric)[0]
    else:
        rows = _rows_of(X)
        classes, codes = number_classes(labels, rows.shape[0])
        if method == "estimate" and metric == "euclidean" and 2 <= len(classes) < rows.shape[0]:
            found = estimate_samples(
                rows,
                codes,
                len(classes),
                references=references,
                random_state=random_state,
                threads=threads,
            )
        if found is None:
            samples = _exact_samples(rows, X, codes, metric, threads, None)
    if found is None:
        found = samples, np.zeros(len(samples))
    return found if return_error else found[0]


def silhouette_score(
    X: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    metric: str = "euclidean",
    n_threads: int | None = None,
) -> float:
    """Mean silhouette coefficient of all samples.

    A drop-in for :func:`sklearn.metrics.silhouette_score`. See
    :func:`silhouette_samples` for parameters and errors.

    Returns
    -------
    float
        In [-1, 1]; higher when the classes are better separated.

    Examples
    --------
    >>> import zoorank
    >>> zoorank.silhouette_score([[0.0], [1.0], [10.0], [12.0]], [0, 0, 1, 1], metric="manhattan")
    0.856...
    """
    samples = silhouette_samples(X, labels, metric=metric, n_threads=n_threads)
    return float(samples.mean())


def silhouette(
    X: npt.ArrayLike | _Path | Sequence[_Path],
    labels: npt.ArrayLike,
    *,
    metric: str = "euclidean",
    method: str = "auto",
    tol: float = 1e-3,
    confidence: float = 0.99,
    random_state: int | np.random.Generator | None = None,
    device: str = "auto",
    precision: str = "auto",
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> SilhouetteResult:
    """Mean silhouette coefficient with its error, per-class means and cost.

    Euclidean silhouettes of many samples are estimated: a surrogate of every
    sample's, from class means alone, is corrected by the exact value of a random few
    [1]_. The estimate is unbiased, and its interval comes from how far the two differ
    on the samples drawn.

    Parameters
    ----------
    X : array_like of shape (n, d), path, or list of shards
        As for :func:`silhouette_samples`; or a ``.npy`` or ``.safetensors`` file, or a
        list of such files and of arrays, one after the other. Files and
        :class:`numpy.memmap` are estimated in blocks, in memory that does not grow
        with them beyond a few numbers a row.
    labels, metric, n_threads
        As for :func:`silhouette_samples`.
    method : {"auto", "exact", "estimate"}
        ``"auto"`` is exact unless that would take more than about a second on two
        cores and more than an estimate; the rule looks at the shape alone, not at the
        machine. ``"estimate"`` is exact too where it could not be cheaper: for metrics
        other than ``euclidean``, and where most samples would have to be drawn.
    tol : float
        Samples are drawn until the half width is at most this.
    confidence : float
        The share of intervals that are to hold the exact score, in (0, 1).
    random_state : int or numpy.random.Generator, optional
        Seed of the draw. An estimate has the same bits for the same seed.
    device : {"auto", "cpu", "cuda"}
        Where to compute. ``"auto"`` computes where `X` lives: a torch or CuPy array on a
        CUDA device is not copied. ``"cuda"`` raises where there is no usable device. On
        a device ``method="auto"`` is exact, and files are read into memory first.
    precision : {"auto", "float32", "bf16x3"}
        How exact Euclidean distances between float32 rows are computed on the CPU; nothing
        else is concerned. ``"bf16x3"`` takes each value as a sum of two bf16, 17 bits in
        all, and multiplies on the matrix unit of processors with AMX; s is within 5e-6 of
        the float64 answer unless the rounding errors of the features conspire. ``"auto"``
        is float32 until that has run on such a processor.
    progress : callable, optional
        Called about twenty times a second with the fraction done, which never falls,
        and with 1.0 at the end. An exception that it raises ends the call.

    Returns
    -------
    SilhouetteResult

    Raises
    ------
    ValueError, TypeError
        As for :func:`silhouette_samples`; for files of another kind; for
        ``precision="bf16x3"`` where the instruction set in use is not ``amx``.
    RuntimeError
        For ``device="cuda"`` without a usable device, with the reason.

    References
    ----------
    .. [1] C. Sarndal, B. Swensson, J. Wretman, "Model Assisted Survey Sampling",
       Springer, 1992: the difference estimator.

    Examples
    --------
    >>> import zoorank
    >>> result = zoorank.silhouette([[0.0], [1.0], [10.0], [12.0]], ["a", "a", "b", "b"])
    >>> round(result.score, 3), result.half_width, result.method
    (0.856, 0.0, 'exact')
    >>> dict(zip(result.classes.tolist(), result.per_class.round(3).tolist()))
    {'a': 0.905, 'b': 0.808}

    >>> import numpy as np
    >>> y = np.arange(20_000) % 10
    >>> X = np.random.default_rng(0).normal(size=(20_000, 8)) + y[:, None]
    >>> result = zoorank.silhouette(X, y, method="estimate", tol=1e-3, random_state=0)
    >>> result.method, result.half_width <= 1e-3
    ('estimate', True)
    """
    check_choice(metric, METRICS, "metric")
    check_choice(method, METHODS, "method")
    check_precision(precision)
    on_cuda = uses_cuda(device, X, metric)
    if not tol > 0:
        raise ValueError(f"tol must be positive, got {tol!r}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}")
    threads = check_threads(n_threads)
    if on_cuda:
        wanted = (tol, confidence, random_state) if method == "estimate" else None
        return _on_cuda(X, labels, metric, wanted, progress)
    rows = _rows_of(X)
    n, d = rows.shape
    classes, codes = number_classes(labels, n)
    begin = time.perf_counter()
    estimated = metric == "euclidean" and 2 <= len(classes) < n
    if method == "auto":
        drawn = predicted_rows(n, len(classes), tol, confidence)
        estimated = estimated and not cost.prefers_exact(n, d, len(classes), drawn)
    estimated = estimated and method != "exact"
    found = None
    if estimated:
        found = estimate_mean(
            rows,
            codes,
            len(classes),
            tol=tol,
            confidence=confidence,
            random_state=random_state,
            threads=threads,
            progress=progress,
        )
    if found is None:
        # Of an estimate that was given up, progress has been reported already.
        reported = None if estimated else progress
        samples = _exact_samples(rows, X, codes, metric, threads, reported, precision)
    if progress is not None:
        progress(1.0)
    if found is None:
        return exact_result(samples, classes, codes, metric, time.perf_counter() - begin)
    return _estimated_result(found, classes, n, time.perf_counter() - begin)


def _on_cuda(
    X: Any,
    labels: Any,
    metric: str,
    wanted: tuple[float, float, int | np.random.Generator | None] | None,
    progress: Progress | None,
) -> SilhouetteResult:
    """On a device: exact, unless an interval is `wanted` that is cheaper."""
    begin = time.perf_counter()
    found = None
    if wanted is not None and metric == "euclidean":
        X = cuda.to_device(X)
        n = len(X)
        classes, codes = number_classes(labels, n)
        if 2 <= len(classes) < n:
            tol, confidence, random_state = wanted
            found = estimate_mean(
                DeviceRows(X),
                codes,
                len(classes),
                tol=tol,
                confidence=confidence,
                random_state=random_state,
                threads=0,
                progress=progress,
            )
    if found is None:
        samples, classes, codes = cuda.silhouettes(X, labels, metric)
    if progress is not None:
        progress(1.0)
    seconds = time.perf_counter() - begin
    if found is None:
        return exact_result(samples, classes, codes, metric, seconds)
    return _estimated_result(found, classes, n, seconds)


def _estimated_result(
    found: Estimate, classes: npt.NDArray[Any], n: int, seconds: float
) -> SilhouetteResult:
    return SilhouetteResult(
        score=found.score,
        half_width=found.half_width,
        method="exact" if found.rows_evaluated == n else "estimate",
        metric="euclidean",
        per_class=found.per_class,
        classes=classes,
        n_samples=n,
        seconds=seconds,
        rows_evaluated=found.rows_evaluated,
        per_class_half_width=found.per_class_half_width,
    )


def _rows_of(X: Any) -> MemoryRows | StreamedRows:
    return open_rows(X) if is_streamed(X) else MemoryRows(as_matrix(X))


def _exact_samples(
    rows: MemoryRows | StreamedRows,
    X: Any,
    codes: npt.NDArray[np.int64],
    metric: str,
    threads: int,
    progress: Progress | None,
    precision: str = "auto",
) -> npt.NDArray[np.float64]:
    """Go through all pairs, in memory; files are streamed where no pairs are needed."""
    matrix: Matrix
    if isinstance(rows, MemoryRows):
        matrix = rows.matrix
    elif metric in {"cosine", "sqeuclidean"}:
        return silhouettes_by_means(rows, codes, metric, threads, progress)
    else:
        matrix = as_matrix(X) if isinstance(X, np.ndarray) else rows.load()
    return _core.silhouette_samples(matrix, codes, metric, threads, progress, precision)
