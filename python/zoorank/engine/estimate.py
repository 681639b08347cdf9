"""Mean silhouettes of many rows, from a surrogate for all and the exact value of a few.

With s~ the surrogate of :mod:`zoorank._core` (every row, from class means alone) and E a
random sample of m rows, ``mean(s~) + mean over E of (s - s~)`` is unbiased whatever the
surrogate gets wrong, and its standard error is known. ``docs/estimator.md`` has the
derivation and the measured coverage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zoorank import _core
from zoorank.engine import cost, intervals
from zoorank.engine.device_rows import DeviceExactRows, DeviceRows, DeviceStatistics
from zoorank.engine.neighbors import class_candidates
from zoorank.engine.rows import MemoryRows, Rows

Progress = Callable[[float], object]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Rows are drawn in whole blocks of the kernel. The first draw holds two: enough that the
# interval holds for residuals as skewed as those of encodings (benchmarks/estimator_coverage.py).
_STEP = 240
FIRST_DRAW = 2 * _STEP

# Where rows are compared with some of the classes only, a few have missed their nearest one and
# have large residuals: enough of these must be drawn to be known (benchmarks/estimator_index.py).
_FIRST_DRAW_RESTRICTED = 8 * _STEP

# The predicted number of rows is drawn with this margin, so that one more step is rarely needed.
_MARGIN = 1.1

# What one pass may hold beside the rows, in bytes: sums to each class of each drawn row.
_SUMS_BYTES = 256 << 20

# Largest error of one s (tests/reference): a mean of differences cannot be surer than they are.
_ROUNDING = {np.dtype(np.float32): 5e-6, np.dtype(np.float64): 1e-12}


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval; of `rows_evaluated` rows the value is exact.

    `samples` holds those, and for other rows the surrogate less what it is off by on
    average in their class; `sample_error` is the root mean square error of the latter.
    """

    score: float
    half_width: float
    per_class: Floats
    per_class_half_width: Floats
    rows_evaluated: int
    samples: Floats
    sample_error: float


def predicted_rows(n: int, classes: int, tol: float, confidence: float) -> int:
    """How many rows an estimate of typical data takes."""
    needed = intervals.rows_needed(cost.TYPICAL_DEVIATION, n, tol, confidence)
    return max(_first_draw(n, classes), needed)


def _first_draw(n: int, classes: int) -> int:
    restricted = cost.classes_compared(classes) < classes
    return min(n, _FIRST_DRAW_RESTRICTED if restricted else FIRST_DRAW)


def estimate_mean(
    rows: Rows,
    codes: Integers,
    classes: int,
    *,
    tol: float,
    confidence: float,
    random_state: int | np.random.Generator | None,
    threads: int,
    progress: Progress | None = None,
) -> Estimate | None:
    """Estimate the mean euclidean silhouette to within `tol`.

    Returns None when rows in memory turn out to be cheaper to score exactly: nearly
    every row would have to be drawn.
    """
    n, d = rows.shape
    target = _first_draw(n, classes)
    in_memory = isinstance(rows, MemoryRows | DeviceRows)
    if in_memory and _exact_is_cheaper(n, d, target):
        return None
    expected = predicted_rows(n, classes, tol, confidence)
    report = _Report(progress, cost.surrogate_cost(n, d, classes) + cost.rows_cost(n, d, expected))
    statistics = _statistics(rows, codes, "euclidean")
    surrogate = _surrogate(rows, statistics, "euclidean", classes, threads, report)
    order = np.random.default_rng(random_state).permutation(n)
    sampler = _Sampler(rows, statistics, classes, threads, report)
    residuals = np.empty(0)
    while True:
        drawn = order[len(residuals) : target]
        residuals = np.concatenate([residuals, sampler.exact(drawn) - surrogate[drawn]])
        width = intervals.half_width(residuals, n, confidence)
        if target == n or width + _ROUNDING[rows.dtype] <= tol:
            break
        deviation = float(residuals.std(ddof=1))
        needed = _MARGIN * intervals.rows_needed(deviation, n, tol, confidence)
        target = min(n, -int(-max(needed, target + 1) // _STEP) * _STEP)
        if in_memory and _exact_is_cheaper(n, d, target - len(residuals)):
            return None
        report.expect(cost.rows_cost(n, d, target - len(residuals)))
    return _summarise(surrogate, residuals, order, codes, classes, width, confidence, rows.dtype)


def _exact_is_cheaper(n: int, d: int, more: int) -> bool:
    return cost.exact_cost(n, d) <= cost.rows_cost(n, d, more)


def silhouettes_by_means(
    rows: Rows, codes: Integers, metric: str, threads: int, progress: Progress | None = None
) -> Floats:
    """Silhouettes of rows that are read in blocks: exact for sqeuclidean and cosine.

    For euclidean, the surrogate.
    """
    n, d = rows.shape
    classes = int(codes.max()) + 1
    report = _Report(progress, cost.surrogate_cost(n, d, classes))
    return _surrogate(rows, _statistics(rows, codes, metric), metric, classes, threads, report)


def _statistics(rows: Rows, codes: Integers, metric: str) -> Any:
    kind: Any = _core.RowStatistics32 if rows.dtype == np.float32 else _core.RowStatistics64
    if isinstance(rows, DeviceRows):
        kind = DeviceStatistics
    statistics = kind(codes, rows.shape[1], metric)
    for first, block in rows.blocks():
        statistics.check(block, first)
    return statistics


def _surrogate(
    rows: Rows, statistics: Any, metric: str, classes: int, threads: int, report: _Report
) -> Floats:
    """Silhouettes from class means.

    Of thousands of classes, euclidean rows are compared with those near their own only.
    A nearest class that is missed costs the estimate variance, and no bias.
    """
    n, d = rows.shape
    for first, block in rows.blocks():
        work = cost.moments_cost(len(block), d)
        statistics.add_moments(block, first, threads, report.of(work))
    compared = cost.classes_compared(classes) if metric == "euclidean" else classes
    if compared < classes and not isinstance(rows, DeviceRows):
        statistics.restrict_to(class_candidates(statistics.class_points(), compared, threads))
        report.of(cost.search_cost(d, classes))
    surrogate = np.empty(n)
    for first, block in rows.blocks():
        work = cost.comparison_cost(len(block), d, compared)
        surrogate[first : first + len(block)] = statistics.surrogate(
            block, first, threads, report.of(work)
        )
    return surrogate


class _Sampler:
    """Exact silhouettes of drawn rows."""

    def __init__(
        self, rows: Rows, statistics: Any, classes: int, threads: int, report: _Report
    ) -> None:
        self._rows, self._statistics = rows, statistics
        self._threads, self._report = threads, report
        self._kind: Any = _core.ExactRows32 if rows.dtype == np.float32 else _core.ExactRows64
        if isinstance(rows, DeviceRows):
            self._kind = DeviceExactRows
        self._at_once = max(_STEP, _SUMS_BYTES // (8 * classes) // _STEP * _STEP)

    def exact(self, drawn: Integers) -> Floats:
        values = np.empty(len(drawn))
        for begin in range(0, len(drawn), self._at_once):
            part = drawn[begin : begin + self._at_once]
            values[begin : begin + len(part)] = self._part(part)
        return values

    def _part(self, drawn: Integers) -> Floats:
        exact = self._kind(self._statistics, self._rows.take(drawn), drawn)
        for first, block in self._rows.blocks():
            work = cost.rows_cost(len(block), block.shape[1], len(drawn))
            exact.add(block, first, self._threads, self._report.of(work))
        values: Floats = exact.silhouettes(len(drawn))
        return values


class _Report:
    """One rising fraction out of the fractions of many calls."""

    def __init__(self, progress: Progress | None, work: float) -> None:
        self._progress, self._work = progress, work
        self._done, self._highest = 0.0, 0.0

    def expect(self, more: float) -> None:
        """Let what is left be `more`, as far as it is known."""
        self._work = max(self._work, self._done + more)

    def of(self, work: float) -> Progress | None:
        """What a call of this much work is to be handed."""
        begin, self._done = self._done, self._done + work
        if self._progress is None:
            return None
        progress = self._progress

        def report(fraction: float) -> None:
            self._highest = max(self._highest, min(1.0, (begin + fraction * work) / self._work))
            progress(self._highest)

        return report


def _summarise(
    surrogate: Floats,
    residuals: Floats,
    order: Integers,
    codes: Integers,
    classes: int,
    width: float,
    confidence: float,
    dtype: np.dtype[Any],
) -> Estimate:
    sizes = np.bincount(codes, minlength=classes)
    base = np.bincount(codes, weights=surrogate, minlength=classes) / sizes
    m, n = len(residuals), len(codes)
    drawn = order[:m]
    if m == n:
        exact = np.bincount(codes[drawn], weights=residuals, minlength=classes) / sizes
        return Estimate(
            score=float(surrogate.mean() + residuals.mean()),
            half_width=0.0,
            per_class=base + exact,
            per_class_half_width=np.zeros(classes),
            rows_evaluated=n,
            samples=_with_exact(surrogate, drawn, surrogate[drawn] + residuals),
            sample_error=0.0,
        )
    correction = intervals.residuals_by_class(residuals, codes[drawn], sizes, confidence)
    rounding = _ROUNDING[dtype]
    return Estimate(
        score=float(surrogate.mean() + residuals.mean()),
        half_width=width + rounding,
        per_class=base + correction.mean,
        per_class_half_width=correction.half_width + rounding,
        rows_evaluated=m,
        samples=_with_exact(
            np.clip(surrogate + correction.mean[codes], -1, 1), drawn, surrogate[drawn] + residuals
        ),
        sample_error=float(np.sqrt(np.mean((residuals - correction.mean[codes[drawn]]) ** 2))),
    )


def _with_exact(samples: Floats, drawn: Integers, exact: Floats) -> Floats:
    result: Floats = samples.copy()
    result[drawn] = exact
    return result
