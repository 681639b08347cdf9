"""What runs a function over jobs: the protocol, its limits, failures, and the plainest executor.

A function is given what all jobs share, one job, and a way to tell how far it is::

    def length(shared: str, job: Word, emit: Emit) -> int:
        emit(Event(job.name, "encoding", 1, 1))
        return len(shared + job.text)

    for job, outcome in executor.run(length, "a", words, on_event=print):
        ...  # an int, or a Failure
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from zoorank.errors import StoreError, ZoorankError
from zoorank.messages import one_line

Stage = Literal["opening", "encoding", "scoring"]
FailureKind = Literal["error", "crash", "timeout", "memory", "stopped"]

_LONGEST_TRACEBACK = 20_000


@dataclass(frozen=True)
class Event:
    """How far a job is.

    Attributes
    ----------
    job : str
        Its name.
    stage : {"opening", "encoding", "scoring"}
    done : int
        Steps of the stage that are behind it: samples, while it encodes.
    total : int
        Steps of the stage; 0 where nobody can tell.
    cut : str
        What is scored, while it scores.
    source : str
        By what the ledger knows the job's source, while it opens.
    expected : float
        Seconds that the next step may well take; 0 where nobody can tell.
    """

    job: str
    stage: Stage
    done: int = 0
    total: int = 0
    cut: str = ""
    source: str = ""
    expected: float = 0.0


class Emit(Protocol):
    """Called by the function in the process that works; its events reach the caller of ``run``."""

    def __call__(self, event: Event, /) -> None:
        """Say how far the job is."""
        ...


class Thinned:
    """Passes events on, and leaves out what the next one will say as well.

    Parameters
    ----------
    emit : Emit
    seconds : float
        Between two events of which the second says no more than how many steps are done.
    """

    def __init__(self, emit: Emit, seconds: float) -> None:
        self._emit, self._seconds = emit, seconds
        self._at, self._last = 0.0, Event("", "opening")

    def __call__(self, event: Event, /) -> None:
        """Pass an event on, or not."""
        now, last = time.monotonic(), self._last
        same = (last.job, last.stage, last.cut) == (event.job, event.stage, event.cut)
        if same and event.done != event.total and now - self._at < self._seconds:
            return
        self._at, self._last = now, event
        self._emit(event)


@dataclass(frozen=True)
class Failure:
    """Why a job has no result.

    Attributes
    ----------
    reason : str
        One line.
    kind : {"error", "crash", "timeout", "memory", "stopped"}
        An exception, a process that died, a limit of time, one of memory, or that the whole
        run's time was over.
    traceback : str
        Of the exception, or the last lines that a dead process wrote to its standard error.
    """

    reason: str
    kind: FailureKind
    traceback: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """What an exception that ended a job makes of it.

        Examples
        --------
        >>> Failure.of(KeyError("layer4")).reason
        "KeyError: 'layer4'"
        >>> Failure.of(MemoryError()).kind
        'memory'
        """
        text = "".join(traceback.format_exception(error))
        if len(text) > _LONGEST_TRACEBACK:
            half = _LONGEST_TRACEBACK // 2
            text = f"{text[:half]}\n[...]\n{text[-half:]}"
        kind: FailureKind = "memory" if isinstance(error, MemoryError) else "error"
        return cls(_reason(error), kind, text)


# What became of a job that still ran when the time of the run was over.
STOPPED = Failure("it was ended with the run, before it was done", "stopped")


def _reason(error: BaseException) -> str:
    message, name = one_line(error), type(error).__name__
    if isinstance(error, ZoorankError):
        return message
    if isinstance(error, SystemExit):
        return f"its code ended the program (SystemExit: {message})"
    return message if message == name else f"{name}: {message}"


@dataclass(frozen=True)
class Limits:
    """What a job may take; an executor that runs jobs in its own process cannot enforce any.

    Attributes
    ----------
    timeout : float or None
        Seconds from its start to its end.
    memory : int or None
        Bytes of main memory that its process and the children of that hold, what the
        process held before the job included.
    stall : float or None
        Least number of seconds without an event after which a job may be said to hang;
        None lets it hang. See :meth:`silence`.
    opening : float
        The same for a job that is busy and has not begun to encode, when nothing tells yet how
        fast it is. Reading and writing files starts this time again.
    factor : float
        How many times longer than the longest silence so far a silence may be.
    """

    timeout: float | None = None
    memory: int | None = None
    stall: float | None = 15.0
    opening: float = 180.0
    factor: float = 20.0

    def silence(self, stage: Stage, longest: float) -> float:
        """Seconds without an event after which a job hangs, though it is busy.

        On a machine that has more to do than it can, they are up to five times as many: it
        must also have had half as many seconds of processor time. A job that does nothing at
        all hangs after ``max(stall, factor * longest)`` in any stage.

        Parameters
        ----------
        stage : {"opening", "encoding", "scoring"}
            Where the job is. Scores are no code of the source: ``timeout`` alone limits them.
        longest : float
            The longest silence of the job since its trial, in seconds, or what its first batch
            was expected to take. Opening ends with the trial.

        Examples
        --------
        >>> Limits().silence("encoding", 0.1), Limits().silence("encoding", 2.0)
        (15.0, 40.0)
        >>> Limits(stall=None).silence("encoding", 0.1)
        inf
        """
        if self.stall is None or stage == "scoring":
            return float("inf")
        least = max(self.stall, self.opening) if stage == "opening" else self.stall
        return max(least, self.factor * longest)


class Job(Protocol):
    """Plain data that can be pickled."""

    @property
    def name(self) -> str:
        """Tells it from the other jobs."""
        ...


S = TypeVar("S")
J = TypeVar("J", bound=Job)
O = TypeVar("O")  # noqa: E741 - as in the protocol's description: shared, job, outcome
O_co = TypeVar("O_co", covariant=True)


class Executor(Protocol):
    """Runs a function over jobs. One job can only fail itself.

    One that starts processes is a context manager too, whose end is theirs.
    """

    @property
    def places(self) -> int:
        """Jobs that run at once."""
        ...

    def run(
        self,
        function: Callable[[S, J, Emit], O],
        shared: S,
        jobs: Iterable[J | None],
        on_event: Callable[[Event], None],
        deadline: float | None = None,
    ) -> Iterator[tuple[J, O | Failure]]:
        """Run ``function(shared, job, emit)`` for every job.

        Parameters
        ----------
        function : callable
            Of the top level of a module, where it is to run in another process.
        shared : object
            Sent once to each process that works.
        jobs : iterable
            Pulled as places free up, so that it may go on from what has ended. None says that
            there is nothing to be done before another job has ended.
        on_event : callable
            Given the events of all jobs, in the thread that iterates.
        deadline : float or None
            Of ``time.monotonic``. No job begins after it, and those that still run are ended and
            come as :data:`STOPPED`; in the process of the caller that is at their next event.

        Yields
        ------
        job, outcome
            As they end. Any exception of a job is a :class:`Failure` of it, save two:

        Raises
        ------
        KeyboardInterrupt
            Nothing goes on after it.
        StoreError
            When the store cannot be written to: every other job would meet that too.
        """
        ...


class Running(Protocol[J, O_co]):
    """One run over jobs that work elsewhere, as :func:`driven` sees it."""

    @property
    def has_place(self) -> bool:
        """Whether another job can be taken."""
        ...

    @property
    def jobs(self) -> list[J]:
        """Those that were taken and have not ended."""
        ...

    def take(self, job: J) -> Failure | None:
        """Give a job to where it works; a failure if it cannot be sent there."""
        ...

    def step(self) -> Iterator[tuple[J, O_co | Failure]]:
        """Wait a little for news, and give what has ended."""
        ...

    def stop(self) -> None:
        """End the jobs that are not done."""
        ...


def driven(
    run: Running[J, O], jobs: Iterable[J | None], deadline: float | None
) -> Iterator[tuple[J, O | Failure]]:
    """Take jobs as places free up, until all have ended or the deadline is there."""
    pending = iter(jobs)
    try:
        while deadline is None or time.monotonic() < deadline:
            while run.has_place and (job := next(pending, None)) is not None:
                failure = run.take(job)
                if failure is not None:
                    yield job, failure
            if not run.jobs:
                return
            yield from run.step()
    finally:
        left = run.jobs
        run.stop()
    for job in left:
        yield job, STOPPED


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

    places = 1

    def run(
        self,
        function: Callable[[S, J, Emit], O],
        shared: S,
        jobs: Iterable[J | None],
        on_event: Callable[[Event], None],
        deadline: float | None = None,
    ) -> Iterator[tuple[J, O | Failure]]:
        """See :meth:`Executor.run`."""

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
