"""The mean silhouette coefficient, exact or with an interval: how well encodings group by class."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zoorank.engine import cost, cuda
from zoorank.engine.device_rows import DeviceRows
from zoorank.engine.estimate import estimate_mean, predicted_rows
from zoorank.engine.exact import AnyPath, exact_samples, rows_of
from zoorank.engine.labels import number_classes
from zoorank.engine.options import (
    METRICS,
    check_between,
    check_choice,
    check_precision,
    check_random_state,
    check_threads,
    uses_cuda,
)
from zoorank.engine.result import SilhouetteResult, estimated_result, exact_result
from zoorank.engine.surrogate import Progress

METHODS = ("auto", "exact", "estimate")

__all__ = ["silhouette"]


def silhouette(
    X: npt.ArrayLike | AnyPath | Sequence[AnyPath],
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
    [1]_. What the surrogate gets wrong makes the interval wider, and no bias that was
    found in 400 draws of real encodings; the interval comes from how far the two differ
    on the samples drawn (``docs/estimator.md``).

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
        Samples are drawn until the half width is at most this. An interval of float32 samples
        is never narrower than their rounding, 5e-6; for less, every sample is scored.
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
        the float64 answer unless the rounding errors of the features conspire or a class has
        very few rows. ``"auto"`` does so where a few distances say that s keeps its 5e-6.
    progress : callable, optional
        Called about twenty times a second with the fraction done, which never falls,
        and with 1.0 at the end. An exception that it raises ends the call.

    Returns
    -------
    SilhouetteResult

    Raises
    ------
    ValueError, TypeError
        As for :func:`silhouette_samples`; for a tol, confidence or random_state that makes no
        sense; for files of another kind; for
        ``precision="bf16x3"`` where the instruction set in use is not ``amx``.
    RuntimeError
        For ``device="cuda"`` without a usable device, with the reason.

    References
    ----------
    .. [1] C.-E. Sarndal, B. Swensson, J. Wretman, "Model Assisted Survey Sampling",
       Springer, 1992, chapter 6: the regression estimator.

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
    tol = check_between(tol, "tol", 0, math.inf)
    confidence = check_between(confidence, "confidence", 0, 1)
    generator = check_random_state(random_state)
    threads = check_threads(n_threads)
    if on_cuda:
        wanted = (tol, confidence, generator) if method == "estimate" else None
        return _on_cuda(X, labels, metric, wanted, progress)
    rows = rows_of(X)
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
            random_state=generator,
            threads=threads,
            progress=progress,
        )
    if found is None:
        # Of an estimate that was given up, progress has been reported already.
        reported = None if estimated else progress
        samples = exact_samples(rows, X, codes, metric, threads, reported, precision)
    if progress is not None:
        progress(1.0)
    if found is None:
        return exact_result(samples, classes, codes, metric, time.perf_counter() - begin)
    return estimated_result(found, classes, n, time.perf_counter() - begin)


def _on_cuda(
    X: Any,
    labels: Any,
    metric: str,
    wanted: tuple[float, float, np.random.Generator] | None,
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
            tol, confidence, generator = wanted
            found = estimate_mean(
                DeviceRows(X),
                codes,
                len(classes),
                tol=tol,
                confidence=confidence,
                random_state=generator,
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
    return estimated_result(found, classes, n, seconds)
