"""Rank what fits into a time: what promises most comes first, and what was not tried is said."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from zoorank.ranking.answer import Request
from zoorank.ranking.consensus import Consensus
from zoorank.ranking.outcomes import Job, known_of
from zoorank.ranking.page import Memory, remembered, taken
from zoorank.ranking.planner import (
    Prospect,
    Schedule,
    Spent,
    Step,
    recorded,
    sample_size,
    shares,
)
from zoorank.ranking.racing.facts import BudgetFacts, in_words
from zoorank.ranking.ranking import Interrupted
from zoorank.ranking.rows import SourceRows, on_sample_alone, untried
from zoorank.scores import Score
from zoorank.scores.base import Array
from zoorank.sources.base import Sized, Source
from zoorank.targets.base import Target
from zoorank.targets.labels import drawn

if TYPE_CHECKING:
    from zoorank.ranking.work import Work

_SEED = 0
_NOT_YET = "not tried so far"
# Between two writings of the table so far: seconds, and times what the last one took.
_SHOWN, _SHARE = 5.0, 20.0


@dataclass(frozen=True)
class Time:
    """A budget in seconds, and when it is over by ``time.monotonic``."""

    seconds: float
    deadline: float

    @property
    def left(self) -> float:
        """Seconds until it is over."""
        return self.deadline - time.monotonic()


class Budget:
    """Runs sources until all are done or the time is over.

    Parameters
    ----------
    work : Work
    deciding : Score or Consensus
    clock : Time
    expected : mapping of str to float
        Share of the zoo that sources should beat, of those where something is known.
    on_rows : callable
        Given the rows of all sources now and then, for the table so far.
    """

    def __init__(
        self,
        work: Work,
        deciding: Score | Consensus,
        clock: Time,
        expected: Mapping[str, float],
        on_rows: Callable[[Sequence[SourceRows], BudgetFacts], None],
    ) -> None:
        self._work, self._deciding = work, deciding
        self._clock, self._on_rows = clock, on_rows
        self._began = time.monotonic()
        target = work.run.target
        self._sample = sample_of(target)
        self._sources = {source.name: source for source in work.sources}
        memories = self._memories()
        prospects = [self._prospect(name, *memories[name], expected) for name in self._sources]
        self._schedule = Schedule(prospects, target.n_rows, len(self._sample), work.executor.places)
        for name, (whole, sampled) in memories.items():
            memory = whole if whole is not None and not whole.failed else sampled
            if memory is not None and not memory.failed:
                self._schedule.ended(name, Spent(memory.opening, memory.a_row))
        self._running: dict[str, Step] = {}
        self._whole: dict[str, SourceRows] = {}
        self._sampled: dict[str, SourceRows] = {}
        self._stopped: dict[str, float] = {}
        self._started: dict[str, float] = {}
        self._shown, self._took = time.monotonic(), 0.0

    def results(self) -> tuple[list[SourceRows], BudgetFacts]:
        """Run, and give the rows of every source with how far the time went."""
        for job, source in self._work.ended(self._jobs(), self._clock.deadline):
            self._keep(self._running.pop(job.name), source)
            self._show()
        left = self._clock.left
        return self._rows(lambda name: self._reason(name, left)), self._facts()

    def _jobs(self) -> Iterator[Job | None]:
        """The jobs in turn; None while only others that run can tell what comes next."""
        while True:
            step = self._schedule.next(self._clock.left)
            if step is not None:
                self._running[step.name] = step
                self._started[step.name] = time.monotonic()
                yield self._job(step)
            elif self._running:
                yield None
            else:
                return

    def _job(self, step: Step) -> Job:
        source, cuts = self._sources[step.name], tuple(self._work.cuts_of[step.name])
        if not step.whole:
            return Job(source, cuts, rows=self._sample)
        earlier = self._sample if step.name in self._sampled else None
        return Job(source, cuts, earlier=earlier)

    def _keep(self, step: Step, source: SourceRows) -> None:
        """Keep what came of a step, and have the plan learn from it."""
        outcome, name = source.outcome, step.name
        if outcome.failure is not None and outcome.failure.kind == "stopped":
            self._stopped[name] = time.monotonic() - self._started[name]
            return
        if not any(each.reused for each in outcome.candidates) and outcome.candidates:
            self._schedule.ended(name, Spent(outcome.opening, outcome.a_row))
        if step.whole or all(row.score is None for row in source.rows):
            self._whole[name] = source
            self._schedule.gone(name)
        else:
            rows = tuple(on_sample_alone(row, len(self._sample)) for row in source.rows)
            source = self._sampled[name] = replace(source, rows=rows)
            self._schedule.judged(best_of(self._sampled, self._deciding))
        self._work.watcher.finished(name, source.rows)

    def _rows(self, reason: Callable[[str], str]) -> list[SourceRows]:
        """The rows of every source, those of the sample by their place on it."""
        best = best_of(self._sampled, self._deciding)
        order = sorted(best, key=lambda name: -best[name])
        found = [self._whole[name] for name in self._sources if name in self._whole]
        for name in order:
            if name not in self._whole:
                sampled = self._sampled[name]
                rows = tuple(
                    replace(row, note=_with(row.note, reason(name))) for row in sampled.rows
                )
                found.append(replace(sampled, rows=rows))
        known = self._whole.keys() | self._sampled.keys()
        return found + [untried(name, reason(name)) for name in self._sources if name not in known]

    def _reason(self, name: str, left: float) -> str:
        """Why a source was not run on all rows."""
        budget = f"the budget of {in_words(self._clock.seconds)}"
        if name in self._stopped:
            return f"ended with {budget}, after {in_words(self._stopped[name], 1)} of its own"
        if left > 0:
            needed = in_words(self._schedule.seconds(name), 1)
            return f"takes about {needed}, and {in_words(left, 2)} of {budget} were left"
        return f"{budget} was over before its turn"

    def _facts(self) -> BudgetFacts:
        failed = sum(all(row.score is None for row in each.rows) for each in self._whole.values())
        sampled = sum(name not in self._whole for name in self._sampled)
        return BudgetFacts(
            seconds=self._clock.seconds,
            spent=time.monotonic() - self._began,
            rows=self._work.run.target.n_rows,
            sample_rows=len(self._sample),
            whole=len(self._whole) - failed,
            sampled=sampled,
            failed=failed,
            untried=len(self._sources) - len(self._whole) - sampled,
        )

    def so_far(self) -> tuple[list[SourceRows], BudgetFacts]:
        """Give the rows of every source as far as they are known at any moment."""
        return self._rows(lambda _: _NOT_YET), self._facts()

    def _show(self) -> None:
        """Have the table so far written, if the last one is old enough."""
        now = time.monotonic()
        if now - self._shown > max(_SHOWN, _SHARE * self._took):
            self._on_rows(*self.so_far())
            self._shown = time.monotonic()
            self._took = self._shown - now

    def _memories(self) -> dict[str, tuple[Memory | None, Memory | None]]:
        """What each source took in an earlier run, on all rows and on the sample."""
        target = self._work.run.target
        keys = target.fingerprint, taken(target, self._sample)
        ledger = self._work.run.ledger
        return {
            name: (
                remembered(ledger, keys[0], name, self._work.cuts_of[name]),
                remembered(ledger, keys[1], name, self._work.cuts_of[name]),
            )
            for name in self._sources
        }

    def _prospect(
        self,
        name: str,
        whole: Memory | None,
        sampled: Memory | None,
        expected: Mapping[str, float],
    ) -> Prospect:
        source = self._sources[name]
        done = whole is not None and not whole.failed
        on_sample = sampled is not None and not sampled.failed
        return Prospect(
            name=name,
            family=family(name),
            expected=expected.get(name),
            size=_size_of(source),
            remembered="whole" if done else "sample" if on_sample else "",
            broken=any(each is not None and each.failed for each in (whole, sampled)),
        )


def _size_of(source: Source) -> float | None:
    """What its time goes with; None where nobody can tell, or its code fails at that."""
    if not isinstance(source, Sized):
        return None
    try:
        size = source.size()
    except Exception:  # noqa: BLE001 - a stranger's source, whose job will say what is wrong
        return None
    return size or None


def published(sources: Sequence[Source]) -> dict[str, float]:
    """Share of the sources with published figures that each of them beats."""
    known = {source.name: known_of(source) for source in sources}
    return shares(
        (name, each.benchmark, each.accuracy)
        for name, each in known.items()
        if each.accuracy is not None
    )


def family(name: str) -> str:
    """What sources that do alike have in common in their names.

    Examples
    --------
    >>> family("timm:resnet18.a1_in1k"), family("hf:google/vit-base-patch16-224"), family("net7")
    ('resnet', 'vit', 'net')
    """
    found = re.match(r"[^\W\d_]+", re.split(r"[:/]", name)[-1].lower())
    return found[0] if found else ""


def sample_of(target: Target) -> Array:
    """Rows by which sources are compared before they are run on all; empty for a small target."""
    numbers = target.task == "numbers"
    size = sample_size(target.n_rows, 1 if numbers else len(target.classes))
    if not size:
        return np.zeros(0, dtype=np.int64)
    if target.samples.starts is not None:  # whole sentences, for they are run whole
        share = size / target.n_rows
        order = np.random.default_rng(_SEED).permutation(target.n_samples)
        return target.rows_of(np.sort(order[: max(1, round(share * target.n_samples))]))
    if numbers:
        return np.sort(np.random.default_rng(_SEED).permutation(target.n_rows)[:size])
    codes = np.unique(target.labels, return_inverse=True)[1]
    return np.sort(drawn(codes, size, _SEED))


def best_of(sources: Mapping[str, SourceRows], deciding: Score | Consensus) -> dict[str, float]:
    """Value of the best cut of each source, by what decides; the higher, the better."""
    parts = deciding.parts if isinstance(deciding, Consensus) else (deciding,)
    names, table = [], []
    for name, source in sources.items():
        for row in source.rows:
            if all(part.key in row.scores for part in parts):
                names.append(name)
                table.append([row.scores[part.key] for part in parts])
    if not table:
        return {}
    signs = np.array([1.0 if part.higher_is_better else -1.0 for part in parts])
    beaten = rankdata(signs * np.array(table), axis=0).mean(axis=1)
    best: dict[str, float] = {}
    for name, value in zip(names, beaten.tolist(), strict=True):
        best[name] = max(value, best.get(name, value))
    return best


def _with(note: str, reason: str) -> str:
    return "; ".join(filter(None, [note, reason]))


def run_on_budget(
    work: Work, request: Request, clock: Time, out: str | os.PathLike[str] | None
) -> tuple[list[SourceRows], BudgetFacts]:
    """Run what a budget allows, and keep the table so far in ``out``."""

    def so_far(sources: Sequence[SourceRows], budgeted: BudgetFacts) -> None:
        if out is not None:
            request.answered(sources, budget=budgeted).write(out)

    request.baseline  # noqa: B018 - computed first, so that its time counts too
    names = {source.name for source in work.sources}
    earlier = recorded(
        (line.fingerprint or line.target, line.source, line.accuracy)
        for line in request.lines
        if line.source in names and line.modality in ("", request.target.modality)
    )
    expected = {**published(work.sources), **earlier}  # a record tells more
    budget = Budget(work, request.deciding, clock, expected, so_far)
    try:
        return budget.results()
    except KeyboardInterrupt:
        sources, facts = budget.so_far()
        raise Interrupted(request.answered(sources, budget=facts)) from None
