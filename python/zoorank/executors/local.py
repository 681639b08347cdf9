"""Jobs in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from zoorank.errors import StoreError
from zoorank.executors.base import Emit, Event, Failure, J, O, S


class LocalExecutor:
    """Runs jobs where it is called.

    It survives every exception. What ends, hangs or fills the process does so to the caller
    too: :class:`zoorank.executors.workers.WorkerExecutor` survives that.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> jobs = [SimpleNamespace(name="two", n=2), SimpleNamespace(name="none", n=0)]
    >>> def half(shared, job, emit):
    ...     return shared / job.n
    >>> for job, outcome in LocalExecutor().run(half, 1, jobs, print):
    ...     print(job.name, getattr(outcome, "reason", outcome))
    two 0.5
    none ZeroDivisionError: division by zero
    """

    def run(
        self,
        function: Callable[[S, J, Emit], O],
        shared: S,
        jobs: Iterable[J],
        on_event: Callable[[Event], None],
    ) -> Iterator[tuple[J, O | Failure]]:
        """See :meth:`zoorank.executors.base.Executor.run`."""
        for job in jobs:
            yield job, attempt(function, shared, job, on_event)


def attempt(function: Callable[[S, J, Emit], O], shared: S, job: J, emit: Emit) -> O | Failure:
    """Call a function for one job; what it raises is its failure.

    Raises
    ------
    KeyboardInterrupt, StoreError
        As :meth:`zoorank.executors.base.Executor.run` says.
    """
    try:
        return function(shared, job, emit)
    except (KeyboardInterrupt, StoreError):
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit is the source's failure, too
        return Failure.of(error)
