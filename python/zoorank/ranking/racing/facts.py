"""What a ranking says about how its field was narrowed down: by a race, or by a budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RaceRound:
    """One round: who was in it and who left.

    Attributes
    ----------
    rows : int
        Samples of the target that it looked at.
    models, candidates : int
        Sources in it, and their cuts together.
    left : int
        Candidates found worse than another, those among them that were run on all rows too;
        0 for the last round.
    """

    rows: int
    models: int
    candidates: int
    left: int


@dataclass(frozen=True)
class RaceFacts:
    """How a race went.

    Attributes
    ----------
    confidence : float
        With which the first row of the full run is among the contenders to the end.
    random_state : int
        Seed of the samples.
    rounds : tuple of RaceRound
        The last one is on all rows.
    forwards, full_forwards : int
        Samples times sources that went through a network, and those of a run without a
        race. What a store held already is counted too.
    note : str
        What else is worth knowing, such as why there was nothing to be saved.
    """

    confidence: float
    random_state: int
    rounds: tuple[RaceRound, ...]
    forwards: int
    full_forwards: int
    note: str = ""

    @property
    def share(self) -> float:
        """Forward passes over those of a run without a race."""
        return self.forwards / self.full_forwards if self.full_forwards else 1.0

    @property
    def summary(self) -> str:
        """How it went, in a sentence or two.

        Examples
        --------
        >>> first, second = RaceRound(312, 35, 99, 90), RaceRound(1250, 7, 9, 8)
        >>> rounds = (first, second, RaceRound(5000, 3, 4, 0))
        >>> RaceFacts(0.95, 0, rounds, 29674, 175000).summary
        'Race at 95% confidence: 35 sources on 312 samples, then 7 on 1250; 3 were run on all \
5000. 17% of the forward passes of a full run.'
        """
        sentences = []
        if len(self.rounds) > 1:
            first, *others, last = self.rounds
            sources = "source" if first.models == 1 else "sources"
            steps = [f"{first.models} {sources} on {first.rows} samples"]
            steps += [f"then {each.models} on {each.rows}" for each in others]
            were = "was" if last.models == 1 else "were"
            sentences.append(
                f"Race at {100 * self.confidence:.4g}% confidence: {', '.join(steps)}; "
                f"{last.models} {were} run on all {last.rows}. "
                f"{self.share:.0%} of the forward passes of a full run."
            )
        return " ".join([*sentences, *filter(None, [self.note])])

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> RaceFacts:
        """Read what ``dataclasses.asdict`` made."""
        rounds = tuple(RaceRound(**each) for each in values["rounds"])
        return cls(**{**values, "rounds": rounds})


_MORE = "The same command with a larger budget goes on from here."


@dataclass(frozen=True)
class BudgetFacts:
    """How far a budget went.

    Attributes
    ----------
    seconds : float
        The budget.
    spent : float
        Seconds from the start to the end of the last source.
    rows, sample_rows : int
        Of the target, and of the sample; 0 where there was none.
    whole, sampled, failed, untried : int
        Sources that were scored on all rows, on the sample alone, that failed or were filtered,
        and that were not tried.
    """

    seconds: float
    spent: float
    rows: int
    sample_rows: int
    whole: int
    sampled: int
    failed: int
    untried: int

    @property
    def is_complete(self) -> bool:
        """Whether every source was scored on all rows, or found to be of no use."""
        return not self.sampled and not self.untried

    @property
    def summary(self) -> str:
        """How far it went, in a sentence or two.

        Examples
        --------
        >>> print(BudgetFacts(1800.0, 1795.0, 5000, 312, 70, 400, 2, 528).summary)
        Budget of 30 min: of 1000 sources 70 were scored on all 5000 rows, 400 on 312 of them \
alone, 2 have no score and 528 were not tried. The same command with a larger budget goes on \
from here.
        """
        total = self.whole + self.sampled + self.failed + self.untried
        parts = [
            f"{self.whole} {_were(self.whole)} scored on all {self.rows} rows",
            f"{self.sampled} on {self.sample_rows} of them alone" if self.sampled else "",
            f"{self.failed} {'has' if self.failed == 1 else 'have'} no score"
            if self.failed
            else "",
            f"{self.untried} {_were(self.untried)} not tried" if self.untried else "",
        ]
        *others, last = filter(None, parts)
        became = f"{', '.join(others)} and {last}" if others else last
        rest = (
            "" if self.is_complete else " The same command with a larger budget goes on from here."
        )
        return f"Budget of {in_words(self.seconds)}: of {total} sources {became}.{rest}"


def in_words(seconds: float, digits: int = 3) -> str:
    """A time as people say it.

    Examples
    --------
    >>> in_words(42.0), in_words(1800.0), in_words(5400.0), in_words(5400.0, 1)
    ('42 s', '30 min', '1.5 h', '2 h')
    """
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{float(f'{seconds / length:.{digits}g}'):g} {unit}"
    return f"{float(f'{seconds:.{digits}g}'):g} s"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
