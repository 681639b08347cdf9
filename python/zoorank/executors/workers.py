"""Jobs in processes of their own, which are watched, ended and replaced."""

from __future__ import annotations

import os
import queue
import secrets
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, cast

from zoorank.errors import StoreError, ZoorankError
from zoorank.executors.base import Emit, Event, Failure, J, Limits, O, S, driven
from zoorank.executors.child import Done, Ready, Setup
from zoorank.executors.process import Message, Outbox, Warden, WorkerProcess, dumped
from zoorank.executors.watch import Watch, greatest

if TYPE_CHECKING:
    from typing_extensions import Self

_TICK = 0.1  # seconds between two looks at the limits
_AWAY = 2.0  # seconds after which nobody has looked, for this process was stopped or busy itself
_START = 120.0  # seconds that a process may take to be ready
_STARTS = 3  # processes in a row that may fail before their first job
_GROWTH = 2**30

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "ZOORANK_NUM_THREADS",
)


class WorkerExecutor:
    """Runs jobs in processes of their own, which share nothing but files.

    A job may raise, exit, crash, be killed, hang or eat memory: it becomes a failure and a
    new process takes its place. A process takes one job after the other as long as it is as
    good as new. Whatever a job has started ends with its process, and every process ends
    with this one, even if that is killed.

    Parameters
    ----------
    workers : int
        Processes at most.
    limits : Limits
    threads : int or None
        For each process: of OpenMP, BLAS and the engine. None takes `OMP_NUM_THREADS` of the
        environment, or else shares the cores out; a library whose own variable is set keeps it.
    prepare : callable or None
        Called in every process with its number of threads, before its first job.
    state : callable or None
        Gives what no job may change in a process, such as the defaults of a framework: it
        is compared before and after, and a process that was changed takes no other job.
    environment : mapping of str to str
        Put into the environment of the processes before they import anything.
    jobs : int
        After so many a process is replaced.

    Attributes
    ----------
    workers : int
    threads : int
        For each process.

    Notes
    -----
    A context manager; its end, or that of this process, ends the processes. One thread at a
    time may run jobs. The limits are looked at while the caller waits for an outcome.
    """

    def __init__(
        self,
        workers: int = 1,
        limits: Limits | None = None,
        threads: int | None = None,
        *,
        prepare: Callable[[int], None] | None = None,
        state: Callable[[], object] | None = None,
        environment: Mapping[str, str] | None = None,
        jobs: int = 1000,
    ) -> None:
        self.workers = workers
        self._limits = limits or Limits()
        self.threads = threads or _said_threads() or max(1, cores() // workers)
        limit = self._limits.memory
        setup = Setup(
            threads=self.threads,
            prepare=prepare,
            state=state,
            memory=limit,
            jobs=jobs,
            growth=_GROWTH if limit is None else min(_GROWTH, limit // 4),
        )
        shared = {
            name: str(self.threads)
            for name in _THREADS
            if threads is not None or name not in os.environ
        }
        self._pool = _Pool(workers, setup, {**shared, **(environment or {})})
        weakref.finalize(self, self._pool.close)
        self._running = False

    @property
    def places(self) -> int:
        """Jobs that run at once."""
        return self.workers

    def run(
        self,
        function: Callable[[S, J, Emit], O],
        shared: S,
        jobs: Iterable[J | None],
        on_event: Callable[[Event], None],
        deadline: float | None = None,
    ) -> Iterator[tuple[J, O | Failure]]:
        """See :meth:`zoorank.executors.base.Executor.run`.

        Raises
        ------
        ZoorankError
            When processes cannot be started at all.
        """
        if self._running:
            raise RuntimeError("this executor runs jobs already")
        content = dumped((function, shared))
        run: _Run[J, O] = _Run(self._pool, self._limits, content, on_event)
        self._running = True
        try:
            yield from driven(run, jobs, deadline)
        finally:
            self._running = False

    def close(self) -> None:
        """End the processes; another run starts new ones."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _said_threads() -> int | None:
    """What the environment says: a library with a variable of its own must not take more."""
    # Of a list each number belongs to a level of nested regions; the first is the outermost.
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and int(first) else None


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Pool:
    """The processes, and the one that ends them when this one is gone."""

    def __init__(self, size: int, setup: Setup, environment: Mapping[str, str]) -> None:
        self.size = size
        self.processes: list[WorkerProcess] = []
        self.outbox: Outbox = queue.SimpleQueue()
        self._setup, self._environment = setup, environment
        self._mark = secrets.token_hex(8)
        self._count = 0
        self._warden: Warden | None = None

    def start(self) -> WorkerProcess:
        """Start a process; it says when it is ready."""
        if self._warden is None:
            self._warden = Warden(self._mark)
        self._count += 1
        mark = f"{self._mark}.{self._count}"
        process = WorkerProcess(mark, self._setup, self._environment, self.outbox)
        self.processes.append(process)
        self._warden.started(process)
        return process

    def end(self, process: WorkerProcess, *, saying_where: bool = False) -> None:
        """End a process, and all that it has started."""
        self.processes.remove(process)
        process.end(saying_where=saying_where)
        if self._warden is not None:
            self._warden.ended(process)

    def close(self, processes: Iterable[WorkerProcess] | None = None) -> None:
        """End some processes at once, or all and the warden too."""
        wanted = self.processes if processes is None else processes
        ending = [process for process in wanted if process in self.processes]
        for process in ending:
            process.kill()
        for process in ending:
            self.end(process)
        if processes is None and self._warden is not None:
            self._warden.end()
            self._warden = None


@dataclass
class _Place(Generic[J]):
    """A job and the process that has it, or will have it once it is ready."""

    job: J
    pickled: bytes
    began: float
    starts: int
    watch: Watch | None = None


class _Run(Generic[J, O]):
    """One run over jobs: who has which, and what came of them."""

    def __init__(
        self, pool: _Pool, limits: Limits, content: bytes, on_event: Callable[[Event], None]
    ) -> None:
        self._pool, self._limits, self._content = pool, limits, content
        self._on_event = on_event
        self._places: dict[WorkerProcess, _Place[J]] = {}
        self._looked = time.monotonic()

    @property
    def has_place(self) -> bool:
        """Whether another job can be taken."""
        return len(self._places) < self._pool.size

    @property
    def jobs(self) -> list[J]:
        """Those that were taken and have not ended."""
        return [place.job for place in self._places.values()]

    def take(self, job: J) -> Failure | None:
        """Give a job to a process; a failure if it cannot be sent to one."""
        try:
            pickled = dumped(job)
        except Exception as error:  # noqa: BLE001 - whatever the job's own code raises
            return Failure.of(error)
        process = next((each for each in self._pool.processes if self._is_idle(each)), None)
        if process is None:
            process = self._pool.start()
        self._places[process] = _Place(job, pickled, time.monotonic(), 1)
        if process.ready:
            self._begin(process)
        return None

    def step(self) -> Iterator[tuple[J, O | Failure]]:
        """Wait a little for news, and give what has ended."""
        try:
            message = self._pool.outbox.get(timeout=_TICK)
        except queue.Empty:
            pass
        else:
            yield from self._hear(message)
        now = time.monotonic()
        late = now - self._looked
        # What has been said must be heard before anybody is judged by their silence.
        if late < _TICK or (late < _AWAY and not self._pool.outbox.empty()):
            return
        self._looked = now
        for place in self._places.values():
            if late > _AWAY and place.watch is not None:
                place.watch.pause(late)
        yield from self._judge(now)

    def stop(self) -> None:
        """End the processes that still have a job."""
        self._pool.close([*self._places])
        self._places.clear()

    def _is_idle(self, process: WorkerProcess) -> bool:
        return process.ready and process not in self._places and process.exit_code is None

    def _begin(self, process: WorkerProcess) -> None:
        place = self._places[process]
        place.watch = Watch(process, self._limits, time.monotonic())
        process.work(self._content, place.pickled)

    def _hear(self, message: Message) -> Iterator[tuple[J, O | Failure]]:
        process, content = message.process, message.content
        if process not in self._pool.processes:  # it was stopped, and this is from before
            return
        place = self._places.get(process)
        match content:
            case Ready():
                process.ready = True
                if place is not None:
                    self._begin(process)
            case Event():
                if place is not None and place.watch is not None:
                    place.watch.event(content, message.at)
                    self._on_event(content)
            case Done(outcome, worn):
                del self._places[process]
                process.ready = True
                if worn:
                    self._pool.end(process)
                if isinstance(outcome, StoreError):
                    raise outcome
                if place is not None:
                    yield place.job, cast("O | Failure", outcome)
            case None:
                yield from self._gone(process)

    def _gone(self, process: WorkerProcess) -> Iterator[tuple[J, O | Failure]]:
        """Find out why a process is gone, and start another for a job that it had not begun."""
        process.wait(1.0)
        place = self._places.pop(process, None)
        failure = None if place is None or place.watch is None else place.watch.death()
        self._pool.end(process)
        if place is None:
            return
        if failure is not None:
            yield place.job, replace(failure, traceback=process.tail)
            return
        if place.starts >= _STARTS:
            said = process.tail.splitlines()[-1:] or [f"exit code {process.exit_code}"]
            raise ZoorankError(f"cannot start a process to work in: {said[0]}")
        again = self._pool.start()
        self._places[again] = replace(place, began=time.monotonic(), starts=place.starts + 1)

    def _judge(self, now: float) -> Iterator[tuple[J, O | Failure]]:
        stopped: dict[WorkerProcess, Failure] = {}
        for process, place in self._places.items():
            if place.watch is not None:
                failure = place.watch.verdict(now)
                if failure is not None:
                    stopped[process] = failure
            elif now - place.began > _START:
                raise ZoorankError(f"a process to work in is not ready after {_START:.0f} s")
            if process.exit_code is not None:
                process.end_others()  # what it has forked keeps its line open
        running = [each.watch for each in self._places.values() if each.watch is not None]
        found = None if stopped else greatest(running)
        if found is not None:
            stopped[found[0].process] = found[1]
        for process, failure in stopped.items():
            place = self._places.pop(process)
            self._pool.end(process, saying_where=failure.kind == "timeout")
            yield place.job, replace(failure, traceback=process.tail)
