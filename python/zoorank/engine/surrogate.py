"""Silhouettes from class means alone: passes over rows that may lie in files."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoorank import _core
from zoorank.engine import cost
from zoorank.engine.cuda import DeviceRows, DeviceStatistics
from zoorank.engine.index import class_candidates
from zoorank.engine.rows import Floats, Integers, Progress, Rows


def silhouettes_by_means(
    rows: Rows, codes: Integers, metric: str, threads: int, progress: Progress | None = None
) -> Floats:
    """Silhouettes of rows that are read in blocks: exact for sqeuclidean and cosine.

    For euclidean, the surrogate.
    """
    n, d = rows.shape
    classes = int(codes.max()) + 1
    report = Report(progress, cost.surrogate_cost(n, d, classes))
    return surrogate_of(rows, statistics_of(rows, codes, metric), metric, classes, threads, report)


def statistics_of(rows: Rows, codes: Integers, metric: str) -> Any:
    """Statistics of rows that have been checked, from which moments and the rest follow."""
    kind: Any = _core.RowStatistics32 if rows.dtype == np.float32 else _core.RowStatistics64
    if isinstance(rows, DeviceRows):
        kind = DeviceStatistics
    statistics = kind(codes, rows.shape[1], metric)
    for first, block in rows.blocks():
        statistics.check(block, first)
    return statistics


def add_moments(rows: Rows, statistics: Any, threads: int, report: Report) -> None:
    """Sum up every row."""
    for first, block in rows.blocks():
        work = cost.moments_cost(len(block), block.shape[1])
        statistics.add_moments(block, first, threads, report.of(work))


def surrogate_of(
    rows: Rows, statistics: Any, metric: str, classes: int, threads: int, report: Report
) -> Floats:
    """Silhouettes from class means.

    Of thousands of classes, euclidean rows are compared with those near their own only.
    A nearest class that is missed costs the estimate variance, and no bias.
    """
    n, d = rows.shape
    add_moments(rows, statistics, threads, report)
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


class Report:
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
