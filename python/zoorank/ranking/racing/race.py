"""Run every source on a few rows, and only those that may be best on all of them.

What costs most in a large zoo is the forward passes. A race scores all candidates (a source
cut at a layer) on the same sample of rows and runs the best of them on all rows at once: what
the sample says of those is held against what they are, and corrects what it says of the rest.
It drops those that are surely worse than another, runs the others on four times as many rows,
of which the earlier ones are not run again, and ends with the last contenders on all rows.
docs/racing.md has the statistics and the figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from zoorank.ranking.answer import Request
from zoorank.ranking.outcomes import Job
from zoorank.ranking.racing.elimination import RoundEstimates, errors_by_round
from zoorank.ranking.racing.estimates import SampledCandidate, estimated_rows, selective_confidence
from zoorank.ranking.racing.facts import RaceFacts, RaceRound
from zoorank.ranking.racing.options import BY_DEFAULT, RaceOptions
from zoorank.ranking.racing.samples import Sample, samples
from zoorank.ranking.ranking import INTERRUPTED, Interrupted
from zoorank.ranking.record import SourceCut
from zoorank.ranking.rows import RankRow, SourceRows, on_sample_alone, untried

if TYPE_CHECKING:
    from zoorank.ranking.work import Work

# Sources that each round runs on all rows, so that the others can be judged by them.
CONTROLS = 2


class Race:
    """Narrows a zoo down to the sources worth running on all rows.

    Parameters
    ----------
    work : Work
        The first of its scores decides.
    options : RaceOptions
    """

    def __init__(self, work: Work, options: RaceOptions) -> None:
        self._work, self._options = work, options
        self._run = work.run
        labels = work.run.target.labels
        self._samples = samples(labels, options.first_rows, options.random_state)
        self._errors = errors_by_round(options.confidence, len(self._samples))
        self._entries: list[dict[SourceCut, SampledCandidate]] = [{} for _ in self._samples]
        self._failed: dict[tuple[str, str | None], RankRow] = {}
        self._sources: dict[str, SourceRows] = {}
        self._in_race: list[SourceCut] = []
        self._on_all_rows: dict[SourceCut, RankRow] = {}
        self._left: dict[SourceCut, int] = {}
        self._rounds: list[RaceRound] = []
        self._ran: dict[str, int] = {}  # rows of each source, whatever became of the attempt
        self._without: dict[str, SourceRows] = {}  # what came of each without a race

    def results(self) -> tuple[list[SourceRows], RaceFacts]:
        """Race, and give the rows of every source with how it went."""
        if not self._samples:
            return self._without_a_race()
        self._score_sample(0, self._work.cuts_of)
        # Whoever fails in a later round may have driven others out before: without it, the
        # race is decided again. What was encoded is not encoded again.
        while not self._narrow():
            pass
        left = self._rows_that_left()
        return [self._rows_of(source.name, left) for source in self._work.sources], self._facts()

    def so_far(self, reason: str) -> list[SourceRows]:
        """Give the rows of every source as far as they are known at any moment.

        What was run on a sample alone has the scores of the largest one, uncorrected, and no
        rank among the others.

        Parameters
        ----------
        reason : str
            Why there is no more.
        """
        latest = {key: each.row for entries in self._entries for key, each in entries.items()}
        on_sample = {
            key: on_sample_alone(row, row.rows or 0, reason)
            for key, row in latest.items()
            if key not in self._on_all_rows and key not in self._failed
        }
        found = dict(self._without)
        for source in self._work.sources:
            if source.name in self._sources:
                found[source.name] = self._rows_of(source.name, on_sample)
        missing = [source.name for source in self._work.sources if source.name not in found]
        return [*found.values(), *(untried(name, reason) for name in missing)]

    def _narrow(self) -> bool:
        """Go through the rounds to the end, unless a candidate fails on the way."""
        self._in_race = self._not_failed(self._entries[0])
        self._left, self._rounds, self._on_all_rows = {}, [], {}
        for number in range(len(self._samples)):
            if not self._unknown():
                break
            if number > 0 and not self._score_sample(number, _by_model(self._judged())):
                return False
            if not self._run_round(number):
                return False
        if self._rounds:
            if not self._run_whole(_by_model(self._unknown()), len(self._rounds)):
                return False
            total = self._run.target.n_samples
            models = len(_by_model(self._on_all_rows))
            self._rounds.append(RaceRound(total, models, len(self._on_all_rows), 0))
        return True

    def _run_round(self, number: int) -> bool:
        """Run the best on all rows and drop the worse; whether nothing failed."""
        sample, field = self._samples[number], list(self._in_race)
        for _ in range(CONTROLS):
            if not self._run_whole(self._best(number), number):
                return False
            self._drop_worse(number)
        left = len(field) - len(self._in_race)
        self._rounds.append(RaceRound(len(sample.rows), len(_by_model(field)), len(field), left))
        return True

    def _unknown(self) -> list[SourceCut]:
        """Those in the race that were not run on all rows."""
        return [key for key in self._in_race if key not in self._on_all_rows]

    def _judged(self) -> list[SourceCut]:
        """Those in the race, and all that tell of them."""
        return [*self._in_race, *(key for key in self._on_all_rows if key not in self._in_race)]

    def _score_sample(self, number: int, cuts: Mapping[str, Sequence[str]]) -> bool:
        """Encode and score what the round does not have yet; whether nothing failed."""
        entries, failed = self._entries[number], len(self._failed)
        sample = self._samples[number]
        self._tell(number, len(sample.rows), cuts)
        earlier = self._samples[number - 1].rows if number else None
        jobs = []
        for source in self._work.sources:
            asked = cuts.get(source.name, ())
            missing = tuple(cut for cut in asked if (source.name, cut) not in entries)
            if missing:
                jobs.append(Job(source, missing, sample.rows, earlier, estimates=True))
        for job, done in self._work.ended(jobs):
            self._keep_sample(job.name, done, sample, entries)
            self._work.watcher.finished(job.name, done.rows)
        return len(self._failed) == failed

    def _keep_sample(
        self,
        name: str,
        source: SourceRows,
        sample: Sample,
        entries: dict[SourceCut, SampledCandidate],
    ) -> None:
        """Keep what a sample says of the cuts of one source."""
        self._sources[name] = source
        if source.outcome.failure is None:
            self._ran[name] = max(self._ran.get(name, 0), len(sample.rows))
        key = self._run.scores[0].key
        drawn = {each.record.cut: each.samples for each in source.outcome.candidates}
        for row in source.rows:
            if row.score is None:
                self._failed[name, row.cut] = row
            else:
                found = drawn[row.cut or ""]
                entries[name, row.cut or ""] = SampledCandidate.of(row, found[key], found)

    def _best(self, number: int) -> dict[str, tuple[str, ...]]:
        """The source that the sample says most of, of those not run on all rows."""
        unknown = self._unknown()
        if not unknown:
            return {}
        judged = self._judged()
        value_of = dict(zip(judged, self._estimates(number, judged).values, strict=True))
        model, _ = max(unknown, key=value_of.__getitem__)
        return {model: _by_model(unknown)[model]}

    def _drop_worse(self, number: int) -> None:
        """Let those go that are worse than another, all but surely."""
        judged = self._judged()
        error, seed = self._errors[number] / CONTROLS, (self._options.random_state, number)
        worse = self._estimates(number, judged).worse(error, seed)
        out = {key for key, each in zip(judged, worse, strict=True) if each}
        self._left.update(dict.fromkeys((key for key in self._unknown() if key in out), number))
        self._in_race = [key for key in self._in_race if key not in out]

    def _estimates(self, number: int, keys: Sequence[SourceCut]) -> RoundEstimates:
        entries = [self._entries[number][key] for key in keys]
        sign = 1.0 if self._run.scores[0].higher_is_better else -1.0
        finals = [self._on_all_rows.get(key) for key in keys]
        return RoundEstimates.of(
            sign * np.array([entry.row.score for entry in entries]),
            np.stack([sign * entry.influence for entry in entries], axis=1),
            self._samples[number],
            sign * np.array([np.nan if row is None else row.score for row in finals]),
            np.array([0.0 if row is None else row.half_width for row in finals]),
        )

    def _run_whole(self, cuts: Mapping[str, Sequence[str]], number: int) -> bool:
        """Score sources on all rows; whether none failed."""
        if not cuts:
            return True
        failed = len(self._failed)
        self._tell(number, self._run.target.n_samples, cuts)
        earlier = self._samples[min(number, len(self._samples) - 1)].rows
        jobs = [
            Job(source, tuple(cuts[source.name]), earlier=earlier)
            for source in self._work.sources
            if source.name in cuts
        ]
        self._ran.update(dict.fromkeys(cuts, self._run.target.n_samples))
        for job, found in self._work.ended(jobs):
            for row in found.rows:
                if row.score is None:
                    self._failed[row.model, row.cut] = row
                else:
                    self._on_all_rows[row.model, row.cut or ""] = row
            self._work.watcher.finished(job.name, found.rows)
        return len(self._failed) == failed

    def _not_failed(self, keys: Iterable[SourceCut]) -> list[SourceCut]:
        return [
            key for key in keys if key not in self._failed and (key[0], None) not in self._failed
        ]

    def _rows_of(self, model: str, left: Mapping[SourceCut, RankRow]) -> SourceRows:
        """The rows of a source: run on all rows, left before, or without a score."""
        rows = [row for key, row in self._on_all_rows.items() if key[0] == model]
        rows += [row for key, row in left.items() if key[0] == model]
        rows += [row for key, row in self._failed.items() if key[0] == model]
        return replace(self._sources[model], rows=tuple(rows))

    def _rows_that_left(self) -> dict[SourceCut, RankRow]:
        """Correct what a sample says of them by all that is known at the end."""
        rows: dict[SourceCut, RankRow] = {}
        for number, entries in enumerate(self._entries):
            left = [key for key, when in self._left.items() if when == number]
            if not left:
                continue
            found = estimated_rows(
                [entries[key] for key in left],
                [(entries[key], row) for key, row in self._on_all_rows.items()],
                self._estimates(number, [*left, *self._on_all_rows]),
                self._run.scores[0].key,
                selective_confidence(
                    self._options.confidence, len(left), self._rounds[number].candidates
                ),
            )
            rows_of_round = (replace(row, left_in_round=number + 1) for row in found)
            rows |= dict(zip(left, rows_of_round, strict=True))
        return rows

    def _facts(self) -> RaceFacts:
        return RaceFacts(
            confidence=self._options.confidence,
            random_state=self._options.random_state,
            rounds=tuple(self._rounds),
            forwards=sum(self._ran.values()),
            full_forwards=self._run.target.n_samples * len(self._ran),
        )

    def _without_a_race(self) -> tuple[list[SourceRows], RaceFacts]:
        """Run every source on all rows, and say why."""
        sources = self._work.every(self._without)
        total, classes = self._run.target.n_samples, len(self._run.target.classes)
        models = sum(any(row.score is not None for row in source.rows) for source in sources)
        candidates = sum(row.score is not None for source in sources for row in source.rows)
        note = (
            f"No race: {total} samples of {classes} classes are too few to judge by a part of "
            "them, so every source was run on all."
        )
        rounds = (RaceRound(total, models, candidates, 0),)
        options = self._options
        forwards = total * models
        facts = RaceFacts(
            options.confidence, options.random_state, rounds, forwards, forwards, note
        )
        return sources, facts

    def _tell(self, number: int, rows: int, cuts: Mapping[str, Sequence[str]]) -> None:
        self._work.watcher.round(number + 1, len(self._samples) + 1, rows, list(cuts))


def _by_model(field: Iterable[SourceCut]) -> dict[str, tuple[str, ...]]:
    cuts: dict[str, tuple[str, ...]] = {}
    for model, cut in field:
        cuts[model] = (*cuts.get(model, ()), cut)
    return cuts


def run_race(
    work: Work, request: Request, options: RaceOptions, *, by_default: bool
) -> tuple[list[SourceRows], RaceFacts]:
    """Race; whoever interrupts that has the table so far.

    ``by_default`` says that no score was asked for, so that the one that decides needs a word.
    """
    race = Race(work, options)
    try:
        sources, facts = race.results()
    except KeyboardInterrupt:
        sources = race.so_far(INTERRUPTED)
        if all(row.status == "untried" for source in sources for row in source.rows):
            raise
        raise Interrupted(request.answered(sources, with_baseline=False)) from None
    if by_default:
        facts = replace(facts, note=" ".join(filter(None, [facts.note, BY_DEFAULT])))
    return sources, facts
