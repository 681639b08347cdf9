"""Jobs handed to an executor, what a watcher is told of them, and the rows that come of each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from zoorank.encoding.passes import MEMORY_KEPT
from zoorank.errors import UsageError
from zoorank.executors.base import Event, Executor, Failure, Limits, LocalExecutor
from zoorank.ranking.defaults import framework_state
from zoorank.ranking.job import encode_and_score
from zoorank.ranking.outcomes import Job, Outcome, Run
from zoorank.ranking.page import Memory, record_fatal, remember, taken
from zoorank.ranking.rows import RankRow, rows_of
from zoorank.sources.base import Source
from zoorank.targets.base import TargetFacts


class Progress(Protocol):
    """Receives the events of a run, in this order, from the thread that ranks."""

    def started(self, target: TargetFacts, models: Sequence[str]) -> None:
        """The target is loaded and these sources will be tried."""

    def remark(self, text: str) -> None:
        """Something about the store that whoever waits should know, in one line, at any time."""

    def round(self, number: int, rounds: int, rows: int, models: Sequence[str]) -> None:
        """Sources of a race are about to be run on so many samples, in a round from 1.

        It never comes without a race. A round comes once for all that are in it, and again for
        each source of it that is run on all samples.
        """

    def encoding(self, model: str, done: int, total: int) -> None:
        """So many of the target's samples went through the model."""

    def scoring(self, model: str, cut: str) -> None:
        """The encoding at this cut is about to be scored."""

    def finished(self, model: str, rows: Sequence[RankRow]) -> None:
        """The source is done; its rows carry no rank yet."""


class Silent:
    """Progress that shows nothing."""

    def started(self, target: TargetFacts, models: Sequence[str]) -> None:
        """Show nothing."""

    def remark(self, text: str) -> None:
        """Show nothing."""

    def round(self, number: int, rounds: int, rows: int, models: Sequence[str]) -> None:
        """Show nothing."""

    def encoding(self, model: str, done: int, total: int) -> None:
        """Show nothing."""

    def scoring(self, model: str, cut: str) -> None:
        """Show nothing."""

    def finished(self, model: str, rows: Sequence[RankRow]) -> None:
        """Show nothing."""


@dataclass(frozen=True)
class SourceRows:
    """What became of one source, and its rows, which carry no rank yet."""

    outcome: Outcome
    rows: tuple[RankRow, ...]


def untried(name: str, reason: str) -> SourceRows:
    """Stand for a source that was not run, and why."""
    row = RankRow(None, name, None, status="untried", note=reason)
    return SourceRows(Outcome(name), (row,))


@dataclass(frozen=True)
class Work:
    """The sources of one ranking, and who runs them.

    Attributes
    ----------
    run : Run
    sources : tuple of Source
    executor : Executor
    watcher : Progress
    digests : dict of str to str
        By what the ledger knows the sources that were begun.
    """

    run: Run
    sources: tuple[Source, ...]
    executor: Executor
    watcher: Progress
    digests: dict[str, str] = field(default_factory=dict)

    def every(
        self, cuts_of: Mapping[str, Sequence[str]], done: dict[str, SourceRows] | None = None
    ) -> list[SourceRows]:
        """Encode the target with every source and score it at its cuts, in the zoo's order.

        ``done`` is given what came of each as it ends.
        """
        jobs = [Job(source, tuple(cuts_of[source.name])) for source in self.sources]
        done = self.done(jobs, done)
        return [done[source.name] for source in self.sources]

    def done(
        self, jobs: Sequence[Job], found: dict[str, SourceRows] | None = None
    ) -> dict[str, SourceRows]:
        """Run jobs, by name; the watcher is told of each as it ends."""
        found = {} if found is None else found
        for job, source in self.ended(jobs):
            found[job.name] = source
            self.watcher.finished(job.name, source.rows)
        return found

    def ended(
        self, jobs: Iterable[Job | None], deadline: float | None = None
    ) -> Iterator[tuple[Job, SourceRows]]:
        """Run jobs as an executor does, and give what became of each as it ends.

        Raises
        ------
        DataError
            When the target has changed meanwhile.
        """
        for job, ended in self.executor.run(encode_and_score, self.run, jobs, self._tell, deadline):
            outcome = self._failed(job, ended) if isinstance(ended, Failure) else ended
            # Else all others would meet that too. To look at every file takes its time, and what
            # was ended with a budget has none left.
            if outcome.failure is not None and outcome.failure.kind != "stopped":
                self.run.target.check_unchanged()
            if not job.estimates:
                self._remember(job, outcome)
            yield job, SourceRows(outcome, tuple(rows_of(outcome, self.run.scores)))

    def _remember(self, job: Job, outcome: Outcome) -> None:
        """Keep what the source took, for a budget of a later run."""
        fresh = any(not each.reused for each in outcome.candidates)
        failed = outcome.failure is not None and outcome.failure.kind != "stopped"
        if fresh or failed:
            memory = Memory(outcome.opening, outcome.a_row, failed)
            remember(self.run.ledger, taken(self.run.target, job.rows), job, memory)

    def _failed(self, job: Job, failure: Failure) -> Outcome:
        """What became of a source whose job did not come to its end, for later runs too."""
        if job.name in self.digests:
            fingerprint = self.run.target.fingerprint
            record_fatal(self.run.ledger, self.digests[job.name], fingerprint, failure)
        return Outcome(job.name, failure=failure)

    def _tell(self, event: Event) -> None:
        if event.source:
            self.digests[event.job] = event.source
        if event.stage == "encoding":
            self.watcher.encoding(event.job, event.done, event.total)
        elif event.stage == "scoring":
            self.watcher.scoring(event.job, event.cut)


def check_executor(
    workers: int | Literal["auto"] | None,
    timeout: float | None,
    memory_limit: int | None,
    ray: str | None,
    gpus: float | None,
) -> None:
    """Refuse what :func:`executor_of` cannot give, before anything is read.

    Raises
    ------
    UsageError
        When a number is wrong, arguments do not go together, or Ray is not installed.
    """
    for name, value in (("timeout", timeout), ("memory_limit", memory_limit)):
        if value is not None and not value > 0:
            raise UsageError(f"{name} must be more than 0, not {value}")
        if value is not None and workers is None and ray is None:
            raise UsageError(f"{name} needs workers: this process cannot end itself")
    if workers is not None and workers != "auto" and workers < 1:
        raise UsageError(f"workers must be at least 1 or 'auto', not {workers}")
    if gpus is not None and ray is None:
        raise UsageError("gpus says what a source takes of a Ray cluster, and none is named")
    if gpus is not None:
        _check_gpus(gpus)
    if ray is not None:
        from zoorank.executors.cluster import imported

        imported()


def executor_of(
    workers: int | Literal["auto"] | None,
    timeout: float | None,
    memory_limit: int | None,
    ray: str | None,
    gpus: float | None,
) -> Executor:
    """What runs the jobs; processes of their own are loaded when asked for."""
    limits = Limits(timeout=timeout, memory=memory_limit)
    if ray is not None:
        from zoorank.executors.ray import RayExecutor

        address = None if ray == "local" else ray
        return RayExecutor(
            address,
            limits,
            gpus=gpus or 0.0,
            state=framework_state,
            environment=MEMORY_KEPT,
        )
    if workers is None:
        return LocalExecutor()
    from zoorank.executors.workers import WorkerExecutor, cores

    count = max(1, cores() // 2) if workers == "auto" else workers
    return WorkerExecutor(count, limits, state=framework_state, environment=MEMORY_KEPT)


def _check_gpus(gpus: float) -> None:
    """Refuse what Ray does not deal out, which it would say late or not at all."""
    part = 0.0001 <= gpus < 1  # of its precision
    if not part and not (math.isfinite(gpus) and gpus >= 0 and gpus == int(gpus)):
        raise UsageError(
            f"gpus must be a whole number, or a part of one GPU from 0.0001 to 1, not {gpus:g}"
        )
