"""How the sources of a ranking are run: on what, in which way, and the rows that come of each."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from zoorank.encoding.costs import MEMORY_KEPT
from zoorank.errors import UsageError
from zoorank.executors.base import Event, Executor, Failure, Limits, LocalExecutor
from zoorank.ranking.answer import Request
from zoorank.ranking.consensus import INFORMED, Consensus, deciding_scores
from zoorank.ranking.defaults import framework_state
from zoorank.ranking.job import encode_and_score
from zoorank.ranking.outcomes import Job, Outcome, Run
from zoorank.ranking.page import record_fatal, remember
from zoorank.ranking.ranking import INTERRUPTED, Interrupted, Ranking
from zoorank.ranking.rows import RankRow, SourceRows, rows_of, untried
from zoorank.ranking.settings import Settings
from zoorank.sources.base import Source
from zoorank.targets.facts import TargetFacts

if TYPE_CHECKING:
    from typing_extensions import Self

    from zoorank.ranking.budget import Time
    from zoorank.ranking.racing.options import RaceOptions
    from zoorank.scores import Score


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
class Work:
    """The sources of one ranking, and who runs them.

    Attributes
    ----------
    run : Run
    sources : tuple of Source
    cuts_of : mapping of str to sequence of str
        The cuts asked for, by name of the source.
    executor : Executor
    watcher : Progress
    digests : dict of str to str
        By what the ledger knows the sources that were begun.
    """

    run: Run
    sources: tuple[Source, ...]
    cuts_of: Mapping[str, Sequence[str]]
    executor: Executor
    watcher: Progress
    digests: dict[str, str] = field(default_factory=dict)

    def every(self, done: dict[str, SourceRows] | None = None) -> list[SourceRows]:
        """Encode the target with every source and score it at its cuts, in the zoo's order.

        ``done`` is given what came of each as it ends.
        """
        jobs = [Job(source, tuple(self.cuts_of[source.name])) for source in self.sources]
        done = self.done(jobs, done)
        return [done[source.name] for source in self.sources]

    def done(
        self, jobs: Sequence[Job], found: dict[str, SourceRows] | None = None
    ) -> dict[str, SourceRows]:
        """Run jobs, by name; the watcher is told of each as it ends."""
        found = {} if found is None else found
        for _, source in self.ended(jobs):
            name = source.outcome.model
            found[name] = source
            self.watcher.finished(name, source.rows)
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
                remember(self.run, job, outcome)
            yield job, SourceRows(outcome, tuple(rows_of(outcome, self.run.scores)))

    def _failed(self, job: Job, failure: Failure) -> Outcome:
        """What became of a source whose job did not come to its end, for later runs too."""
        if job.name in self.digests:
            record_fatal(self.run, self.digests[job.name], failure)
        return Outcome(job.name, failure=failure)

    def _tell(self, event: Event) -> None:
        if event.source:
            self.digests[event.job] = event.source
        if event.stage == "encoding":
            self.watcher.encoding(event.job, event.done, event.total)
        elif event.stage == "scoring":
            self.watcher.scoring(event.job, event.cut)


@dataclass(frozen=True)
class Strategy:
    """All sources on all rows, a race or a budget; the code of these two is loaded for them alone.

    Attributes
    ----------
    asked : Settings
    deciding : Score or Consensus
    scores : tuple of Score
        All that are computed.
    race : RaceOptions or None
    clock : Time or None
        When a budget is over.
    """

    asked: Settings
    deciding: Score | Consensus
    scores: tuple[Score, ...]
    race: RaceOptions | None = None
    clock: Time | None = None

    @classmethod
    def of(cls, asked: Settings) -> Self:
        """Choose by what is asked for.

        Raises
        ------
        UsageError
            When some of it is wrong, does not go together, or Ray is not installed.
        """
        options, clock = _race_of(asked), None
        if asked.budget is not None:
            if not (asked.budget > 0 and math.isfinite(asked.budget)):
                raise UsageError(
                    f"budget must be more than 0 seconds and have an end, not {asked.budget}; "
                    "without one all sources are run"
                )
            if options is not None:
                raise UsageError(
                    "a budget decides itself what to run on a sample: leave out the race"
                )
            from zoorank.ranking.budget import Time

            clock = Time(asked.budget, time.monotonic() + asked.budget)
        if options is None:
            deciding, scores = deciding_scores(asked.score, asked.metric)
        else:
            from zoorank.ranking.racing.options import racing_scores

            deciding, scores = racing_scores(asked.score, asked.metric)
        if asked.record and not (isinstance(deciding, Consensus) and deciding.takes_known):
            raise UsageError(
                f"a record counts where {INFORMED!r} decides, and {deciding.name!r} was asked to"
            )
        _check_numbers(asked)
        _check_executor(asked)
        return cls(asked, deciding, scores, options, clock)

    def ranking(
        self,
        sources: tuple[Source, ...],
        cuts_of: Mapping[str, Sequence[str]],
        request: Request,
        watcher: Progress,
        out: str | os.PathLike[str] | None,
    ) -> Ranking:
        """Run the sources, and answer the request by what became of them."""
        run, raced, budgeted = request.run, None, None
        # The ledger is closed last: who closes it last has all that was recorded put in order.
        with run.ledger, _executor_of(self.asked) as executor:
            work = Work(run, sources, cuts_of, executor, watcher)
            watcher.started(request.target, [source.name for source in sources])
            if self.clock is not None:
                from zoorank.ranking.budget import run_on_budget

                if self.clock.left <= 0:  # reading the target took it all
                    request = replace(request, with_baseline=False)
                found, budgeted = run_on_budget(work, request, self.clock, out)
            elif self.race is not None:
                from zoorank.ranking.racing.race import run_race

                by_default = self.asked.score is None and self.asked.metric is None
                found, raced = run_race(work, request, self.race, by_default=by_default)
            else:
                found = _run_all(work, request)
            _raise_common_mistake(found)
            try:
                return request.answered(found, raced, budgeted)
            except KeyboardInterrupt:  # while the raw input was scored
                answer = request.answered(found, raced, budgeted, with_baseline=False)
                raise Interrupted(answer) from None


def _race_of(asked: Settings) -> RaceOptions | None:
    """How to race, where that or something about it is asked for."""
    about = asked.confidence, asked.first_rows, asked.random_state
    if not asked.race and all(each is None for each in about):
        return None
    from zoorank.ranking.racing.options import race_options

    return race_options(asked.race, *about)


def _run_all(work: Work, request: Request) -> list[SourceRows]:
    """Run every source; whoever interrupts that has the table so far."""
    found: dict[str, SourceRows] = {}
    try:
        return work.every(found)
    except KeyboardInterrupt:
        if not found:
            raise
        left = [source.name for source in work.sources if source.name not in found]
        sources = [*found.values(), *(untried(name, INTERRUPTED) for name in left)]
        raise Interrupted(request.answered(sources, with_baseline=False)) from None


def _raise_common_mistake(sources: Sequence[SourceRows]) -> None:
    """Refuse a request that is wrong for every source that was tried."""
    tried = [source for source in sources if source.rows[0].status != "untried"]
    mistakes = [source.outcome.mistake for source in tried]
    if mistakes and mistakes[0] is not None and all(each is not None for each in mistakes):
        raise mistakes[0]


def _check_numbers(asked: Settings) -> None:
    for name in ("batch_size", "limit", "store_quota"):
        value = getattr(asked, name)
        if value is not None and value < 1:
            raise UsageError(f"{name} must be at least 1, not {value}")


def _check_executor(asked: Settings) -> None:
    """Refuse what :func:`_executor_of` cannot give, before anything is read."""
    workers, gpus = asked.workers, asked.gpus
    for name, value in (("timeout", asked.timeout), ("memory_limit", asked.memory_limit)):
        if value is not None and not value > 0:
            raise UsageError(f"{name} must be more than 0, not {value}")
        if value is not None and workers is None and asked.ray is None:
            raise UsageError(f"{name} needs workers: this process cannot end itself")
    if workers is not None and workers != "auto" and workers < 1:
        raise UsageError(f"workers must be at least 1 or 'auto', not {workers}")
    if workers is not None and asked.ray is not None:
        raise UsageError("workers are processes of this machine, and ray runs sources elsewhere")
    if gpus is not None and asked.ray is None:
        raise UsageError("gpus says what a source takes of a Ray cluster, and none is named")
    # Ray says late or not at all what it does not deal out; 0.0001 is its precision.
    is_part = gpus is not None and 0.0001 <= gpus < 1
    if gpus is not None and not (is_part or (gpus >= 0 and math.isfinite(gpus) and gpus % 1 == 0)):
        raise UsageError(
            f"gpus must be a whole number, or a part of one GPU from 0.0001 to 1, not {gpus:g}"
        )
    if asked.ray is not None:
        from zoorank.executors.cluster import imported

        imported()


def _executor_of(asked: Settings) -> AbstractContextManager[Executor]:
    """What runs the jobs; processes of their own are loaded when asked for."""
    limits = Limits(timeout=asked.timeout, memory=asked.memory_limit)
    if asked.ray is not None:
        from zoorank.executors.ray import RayExecutor

        return RayExecutor(
            None if asked.ray == "local" else asked.ray,
            limits,
            gpus=float(asked.device.startswith("cuda")) if asked.gpus is None else asked.gpus,
            state=framework_state,
            environment=MEMORY_KEPT,
        )
    if asked.workers is None:
        return nullcontext(LocalExecutor())
    from zoorank.executors.workers import WorkerExecutor, cores

    count = max(1, cores() // 2) if asked.workers == "auto" else asked.workers
    return WorkerExecutor(count, limits, state=framework_state, environment=MEMORY_KEPT)
