"""The mean silhouette, exact or within an interval, and what is known about it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from zoorank import _core
from zoorank.engine import cost
from zoorank.engine.arrays import (
    MemoryRows,
    as_matrix,
    check_distance_matrix,
    is_sparse,
    memory_rows,
    silhouette_classes,
)
from zoorank.engine.cuda import DeviceRows
from zoorank.engine.drop_in import SparseRows
from zoorank.engine.environment import MeanSettings
from zoorank.engine.estimate import Estimate, estimate_mean, predicted_rows
from zoorank.engine.rows import (
    AnyPath,
    Floats,
    Integers,
    Progress,
    Rows,
    StreamedRows,
    open_rows,
)
from zoorank.engine.surrogate import silhouettes_by_means

__all__ = ["Problem", "SilhouetteResult", "exact_result", "opened", "silhouette"]


@dataclass(frozen=True, eq=False)
class SilhouetteResult:
    """A mean silhouette coefficient and what is known about it.

    Attributes
    ----------
    score : float
        The mean silhouette coefficient over all samples, in [-1, 1].
    half_width : float
        Half the width of the confidence interval around `score`; 0.0 when exact.
    method : str
        How it was computed: ``"exact"`` or ``"estimate"``.
    metric : str
        The distance between samples.
    per_class : ndarray of shape (K,)
        The mean over the samples of each class, in the order of `classes`.
    classes : ndarray of shape (K,)
        The distinct labels, ascending.
    n_samples : int
        How many samples `score` is the mean of.
    seconds : float
        Wall time of the computation; in a batch, its share by number of encodings.
    rows_evaluated : int
        Of how many samples the silhouette was computed exactly; all when exact.
    per_class_half_width : ndarray of shape (K,)
        Half the width of an approximate interval around each mean of `per_class`,
        0.0 when exact. A class from which few rows were drawn is taken to err like
        the others.
    pairs_evaluated : int or None
        How many distances between samples were computed. Of all n (n - 1) / 2 pairs, exact
        Euclidean silhouettes need only those that bounds cannot rule out, and take no others
        where that is faster (``docs/pruning.md``). 0 for metrics that follow from class means.
        None where it is not counted: in a batch, and on a CUDA device.
    """

    score: float
    half_width: float
    method: str
    metric: str
    per_class: npt.NDArray[np.float64]
    classes: npt.NDArray[Any]
    n_samples: int
    seconds: float
    rows_evaluated: int
    per_class_half_width: npt.NDArray[np.float64]
    pairs_evaluated: int | None

    def __float__(self) -> float:
        return self.score


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
    X : array_like or sparse, of shape (n, d), path, or list of shards
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
    asked = MeanSettings.checked(
        X,
        metric=metric,
        method=method,
        precision=precision,
        device=device,
        tol=tol,
        confidence=confidence,
        random_state=random_state,
        n_threads=n_threads,
    )
    begin = time.perf_counter()
    problem = opened(X, labels, asked.metric, asked.threads, on_cuda=asked.on_cuda)
    estimated = problem.can_be_estimated and asked.method != "exact"
    if asked.method == "auto":
        estimated = estimated and not asked.on_cuda and not problem.prefers_exact(asked)
    found = None
    if estimated:
        found = estimate_mean(
            cast("Rows", problem.rows),
            problem.codes,
            len(problem.classes),
            tol=asked.tol,
            confidence=asked.confidence,
            random_state=asked.generator,
            threads=asked.threads,
            progress=progress,
        )
    if found is None:
        # Of an estimate that was given up, progress has been reported already.
        samples, pairs = problem.exact(None if estimated else progress, asked.precision)
    if progress is not None:
        progress(1.0)
    seconds = time.perf_counter() - begin
    if found is None:
        return exact_result(samples, problem.classes, problem.codes, asked.metric, seconds, pairs)
    return estimated_result(found, problem.classes, len(problem.codes), seconds)


def exact_result(
    samples: npt.NDArray[np.float64],
    classes: npt.NDArray[Any],
    codes: npt.NDArray[np.int64],
    metric: str,
    seconds: float,
    pairs_evaluated: int | None = None,
) -> SilhouetteResult:
    """Sum up the silhouettes of all samples."""
    sums = np.bincount(codes, weights=samples, minlength=len(classes))
    return SilhouetteResult(
        # What mean() does, in a third of its time: that counts in a batch of small problems.
        score=float(np.add.reduce(samples)) / len(samples),
        half_width=0.0,
        method="exact",
        metric=metric,
        per_class=sums / np.bincount(codes, minlength=len(classes)),
        classes=classes,
        n_samples=len(samples),
        seconds=seconds,
        rows_evaluated=len(samples),
        per_class_half_width=np.zeros(len(classes)),
        pairs_evaluated=pairs_evaluated,
    )


def estimated_result(
    found: Estimate, classes: npt.NDArray[Any], n: int, seconds: float
) -> SilhouetteResult:
    """Put together what an estimate of Euclidean silhouettes found."""
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
        pairs_evaluated=found.rows_evaluated * n,
    )


@dataclass(frozen=True)
class Problem:
    """Rows with their classes, where they are to be computed."""

    given: Any  # X as it came
    rows: MemoryRows | StreamedRows | DeviceRows | SparseRows
    classes: npt.NDArray[Any]
    codes: Integers
    metric: str
    threads: int

    @property
    def can_be_estimated(self) -> bool:
        """Whether an estimate could be cheaper, and there is something to estimate."""
        return self.metric == "euclidean" and not isinstance(self.rows, SparseRows)

    def prefers_exact(self, asked: MeanSettings) -> bool:
        """Whether an exact mean is cheap, or cheaper than an estimate."""
        n, d = self.rows.shape
        classes = len(self.classes)
        if cost.is_cheap(n, d, classes):
            return True
        drawn = predicted_rows(n, classes, asked.tol, asked.confidence)
        return cost.prefers_exact(n, d, classes, drawn)

    def exact(
        self, progress: Progress | None = None, precision: str = "auto"
    ) -> tuple[Floats, int | None]:
        """Silhouettes, and the number of pairs of rows that they took, if it is counted.

        In memory; files are streamed where no pairs are needed.
        """
        rows, codes, metric, threads = self.rows, self.codes, self.metric, self.threads
        if isinstance(rows, DeviceRows):
            return rows.silhouettes(codes, metric), None
        if isinstance(rows, SparseRows):
            return rows.silhouettes(codes, metric, threads, progress), None
        if isinstance(rows, StreamedRows) and metric in _core.METRICS_FROM_MEANS:
            return silhouettes_by_means(rows, codes, metric, threads, progress), 0
        if isinstance(rows, MemoryRows):
            matrix = rows.matrix
        else:  # what lies in a mapped file is borrowed there; other files are read
            matrix = as_matrix(self.given) if isinstance(self.given, np.ndarray) else rows.load()
        if metric == "precomputed":
            check_distance_matrix(matrix)
        return _core.exact_silhouettes(matrix, codes, metric, threads, progress, precision)


def opened(X: Any, labels: Any, metric: str, threads: int, *, on_cuda: bool) -> Problem:
    """Rows of whatever a user brings, on the device that is to compute, and their classes."""
    rows: MemoryRows | StreamedRows | DeviceRows | SparseRows
    rows = (None if on_cuda else memory_rows(X)) or _rows_elsewhere(X, on_cuda)
    classes, codes = silhouette_classes(labels, rows.shape[0])
    return Problem(X, rows, classes, codes, metric, threads)


def _rows_elsewhere(X: Any, on_cuda: bool) -> MemoryRows | StreamedRows | DeviceRows | SparseRows:
    """Rows of a sparse matrix, on a device or of files."""
    if is_sparse(X):
        sparse = SparseRows(X)
        return MemoryRows(sparse.matrix.toarray()) if sparse.is_small else sparse
    return DeviceRows(X) if on_cuda else open_rows(X)
