"""Mean silhouettes of many rows, from a surrogate for all and the exact value of a few.

With s~ the surrogate of :mod:`zoorank._core` (every row, from class means alone) and E a
random sample of m rows, ``mean(s~) + mean over E of (s - s~)`` is unbiased whatever the
surrogate gets wrong, and its standard error is known. ``docs/estimator.md`` has the
derivation and the measured coverage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zoorank import _core
from zoorank.engine import cost, intervals
from zoorank.engine.rows import MemoryRows, Rows
from zoorank.engine.surrogate import (
    Floats,
    Integers,
    Progress,
    Report,
    statistics_of,
    surrogate_of,
)

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
    in_memory = isinstance(rows, MemoryRows)
    if in_memory and _exact_is_cheaper(n, d, target):
        return None
    expected = predicted_rows(n, classes, tol, confidence)
    report = Report(progress, cost.surrogate_cost(n, d, classes) + cost.rows_cost(n, d, expected))
    statistics = statistics_of(rows, codes, "euclidean")
    surrogate = surrogate_of(rows, statistics, "euclidean", classes, threads, report)
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


class _Sampler:
    """Exact silhouettes of drawn rows."""

    def __init__(
        self, rows: Rows, statistics: Any, classes: int, threads: int, report: Report
    ) -> None:
        self._rows, self._statistics = rows, statistics
        self._threads, self._report = threads, report
        self._kind = _core.ExactRows32 if rows.dtype == np.float32 else _core.ExactRows64
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
        )
    correction = intervals.residuals_by_class(residuals, codes[drawn], sizes, confidence)
    rounding = _ROUNDING[dtype]
    return Estimate(
        score=float(surrogate.mean() + residuals.mean()),
        half_width=width + rounding,
        per_class=base + correction.mean,
        per_class_half_width=correction.half_width + rounding,
        rows_evaluated=m,
    )
