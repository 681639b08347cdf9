"""How the sources of a ranking are run: all on all rows, in a race, or as a budget allows."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zoorank.errors import StoreError, UsageError
from zoorank.ranking.consensus import Consensus, deciding_scores
from zoorank.ranking.racing.facts import BudgetFacts, RaceFacts
from zoorank.ranking.ranking import Ranking, Request
from zoorank.ranking.work import SourceRows, Work, untried

if TYPE_CHECKING:
    from zoorank.ranking.budget import Time
    from zoorank.ranking.racing.options import RaceOptions
    from zoorank.scores import Score


_INTERRUPTED = "the run was interrupted before its end"


class Interrupted(KeyboardInterrupt):
    """A run was interrupted.

    Attributes
    ----------
    ranking : Ranking
        The table so far; a source that was not done has the status ``"untried"``, one that was
        run on a sample alone ``"sampled"``.
    """

    def __init__(self, ranking: Ranking) -> None:
        super().__init__("interrupted")
        self.ranking = ranking


class UnwrittenError(StoreError):
    """The results of a run could not be written.

    Attributes
    ----------
    ranking : Ranking
    """

    def __init__(self, ranking: Ranking, error: StoreError) -> None:
        super().__init__(str(error))
        self.ranking = ranking


def write(ranking: Ranking, out: str | os.PathLike[str]) -> None:
    """Write the results; whoever interrupts that, or has no room for them, has the table."""
    try:
        ranking.write(out)
    except KeyboardInterrupt:
        raise Interrupted(ranking) from None
    except StoreError as error:
        raise UnwrittenError(ranking, error) from error


@dataclass(frozen=True)
class Strategy:
    """What was asked for; the code of a race or a budget is loaded for one alone.

    Attributes
    ----------
    race : RaceOptions or None
    clock : Time or None
        When a budget is over.
    """

    race: RaceOptions | None = None
    clock: Time | None = None

    @classmethod
    def of(
        cls,
        race: bool,
        confidence: float | None,
        first_rows: int | None,
        random_state: int | None,
        budget: float | None,
    ) -> Strategy:
        """Choose by the arguments of a call.

        Raises
        ------
        UsageError
            When one of them is wrong, or they do not go together.
        """
        options = None
        if race or any(each is not None for each in (confidence, first_rows, random_state)):
            from zoorank.ranking.racing.options import race_options

            options = race_options(race, confidence, first_rows, random_state)
        if budget is None:
            return cls(options)
        if not (budget > 0 and math.isfinite(budget)):
            raise UsageError(
                f"budget must be more than 0 seconds and have an end, not {budget}; without one "
                "all sources are run"
            )
        if options is not None:
            raise UsageError("a budget decides itself what to run on a sample: leave out the race")
        from zoorank.ranking.budget import Time

        return cls(clock=Time(budget, time.monotonic() + budget))

    def scores(
        self, score: str | Sequence[str] | None, metric: str | None
    ) -> tuple[Score | Consensus, tuple[Score, ...]]:
        """What decides, and all that is computed."""
        if self.race is None:
            return deciding_scores(score, metric)
        from zoorank.ranking.racing.options import racing_scores

        return racing_scores(score, metric)

    def ranking(
        self,
        work: Work,
        cuts_of: Mapping[str, Sequence[str]],
        request: Request,
        *,
        by_default: bool,
        out: str | os.PathLike[str] | None,
    ) -> Ranking:
        """Run the sources, and answer the request by what became of them."""
        raced = budgeted = None
        if self.clock is not None:
            if self.clock.left <= 0:  # reading the target took it all
                request = replace(request, with_baseline=False)
            sources, budgeted = _budgeted(work, cuts_of, request, self.clock, out)
        elif self.race is None:
            sources = _every(work, cuts_of, request)
        else:
            sources, raced = _raced(work, cuts_of, request, self.race)
            if by_default:
                from zoorank.ranking.racing.options import BY_DEFAULT

                raced = replace(raced, note=" ".join(filter(None, [raced.note, BY_DEFAULT])))
        tried = [source for source in sources if source.rows[0].status != "untried"]
        mistakes = [source.outcome.mistake for source in tried]
        if mistakes and mistakes[0] is not None and all(each is not None for each in mistakes):
            raise mistakes[0]  # that all sources share
        try:
            return request.answered(sources, raced, budgeted)
        except KeyboardInterrupt:  # while the raw input was scored
            answer = request.answered(sources, raced, budgeted, with_baseline=False)
            raise Interrupted(answer) from None


def _budgeted(
    work: Work,
    cuts_of: Mapping[str, Sequence[str]],
    request: Request,
    clock: Time,
    out: str | os.PathLike[str] | None,
) -> tuple[list[SourceRows], BudgetFacts]:
    """Run what a budget allows, and keep the table so far in ``out``."""
    from zoorank.ranking.budget import Budget, published
    from zoorank.ranking.planner import recorded

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
    budget = Budget(work, cuts_of, request.deciding, clock, expected, so_far)
    try:
        return budget.results()
    except KeyboardInterrupt:
        sources, facts = budget.so_far()
        raise Interrupted(request.answered(sources, budget=facts)) from None


def _raced(
    work: Work, cuts_of: Mapping[str, Sequence[str]], request: Request, options: RaceOptions
) -> tuple[list[SourceRows], RaceFacts]:
    """Race; whoever interrupts that has the table so far."""
    from zoorank.ranking.racing.race import Race

    race = Race(work, cuts_of, options)
    try:
        return race.results()
    except KeyboardInterrupt:
        sources = race.so_far(_INTERRUPTED)
        if all(row.status == "untried" for source in sources for row in source.rows):
            raise
        raise Interrupted(request.answered(sources, with_baseline=False)) from None


def _every(work: Work, cuts_of: Mapping[str, Sequence[str]], request: Request) -> list[SourceRows]:
    """Run every source; whoever interrupts that has the table so far."""
    found: dict[str, SourceRows] = {}
    try:
        return work.every(cuts_of, found)
    except KeyboardInterrupt:
        if not found:
            raise
        left = [source.name for source in work.sources if source.name not in found]
        sources = [*found.values(), *(untried(name, _INTERRUPTED) for name in left)]
        raise Interrupted(request.answered(sources, with_baseline=False)) from None
