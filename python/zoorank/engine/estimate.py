"""Mean silhouettes of many rows, from a surrogate for all and the exact value of a few.

With s~ the surrogate of :mod:`zoorank._core` (every row, from class means alone) and E a
sample of rows drawn at random from every class, ``mean over E of s`` is taken back by what
the mean of s~ over E is off by, times the slope of s over s~. What the surrogate got wrong
costs rows, and makes no bias to speak of. ``docs/estimator.md`` has the derivation and the
measured coverage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoorank import _core
from zoorank.engine import cost, intervals
from zoorank.engine.arrays import MemoryRows
from zoorank.engine.cuda import DeviceExactRows, DeviceRows
from zoorank.engine.rows import Floats, Integers, Progress, Rows
from zoorank.engine.surrogate import Report, statistics_of, surrogate_of

# Rows are drawn in whole blocks of the kernel. The first draw holds two: enough that the
# interval holds for residuals as skewed as those of encodings (benchmarks/estimator_coverage.py).
_STEP = 240
FIRST_DRAW = 2 * _STEP

# Where rows are compared with some of the classes only, a few have missed their nearest one and
# have large residuals: enough of these must be drawn to be known (benchmarks/estimator_index.py).
_FIRST_DRAW_RESTRICTED = 8 * _STEP

# Classes are strata where the first draw holds so many rows of each.
_LEAST_OF_A_STRATUM = 4

# The predicted number of rows is drawn with this margin, so that one more step is rarely needed.
_MARGIN = 1.1
# A draw too many costs less than one more pass through a file: each makes a difference.
_GROWTH = 1.25

# What one pass may hold beside the rows, in bytes: sums to each class of each drawn row.
_SUMS_BYTES = 256 << 20

# Largest error of one s (tests/reference): a mean of differences cannot be surer than they are.
_ROUNDING = {np.dtype(np.float32): 5e-6, np.dtype(np.float64): 1e-12}


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval; of `rows_evaluated` rows the value is exact."""

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
    in_memory = isinstance(rows, MemoryRows | DeviceRows)
    if in_memory and _exact_is_cheaper(n, d, classes, target):
        return None
    expected = predicted_rows(n, classes, tol, confidence)
    report = Report(progress, cost.surrogate_cost(n, d, classes) + cost.rows_cost(n, d, expected))
    statistics = statistics_of(rows, codes, "euclidean")
    surrogate = surrogate_of(rows, statistics, "euclidean", classes, threads, report)
    sampler = _Sampler(rows, statistics, classes, threads, report)

    def affordable(more: int) -> bool:
        if in_memory and _exact_is_cheaper(n, d, classes, more):
            return False
        report.expect(cost.rows_cost(n, d, more))
        return True

    return estimate_by_draws(
        surrogate,
        codes,
        sampler.exact,
        tol=tol,
        confidence=confidence,
        random_state=random_state,
        rounding=_ROUNDING[rows.dtype],
        affordable=affordable,
    )


def estimate_by_draws(
    surrogate: Floats,
    codes: Integers,
    exact: Callable[[Integers], Floats],
    *,
    tol: float,
    confidence: float,
    random_state: int | np.random.Generator | None,
    rounding: float,
    affordable: Callable[[int], bool],
) -> Estimate | None:
    """Draw rows until the half width is at most `tol`.

    `exact` is handed the rows drawn anew and returns their silhouettes, which are good to
    `rounding`; where `tol` is no more than that, all rows are drawn. `affordable` is asked
    before it has to compute so many more, and None is returned if they are not.
    """
    n, sizes = len(codes), np.bincount(codes)
    left_to_chance = max(tol - rounding, np.finfo(np.float64).tiny)
    target = _first_draw(n, len(sizes))
    strata = codes if len(sizes) * _LEAST_OF_A_STRATUM <= target else np.zeros_like(codes)
    rows_of = np.bincount(strata)
    means = np.bincount(strata, weights=surrogate) / rows_of
    draw = _Draw(strata, random_state)
    drawn, values = np.empty(0, np.int64), np.empty(0)
    while True:
        more = draw.grow(intervals.allocate(rows_of, target))
        drawn, values = np.append(drawn, more), np.append(values, exact(more))
        mean = intervals.regression_mean(
            values, surrogate[drawn], strata[drawn], rows_of, means, confidence
        )
        if len(drawn) == n or mean.half_width <= left_to_chance:
            return _summarise(surrogate, mean, drawn, values, codes, confidence, rounding)
        needed = intervals.rows_needed(mean.deviation, n, left_to_chance, confidence)
        target = min(n, -int(-max(_MARGIN * needed, _GROWTH * target) // _STEP) * _STEP)
        if not affordable(target - len(drawn)):
            return None


def _exact_is_cheaper(n: int, d: int, classes: int, more: int) -> bool:
    return cost.exact_cost(n, d, classes) <= cost.rows_cost(n, d, more)


class _Sampler:
    """Exact silhouettes of drawn rows."""

    def __init__(
        self, rows: Rows, statistics: Any, classes: int, threads: int, report: Report
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


class _Draw:
    """Rows at random from every stratum, none twice, in draws that go on from each other."""

    def __init__(self, strata: Integers, random_state: int | np.random.Generator | None) -> None:
        shuffled = np.random.default_rng(random_state).permutation(len(strata))
        self._rows = shuffled[np.argsort(strata[shuffled], kind="stable")]
        sizes = np.bincount(strata)
        self._begin = np.cumsum(sizes) - sizes
        self._taken = np.zeros_like(sizes)

    def grow(self, wanted: Integers) -> Integers:
        """Draw rows until there are `wanted` of each stratum; those that are new."""
        more = np.maximum(wanted - self._taken, 0)
        step = np.arange(more.sum()) - np.repeat(np.cumsum(more) - more, more)
        drawn: Integers = self._rows[np.repeat(self._begin + self._taken, more) + step]
        self._taken += more
        return drawn


def _summarise(
    surrogate: Floats,
    mean: intervals.Mean,
    drawn: Integers,
    values: Floats,
    codes: Integers,
    confidence: float,
    rounding: float,
) -> Estimate:
    sizes = np.bincount(codes)
    n = len(codes)
    if len(drawn) == n:
        return Estimate(
            score=mean.value,
            half_width=0.0,
            per_class=np.bincount(codes[drawn], weights=values) / sizes,
            per_class_half_width=np.zeros(len(sizes)),
            rows_evaluated=n,
        )
    predicted = mean.slope * surrogate
    correction = intervals.residuals_by_class(
        values - predicted[drawn], codes[drawn], sizes, confidence
    )
    return Estimate(
        score=mean.value,
        half_width=mean.half_width + rounding,
        per_class=np.bincount(codes, weights=predicted) / sizes + correction.mean,
        per_class_half_width=correction.half_width + rounding,
        rows_evaluated=len(drawn),
    )
