"""Jobs handed to an executor, what a watcher is told of them, and the rows that come of each."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from zoorank.executors.base import Event, Executor, Failure
from zoorank.ranking.job import encode_and_score
from zoorank.ranking.outcomes import Job, Outcome, Run
from zoorank.ranking.page import record_fatal
from zoorank.ranking.rows import RankRow, rows_of
from zoorank.sources.base import Source
from zoorank.store.ledger import Ledger
from zoorank.targets.base import TargetFacts


class Progress(Protocol):
    """Receives the events of a run, in this order, from the thread that ranks."""

    def started(self, target: TargetFacts, models: Sequence[str]) -> None:
        """The target is loaded and these sources will be tried."""

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

    def round(self, number: int, rounds: int, rows: int, models: Sequence[str]) -> None:
        """Show nothing."""

    def encoding(self, model: str, done: int, total: int) -> None:
        """Show nothing."""

    def scoring(self, model: str, cut: str) -> None:
        """Show nothing."""

    def finished(self, model: str, rows: Sequence[RankRow]) -> None:
        """Show nothing."""


def framework_state() -> tuple[str, ...]:
    """Defaults that a source's code may have changed in this process, for others to suffer."""
    found = [str(np.geterr()), str(Path.cwd())]
    torch = sys.modules.get("torch")
    if torch is None:
        return (*found, "torch.float32", "cpu", "False")
    defaults = torch.get_default_dtype(), torch.get_default_device()
    return (*found, *map(str, defaults), str(torch.are_deterministic_algorithms_enabled()))


@dataclass(frozen=True)
class SourceRows:
    """What became of one source, and its rows, which carry no rank yet."""

    outcome: Outcome
    rows: tuple[RankRow, ...]


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

    def every(self, cuts_of: Mapping[str, Sequence[str]]) -> list[SourceRows]:
        """Encode the target with every source and score it at its cuts, in the zoo's order."""
        jobs = [Job(source, tuple(cuts_of[source.name])) for source in self.sources]
        done = self.done(jobs)
        return [done[source.name] for source in self.sources]

    def done(self, jobs: Sequence[Job]) -> dict[str, SourceRows]:
        """Run jobs, by name; the watcher is told of each as it ends."""
        found = {}
        for job, ended in self.executor.run(encode_and_score, self.run, jobs, self._tell):
            outcome = self._failed(job, ended) if isinstance(ended, Failure) else ended
            rows = tuple(rows_of(outcome, self.run.scores))
            found[job.name] = SourceRows(outcome, rows)
            self.watcher.finished(job.name, rows)
        return found

    def _failed(self, job: Job, failure: Failure) -> Outcome:
        """What became of a source whose job did not come to its end, for later runs too."""
        if job.name in self.digests:
            with Ledger(self.run.store) as ledger:
                fingerprint = self.run.target.fingerprint
                record_fatal(ledger, self.digests[job.name], fingerprint, failure)
        return Outcome(job.name, failure=failure)

    def _tell(self, event: Event) -> None:
        if event.source:
            self.digests[event.job] = event.source
        if event.stage == "encoding":
            self.watcher.encoding(event.job, event.done, event.total)
        elif event.stage == "scoring":
            self.watcher.scoring(event.job, event.cut)
