"""Every kernel on a grid of shapes: checked against the definition, then timed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from _limits import DeviceLimits, Limits
from _problems import (
    METRICS,
    TOLERANCE,
    Problem,
    definition,
    distances_to_row,
    in_float64,
    largest_error,
    make_problem,
    sample_rows,
)
from _timing import steady_seconds

from zoorank import _core, pairwise_distances, silhouette_samples
from zoorank.engine import cuda

OPERATIONS = ("silhouette", "distances")
CHECKED_ROWS = 16
# Largest error of a distance, as a share of the largest distance there is.
DISTANCE_TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}


@dataclass(frozen=True)
class Case:
    """One kernel on one shape.

    Attributes
    ----------
    operation : {"silhouette", "distances"}
    metric, dtype : str
    n, d, classes : int
        Samples, features and classes; distances know no classes: 0.
    """

    operation: str
    metric: str
    dtype: str
    n: int
    d: int
    classes: int


@dataclass(frozen=True)
class Work:
    """What one way to do a case cannot do without, however it is written.

    Attributes
    ----------
    flops : float
        In `dtype`, two to a multiply-add.
    bytes : float
        Read from memory or written to it at least once.
    dtype : str
        That the arithmetic is done in, which is not always that of the input.
    multiply_adds : bool
        False where an instruction does one flop and not two.
    """

    flops: float
    bytes: float
    dtype: str
    multiply_adds: bool = True

    def seconds(self, limits: Limits | DeviceLimits) -> float | None:
        """The napkin's time: arithmetic at its peak or memory at its peak, whichever is longer."""
        peak = limits.flops(self.dtype)
        if peak is None:
            return None
        rate = peak if self.multiply_adds else peak / 2
        return max(self.flops / rate, self.bytes / limits.read)


@dataclass(frozen=True)
class Measurement:
    """A case with what came of it.

    Attributes
    ----------
    case : Case
    error, tolerance : float
        The largest error found on the rows that were checked, and what is allowed.
    seconds : float or None
        Median wall time; None for a kernel that is wrong, whose time means nothing.
    flops : float
        By which the rate is reckoned; for pairwise kernels n²·d, each pair once.
    pairs : float
        Of samples, each once.
    bound_seconds, gemm_flops : float or None
        The napkin's time, and the rate of NumPy's product of as many features; None where not
        known, or no measure of what is done.
    """

    case: Case
    error: float
    tolerance: float
    seconds: float | None
    flops: float
    pairs: float
    bound_seconds: float | None
    gemm_flops: float | None

    @property
    def correct(self) -> bool:
        """Whether the error is within the tolerance; NaN is not."""
        return self.error <= self.tolerance

    def row(self) -> dict[str, str | int | float | None]:
        """Column names to values, in the order of a table."""
        rate = None if self.seconds is None else self.flops / self.seconds
        limit = _share(self.bound_seconds, self.seconds)
        return {
            "operation": self.case.operation,
            "metric": self.case.metric,
            "dtype": self.case.dtype,
            "n": self.case.n,
            "d": self.case.d,
            "classes": self.case.classes or None,
            "seconds": self.seconds,
            "bound_seconds": self.bound_seconds,
            "limit_percent": None if limit is None else 100 * limit,
            "gflops": None if rate is None else rate / 1e9,
            "gemm_gflops": None if self.gemm_flops is None else self.gemm_flops / 1e9,
            "gpairs_per_second": None if self.seconds is None else self.pairs / self.seconds / 1e9,
            "error": self.error,
            "tolerance": self.tolerance,
        }


def grid(
    *,
    n: Sequence[int],
    d: Sequence[int],
    classes: Sequence[int],
    metrics: Sequence[str] = METRICS,
    dtypes: Sequence[str] = ("float32", "float64"),
    operations: Sequence[str] = OPERATIONS,
) -> list[Case]:
    """Every combination; distances once for all numbers of classes.

    Examples
    --------
    >>> cases = grid(n=[100], d=[8], classes=[2, 10], metrics=["cosine"], dtypes=["float32"])
    >>> [(case.operation, case.classes) for case in cases]
    [('silhouette', 2), ('silhouette', 10), ('distances', 0)]
    """
    every = itertools.product(operations, metrics, dtypes, n, d, classes)
    cases = (
        Case(operation, metric, dtype, size, width, count if operation == "silhouette" else 0)
        for operation, metric, dtype, size, width, count in every
    )
    return list(dict.fromkeys(cases))


def measure(cases: Sequence[Case], limits: Limits | DeviceLimits) -> Iterator[Measurement]:
    """Check each case and time those that are right, with as many threads as the limits."""
    for case in cases:
        yield measure_case(case, limits)


def measure_case(case: Case, limits: Limits | DeviceLimits) -> Measurement:
    """Check one case and, if it is right, time it.

    Parameters
    ----------
    case : Case
    limits : Limits or DeviceLimits
        Says how many threads, too; or that the rows are to lie on the device.

    Returns
    -------
    Measurement

    Raises
    ------
    ValueError
        For a metric, dtype or shape that the engine does not take.
    """
    problem = make_problem(case.n, case.d, case.classes or 2, case.dtype)
    rows = sample_rows(problem, CHECKED_ROWS)
    table = TOLERANCE if case.operation == "silhouette" else DISTANCE_TOLERANCE
    tolerance = table[np.dtype(case.dtype)]
    placed = problem
    if limits.device == "cuda":
        placed = replace(problem, X=cuda.to_device(problem.X))
    error = _error(case, problem, rows, _run(case, placed, limits.threads))
    done = ways(case, limits.device)[0]
    seconds = None
    if error <= tolerance:
        seconds = steady_seconds(lambda: _run(case, placed, limits.threads))
    return Measurement(
        case=case,
        error=error,
        tolerance=tolerance,
        seconds=seconds,
        flops=done.flops,
        pairs=_pairs(case),
        bound_seconds=bound_seconds(case, limits),
        gemm_flops=limits.gemm_flops(case.d, done.dtype) if done.multiply_adds else None,
    )


def ways(case: Case, device: str = "cpu") -> tuple[Work, ...]:
    """The least work of a case in every way to do it; the first one's flops name its rate.

    On a CUDA device, and on the matrix unit of a processor, float32 products may also be three of
    bfloat16.

    Examples
    --------
    >>> ways(Case("silhouette", "euclidean", "float32", 1000, 64, 10))[0].flops
    64000000.0
    >>> ways(Case("silhouette", "cosine", "float32", 1000, 64, 10))[0].flops
    1280000.0
    """
    n, d, size = float(case.n), float(case.d), np.dtype(case.dtype).itemsize
    fused = case.metric != "manhattan"
    if case.operation == "distances":
        return (Work(2 * n * n * d, (n * d + n * n) * size, case.dtype, fused),)
    read = n * d * size
    if case.metric in _core.METRICS_FROM_MEANS:  # every sample with every class's mean, in double
        return (Work(2 * n * case.classes * d, read, "float64"),)
    pairs = Work(n * n * d, read, case.dtype, fused)
    if device == "cuda" and fused and case.dtype == "float32":
        return pairs, Work(3 * pairs.flops, read, "bfloat16")
    if fused and case.dtype == "float32" and device == "cpu":
        return pairs, replace(pairs, dtype="bf16x3")
    if fused or device == "cuda":
        return (pairs,)
    # Along sorted features: a multiply-add and an addition, which takes as long, for each class.
    return pairs, Work(4 * n * case.classes * d, read, "float64")


def bound_seconds(case: Case, limits: Limits | DeviceLimits) -> float | None:
    """The napkin's time of the quickest way; None where the peak is not known."""
    times = [way.seconds(limits) for way in ways(case, limits.device)]
    return min((time for time in times if time is not None), default=None)


def _pairs(case: Case) -> float:
    n = float(case.n)
    return n * n if case.operation == "distances" else n * (n - 1) / 2


def _run(case: Case, problem: Problem, threads: int | None) -> object:
    if case.operation == "distances":
        return pairwise_distances(problem.X, problem.X, metric=case.metric, n_threads=threads)
    return silhouette_samples(problem.X, problem.labels, metric=case.metric, n_threads=threads)


def _error(case: Case, problem: Problem, rows: np.ndarray, answer: object) -> float:
    answer = np.asarray(answer)
    if case.operation == "silhouette":
        return largest_error(answer, rows, definition(problem, rows, case.metric))
    X = in_float64(problem.X, case.metric)
    expected = np.array([distances_to_row(X, X[row], case.metric) for row in rows])
    return float(np.abs(answer[rows] - expected).max() / expected.max())


def _share(part: float | None, whole: float | None) -> float | None:
    return None if part is None or whole is None else part / whole
