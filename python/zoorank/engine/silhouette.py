"""Silhouettes: of each sample, their mean, and their mean within an interval."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, overload

import numpy as np
import numpy.typing as npt

from zoorank import _core
from zoorank.engine import cost
from zoorank.engine.arrays import (
    as_matrix,
    check_distance_matrix,
    check_number_of_classes,
    is_sparse,
    number_classes,
)
from zoorank.engine.cuda import DeviceRows
from zoorank.engine.drop_in import SparseRows, hand_over, is_handed_over
from zoorank.engine.environment import (
    MeanSettings,
    check_choice,
    check_integer,
    check_metric,
    check_random_state,
    check_threads,
    uses_cuda,
)
from zoorank.engine.estimate import estimate_mean, predicted_rows
from zoorank.engine.result import SilhouetteResult, estimated_result, exact_result
from zoorank.engine.rows import (
    AnyPath,
    Floats,
    Integers,
    MemoryRows,
    Progress,
    Rows,
    StreamedRows,
    open_rows,
)
from zoorank.engine.samples import LEAST_REFERENCES, estimate_samples
from zoorank.engine.surrogate import silhouettes_by_means

__all__ = ["silhouette", "silhouette_samples"]


@overload
def silhouette_samples(
    X: npt.ArrayLike | AnyPath | Sequence[AnyPath],
    labels: npt.ArrayLike,
    *,
    metric: str | Callable[..., float] = ...,
    method: str = ...,
    references: int = ...,
    return_error: Literal[False] = ...,
    random_state: int | np.random.Generator | None = ...,
    n_threads: int | None = ...,
    **kwds: Any,
) -> npt.NDArray[np.float64]: ...


@overload
def silhouette_samples(
    X: npt.ArrayLike | AnyPath | Sequence[AnyPath],
    labels: npt.ArrayLike,
    *,
    metric: str | Callable[..., float] = ...,
    method: str = ...,
    references: int = ...,
    return_error: Literal[True],
    random_state: int | np.random.Generator | None = ...,
    n_threads: int | None = ...,
    **kwds: Any,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...


def silhouette_samples(
    X: npt.ArrayLike | AnyPath | Sequence[AnyPath],
    labels: npt.ArrayLike,
    *,
    metric: str | Callable[..., float] = "euclidean",
    method: str = "exact",
    references: int = 64,
    return_error: bool = False,
    random_state: int | np.random.Generator | None = None,
    n_threads: int | None = None,
    **kwds: Any,
) -> npt.NDArray[np.float64] | tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    r"""Silhouette coefficient of each sample.

    With :math:`a_i` the mean distance of sample i to the others of its class and
    :math:`b_i` the smallest mean distance to another class,
    :math:`s_i = (b_i - a_i) / \max(a_i, b_i)` [1]_. A class of one scores 0, and
    so does 0/0. A drop-in for :func:`sklearn.metrics.silhouette_samples`: what the
    engine does not compute itself it hands over to scikit-learn.

    Parameters
    ----------
    X : array_like or sparse, of shape (n, d), or (n, n) for ``metric="precomputed"``
        Encodings, or distances between them. float32 is computed in float32, to
        within 5e-6 of the float64 answer; all else in float64. An array that lives on
        a CUDA device is computed there, without a copy. SciPy's sparse matrices are computed
        on the CPU, those whose dense copy is large without one, and then in float64;
        precomputed distances that are not stored are 0.
    labels : array_like of shape (n,)
        Integers or strings.
    metric : {"euclidean", "sqeuclidean", "cosine", "manhattan", "precomputed"} or another
        ``cosine`` and ``sqeuclidean`` take O(nKd) time, ``manhattan`` of many rows
        O(nd(log n + K)), and ``euclidean`` O(n²d), or several times less where bounds rule
        out most classes (``docs/pruning.md``). ``l2`` is ``euclidean``; ``l1`` and
        ``cityblock`` are ``manhattan``. Other metrics of scikit-learn, and functions of two
        rows, are computed by scikit-learn where it is installed.
    method : {"exact", "estimate"}
        ``"estimate"`` takes O(nKd) time for ``euclidean`` too: mean distances from
        `references` random rows of the sample's class and of the five nearest others,
        with the known mean squared distance as control variate. It makes every mean
        distance unbiased, and the root mean square error of s at 64 references 0.003 on
        encodings of images, four times that on encodings of series with long tails
        (``docs/estimator.md``). Exact where that costs no more, and for other metrics.
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
    **kwds
        Parameters of the distance, as scikit-learn takes them, such as ``p=3`` for
        ``minkowski``. With any, scikit-learn computes.

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
        for references of all classes that take more than a gigabyte. For values so large
        that distances between other rows vanish beside them, where these are not computed
        again: estimates, ``sqeuclidean`` in float64, CUDA devices.
    TypeError
        For input that is complex or on a device that is not CUDA's, and for
        counts that are no integers.
    RuntimeError
        For an array on a CUDA device where none can be used, with the reason.
    ModuleNotFoundError
        For what scikit-learn is to compute where it is not installed.

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
    handed_over = is_handed_over(metric, kwds)
    check_choice(method, ("exact", "estimate"), "method")
    threads = check_threads(n_threads)
    references = check_integer(references, "references")
    if references < LEAST_REFERENCES:
        raise ValueError(f"references must be at least {LEAST_REFERENCES}, got {references}")
    generator = check_random_state(random_state)
    if handed_over:
        samples = hand_over(X, labels, metric, kwds)
        return (samples, np.zeros(len(samples))) if return_error else samples
    metric = check_metric(metric)
    problem = _open(X, labels, metric, threads, on_cuda=uses_cuda("auto", X, metric))
    found = None
    if method == "estimate" and problem.can_be_estimated:
        found = estimate_samples(
            cast("Rows", problem.rows),
            problem.codes,
            len(problem.classes),
            references=references,
            random_state=generator,
            threads=threads,
        )
    if found is None:
        found = problem.exact()[0], np.zeros(len(problem.codes))
    return found if return_error else found[0]


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
    problem = _open(X, labels, asked.metric, asked.threads, on_cuda=asked.on_cuda)
    estimated = problem.can_be_estimated and method != "exact"
    if method == "auto":
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


@dataclass(frozen=True)
class _Problem:
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
        drawn = predicted_rows(n, len(self.classes), asked.tol, asked.confidence)
        return cost.prefers_exact(n, d, len(self.classes), drawn)

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
        # What lies in a mapped file is borrowed there; other files are read.
        mapped = isinstance(rows, StreamedRows) and isinstance(self.given, np.ndarray)
        matrix = as_matrix(self.given) if mapped else rows.load()
        if metric == "precomputed":
            check_distance_matrix(matrix)
        return _core.exact_silhouettes(matrix, codes, metric, threads, progress, precision)


def _open(X: Any, labels: Any, metric: str, threads: int, *, on_cuda: bool) -> _Problem:
    rows: MemoryRows | StreamedRows | DeviceRows | SparseRows
    if is_sparse(X):
        sparse = SparseRows(X)
        rows = MemoryRows(sparse.matrix.toarray()) if sparse.is_small else sparse
    else:
        rows = DeviceRows(X) if on_cuda else open_rows(X)
    classes, codes = number_classes(labels, rows.shape[0])
    check_number_of_classes(classes, codes)
    return _Problem(X, rows, classes, codes, metric, threads)
