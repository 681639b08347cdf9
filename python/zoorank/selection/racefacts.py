"""What a ranking says about the race that led to it."""

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
        Candidates that left after it, as worse than another; 0 for the last round.
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
        >>> rounds = (RaceRound(312, 35, 105, 60), RaceRound(5000, 9, 12, 0))
        >>> RaceFacts(0.95, 0, rounds, 53000, 175000).summary
        'Race at 95% confidence: 35 sources on 312 samples, 9 on 5000; 30% of the forward passes \
of a full run.'
        """
        told = []
        if len(self.rounds) > 1:
            first, *others = self.rounds
            steps = [f"{first.models} sources on {first.rows} samples"]
            steps += [f"{each.models} on {each.rows}" for each in others]
            told.append(
                f"Race at {100 * self.confidence:.4g}% confidence: {', '.join(steps)}; "
                f"{self.share:.0%} of the forward passes of a full run."
            )
        return " ".join([*told, *filter(None, [self.note])])

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> RaceFacts:
        """Read what ``dataclasses.asdict`` made."""
        rounds = tuple(RaceRound(**each) for each in values["rounds"])
        return cls(**{**values, "rounds": rounds})
