"""Jobs in this process, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from zoorank.errors import StoreError
from zoorank.executors.base import STOPPED, Emit, Event, Failure, J, O, S

if TYPE_CHECKING:
    from typing_extensions import Self


class _OverError(BaseException):
    """The time of the run is over; no exception of a job's own handlers."""


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
        jobs: Iterable[J | None],
        on_event: Callable[[Event], None],
        deadline: float | None = None,
    ) -> Iterator[tuple[J, O | Failure]]:
        """See :meth:`zoorank.executors.base.Executor.run`."""

        def is_over() -> bool:
            return deadline is not None and time.monotonic() >= deadline

        def emit(event: Event) -> None:
            if is_over():
                raise _OverError
            on_event(event)

        for job in jobs:
            if job is None or is_over():  # nothing runs that could end first
                return
            outcome: O | Failure
            try:
                outcome = function(shared, job, emit)
            except (KeyboardInterrupt, StoreError):
                raise
            except _OverError:
                outcome = STOPPED
            except BaseException as error:  # noqa: BLE001 - a SystemExit is the source's, too
                outcome = Failure.of(error)
            yield job, outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing has to be ended."""
