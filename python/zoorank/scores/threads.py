"""Threads of the scores: as many as they are given, and none that BLAS starts by itself.

The reduction of a Gram matrix is thousands of small products. BLAS libraries divide each among
their threads, which wait for one another in a loop. On a machine with other work one of them is
always late, and LogME took seconds in place of tenths. So BLAS has one thread here, and what can
go on side by side is divided here. Sums do not depend on how: the same bits come out for any
number of threads.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Team:
    """A number of threads to divide work among.

    Parameters
    ----------
    n_threads : int, optional
        The calling one is counted. None leaves it to the engine how many it takes for itself
        and gives the rest one.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self._spare = threading.Semaphore((n_threads or 1) - 1)
        self._automatic = n_threads is None

    @contextmanager
    def engine_threads(self, most: int = 64) -> Iterator[int | None]:
        """All threads that nobody uses, for a call of the engine: its ``n_threads``."""
        if self._automatic:
            yield None
            return
        with self._helpers(most - 1) as helpers:
            yield 1 + helpers

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Call a function with every item, on this thread and on those that nobody uses.

        Returns
        -------
        list
            In the order of the items. The first exception is raised when all have ended.
        """
        waiting = list(enumerate(items))
        waiting.reverse()
        results: dict[int, Result] = {}
        failures: list[BaseException] = []

        def work() -> None:
            while not failures:
                try:
                    place, item = waiting.pop()
                except IndexError:
                    return
                try:
                    results[place] = function(item)
                except BaseException as error:  # noqa: BLE001  raised again below
                    failures.append(error)

        with self._helpers(len(waiting) - 1) as helpers:
            threads = [threading.Thread(target=work) for _ in range(helpers)]
            for thread in threads:
                thread.start()
            work()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]
        return [results[place] for place in sorted(results)]

    @contextmanager
    def _helpers(self, most: int) -> Iterator[int]:
        taken = 0
        try:
            while taken < most and self._spare.acquire(blocking=False):
                taken += 1
            yield taken
        finally:
            if taken:
                self._spare.release(taken)


class _Hold:
    """Who is inside: the first one finds BLAS as it was, the last one leaves it so."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._libraries: Any = None
        self._modules = 0
        self._blas: Any = None

    def enter(self) -> ExitStack:
        """Hold BLAS, and OpenMP for this thread; gives what :meth:`leave` is to be given."""
        with self._lock, ExitStack() as held:
            # Libraries come with modules, and to look for them takes milliseconds.
            if not self._inside and len(sys.modules) != self._modules:
                self._libraries = _libraries()
                self._modules = len(sys.modules)
            # A limiter puts back every library of its controller, hence one for each. BLAS may
            # run on OpenMP: this thread's number of that is looked up before and put back after.
            held.enter_context(self._libraries.select(user_api="openmp").limit(limits=1))
            if not self._inside:
                self._blas = self._libraries.select(user_api="blas").limit(limits=1)
            self._inside += 1
            held.callback(self._let_go)
            return held.pop_all()

    def leave(self, held: ExitStack) -> None:
        """Leave OpenMP as it was found, and BLAS too if nobody else is inside."""
        with self._lock:  # threadpoolctl lets one thread at a time set BLAS
            held.close()

    def _let_go(self) -> None:
        self._inside -= 1
        if not self._inside:
            self._blas.restore_original_limits()


_hold = _Hold()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread for the time of a ``with`` block, in the whole process.

    May be entered again, and by several threads. OpenMP, which scikit-learn uses, is held for
    the thread that enters. Without threadpoolctl nothing is held.
    """
    if importlib.util.find_spec("threadpoolctl") is None:
        yield
        return
    held = _hold.enter()
    try:
        yield
    finally:
        _hold.leave(held)


_filters = threading.RLock()


@contextmanager
def quiet(*ignored: tuple[str, type[Warning]]) -> Iterator[None]:
    """Ignore warnings that begin so, for the time of a ``with`` block.

    Filters of warnings are those of the whole process: one thread at a time sets them.
    """
    with _filters, warnings.catch_warnings():
        for message, category in ignored:
            warnings.filterwarnings("ignore", message, category)
        yield


def _libraries() -> Any:
    """What knows the libraries that are loaded."""
    from threadpoolctl import ThreadpoolController

    if importlib.util.find_spec("scipy") is not None:
        import scipy.linalg  # noqa: F401  its BLAS is not NumPy's: loaded later it would be missed
    return ThreadpoolController()
