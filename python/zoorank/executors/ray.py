"""Jobs on the machines of a Ray cluster, each in a process of its own there.

Ray finds a place for a job, and another one when a machine is lost. On the machine the job
runs as it would here: a :class:`WorkerExecutor` watches it, so that what a source does to
its process is told in the same words, and is no reason to try it again.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, cast

from zoorank.errors import StoreError, ZoorankError
from zoorank.executors.base import Emit, Event, Failure, J, Limits, O, S, Thinned, driven
from zoorank.executors.cluster import (
    HeadNode,
    Machine,
    connected,
    lost,
    machines,
    no_place,
    not_begun,
    shares_of,
)
from zoorank.executors.process import dumped
from zoorank.executors.workers import WorkerExecutor
from zoorank.messages import one_line

if TYPE_CHECKING:
    from typing_extensions import Self

_TICK = 0.2  # seconds between two looks for events
_OFTEN = 0.5  # seconds between two events of one stage of a job, which cross the network
_LOOK = 2.0  # seconds between two looks for machines that came or went


@dataclass(frozen=True)
class _WorkerOptions:
    """How the process on the other machine runs its jobs."""

    limits: Limits
    threads: int
    prepare: Callable[[int], None] | None
    state: Callable[[], object] | None
    environment: Mapping[str, str]


class RayExecutor:
    """Runs jobs on a Ray cluster.

    Parameters
    ----------
    address : str or None
        Of a cluster; "auto" for the one that this machine belongs to. None starts Ray on this
        machine, and ends it with the executor. Where Ray is connected already, that is taken.
    limits : Limits
        Of a job, wherever it runs.
    threads : int
        Processors that a job takes.
    gpus : float
        GPUs that a job takes, or the part of one.
    retries : int
        How often a job is tried again because its machine, or Ray's process there, was lost.
    prepare, state, environment
        As of :class:`WorkerExecutor`.

    Notes
    -----
    The machines need zoorank, and the files that sources and targets lie in, under the same
    paths. Encodings go to the store's directory on the machine that made them, unless that is
    shared. A function, and what it is given, must be of modules that the machines can import.

    Raises
    ------
    UsageError
        When Ray is not installed or the cluster cannot be reached.
    """

    def __init__(
        self,
        address: str | None = None,
        limits: Limits | None = None,
        threads: int = 1,
        *,
        gpus: float = 0.0,
        retries: int = 3,
        prepare: Callable[[int], None] | None = None,
        state: Callable[[], object] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.threads, self.gpus, self.retries = threads, gpus, retries
        self._settings = _WorkerOptions(
            limits or Limits(), threads, prepare, state, environment or {}
        )
        self.ray, self._connected_here = connected(address)

    @property
    def places(self) -> int:
        """Jobs that run at once on the machines that there are now."""
        return sum(map(self._room, machines(self.ray)))

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
            When the cluster has no place for a job, or is lost.
        """
        content = dumped((self._settings, function, shared))
        try:
            run: _Run[J, O] = _Run(self, content, on_event)
            yield from driven(run, jobs, deadline)
        except self.ray.exceptions.RayError as error:
            raise ZoorankError(
                f"the Ray cluster was lost on the way: {one_line(error)}; when `ray status` shows "
                "its machines again, the same command goes on from what was done"
            ) from None

    def _room(self, machine: Machine) -> int:
        room = machine.processors // self.threads
        if self.gpus:
            room = min(room, shares_of(machine.gpus, self.gpus))
        return int(room)

    def close(self) -> None:
        """Leave the cluster, if this executor has joined it; end Ray, if it was started."""
        if self._connected_here and self.ray.is_initialized():
            self.ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class _Sent(Generic[J]):
    """A job that the cluster has, and how often it was lost there."""

    job: J
    pickled: bytes
    lost: int = 0


class _Run(Generic[J, O]):
    """One run over jobs: what the cluster has to do, and what came of it."""

    def __init__(
        self, executor: RayExecutor, content: bytes, on_event: Callable[[Event], None]
    ) -> None:
        self._executor, self._on_event = executor, on_event
        self._ray = ray = executor.ray
        self._content, self._name = ray.put(content), secrets.token_hex(8)
        here = ray.get_runtime_context().get_node_id()
        at_home = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False)
        # Its process may be lost as well; then a new one takes what comes from there on.
        again = {"max_restarts": -1, "max_task_retries": -1}
        options = {"num_cpus": 0, "scheduling_strategy": at_home, **again}
        self._mailbox = ray.remote(_Mailbox).options(**options).remote()
        self._work = ray.remote(_work).options(
            num_cpus=executor.threads,
            num_gpus=executor.gpus,
            max_retries=0,  # it counts no try that a want of memory has ended, and goes on for ever
            scheduling_strategy="SPREAD",
        )
        self._running: dict[Any, _Sent[J]] = {}
        self._head = HeadNode(ray)
        self._places, self._looked = 0, -_LOOK

    @property
    def has_place(self) -> bool:
        """Whether the machines that there are can take another job.

        Raises
        ------
        ZoorankError
            When none of them could take any, or the head is gone.
        """
        now = time.monotonic()
        if now - self._looked > _LOOK and self._head.answers():
            self._looked = now
            self._places = self._executor.places
            if self._places == 0:
                raise ZoorankError(no_place(self._ray, self._executor.threads, self._executor.gpus))
        return len(self._running) < self._places

    @property
    def jobs(self) -> list[J]:
        """Those that were taken and have not ended."""
        return [sent.job for sent in self._running.values()]

    def take(self, job: J) -> Failure | None:
        """Hand a job to the cluster; a failure if it cannot be sent there."""
        try:
            pickled = dumped(job)
        except Exception as error:  # noqa: BLE001 - whatever the job's own code raises
            return Failure.of(error)
        self._send(_Sent(job, pickled))
        return None

    def step(self) -> Iterator[tuple[J, O | Failure]]:
        """Wait a little for news, and give what has ended."""
        errors = self._ray.exceptions
        ended, _ = self._ray.wait(list(self._running), timeout=_TICK)
        for event in self._ray.get(self._mailbox.take.remote()):
            self._on_event(event)
        for ref in ended:
            sent = self._running.pop(ref)
            try:
                outcome = pickle.loads(self._ray.get(ref))  # noqa: S301 - of our own process
            except errors.RayTaskError as error:
                raise ZoorankError(not_begun(error)) from None
            except errors.RaySystemError:
                raise
            except errors.RayError as error:
                sent.lost += 1
                if sent.lost <= self._executor.retries:
                    self._send(sent)
                    continue
                outcome = lost(error, sent.lost)
            if isinstance(outcome, StoreError):
                raise outcome
            yield sent.job, cast("O | Failure", outcome)

    def _send(self, sent: _Sent[J]) -> None:
        # In a list, so that the process that has it already does not get it again.
        ref = self._work.remote([self._content], self._name, sent.pickled, self._mailbox)
        self._running[ref] = sent

    def stop(self) -> None:
        """End the jobs that are not done."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            for ref in self._running:
                self._ray.cancel(ref, force=True)
            self._ray.kill(self._mailbox)


class _Mailbox:
    """Keeps events until the caller's process asks for them."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def put(self, event: Event) -> None:
        self._events.append(event)

    def take(self) -> list[Event]:
        events, self._events = self._events, []
        return events


@dataclass
class _Kept:
    """What one of Ray's processes keeps from job to job."""

    name: str
    function: Callable[[Any, Any, Emit], object]
    shared: object
    settings: _WorkerOptions
    devices: str | None
    executor: WorkerExecutor


_kept: list[_Kept] = []


def _work(content: list[Any], name: str, pickled: bytes, mailbox: Any) -> bytes:
    """Do a job, in one of Ray's processes on any machine."""
    kept = _prepared(content[0], name)
    emit = Thinned(mailbox.put.remote, _OFTEN)
    try:
        job: Any = pickle.loads(pickled)  # noqa: S301 - from the process that asked
    except Exception as error:  # noqa: BLE001 - whatever the job's own code raises
        return dumped(Failure.of(error))
    outcome: object
    try:
        ((_, outcome),) = kept.executor.run(kept.function, kept.shared, [job], emit)
    except StoreError as error:
        outcome = error
    return dumped(outcome)


def _prepared(content: Any, name: str) -> _Kept:
    import ray

    devices = os.environ.get("CUDA_VISIBLE_DEVICES")  # Ray may give others to the next job
    before = _kept.pop() if _kept else None
    if before is not None and (before.name, before.devices) == (name, devices):
        _kept.append(before)
        return before
    settings: _WorkerOptions
    settings, function, shared = pickle.loads(ray.get(content))  # noqa: S301
    if before is not None and (before.settings, before.devices) == (settings, devices):
        executor = before.executor
    else:
        if before is not None:
            before.executor.close()
        executor = WorkerExecutor(
            1,
            settings.limits,
            settings.threads,
            prepare=settings.prepare,
            state=settings.state,
            environment=settings.environment,
        )
    _kept.append(_Kept(name, function, shared, settings, devices, executor))
    return _kept[0]
