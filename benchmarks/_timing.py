"""Wall times that are worth comparing: medians, taken in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager


def medians(works: Mapping[str, Callable[[], object]], *, rounds: int = 5) -> dict[str, float]:
    """Median wall time of each piece of work.

    A round runs every piece once, so that whatever else the machine does meets
    all of them alike, and their ratios can be trusted where the times cannot.

    Parameters
    ----------
    works : mapping of str to callable
        Run as they are; anything to be warmed up should have been called before.
    rounds : int
        How often each is run.

    Returns
    -------
    dict of str to float
        Seconds.

    Examples
    --------
    >>> sorted(medians({"nothing": lambda: None, "sum": lambda: sum(range(100))}, rounds=3))
    ['nothing', 'sum']
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(seconds(work))
    return {name: statistics.median(times) for name, times in taken.items()}


def steady_seconds(
    work: Callable[[], object], *, rounds: int = 3, budget: float = 0.3, most: int = 200
) -> float:
    """Median wall time of work that may be too short for a few runs to tell.

    Parameters
    ----------
    work : callable
    rounds : int
        Run it at least so often,
    budget : float
        and until so many seconds are spent,
    most : int
        but no more often than this.

    Returns
    -------
    float
        Seconds.
    """
    return statistics.median(_times(work, rounds, budget, most))


def fastest_seconds(
    work: Callable[[], object], *, rounds: int = 3, budget: float = 0.3, most: int = 200
) -> float:
    """Shortest wall time of work run as often as :func:`steady_seconds` would."""
    return min(_times(work, rounds, budget, most))


def _times(work: Callable[[], object], rounds: int, budget: float, most: int) -> list[float]:
    times: list[float] = []
    while len(times) < rounds or (sum(times) < budget and len(times) < most):
        times.append(seconds(work))
    return times


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one run."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def blas_threads(threads: int) -> AbstractContextManager[object]:
    """Hold NumPy's matrix products, and every OpenMP runtime that is loaded, to so many threads."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(limits=threads)
    return limits
