"""Jobs in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from zoorank.errors import StoreError
from zoorank.executors.base import Emit, Event, Failure, J, O, S

if TYPE_CHECKING:
    from typing_extensions import Self


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
            outcome: O | Failure
            try:
                outcome = function(shared, job, on_event)
            except (KeyboardInterrupt, StoreError):
                raise
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
