"""How to race, as the caller asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zoorank.errors import UsageError
from zoorank.ranking.consensus import Consensus, deciding_scores
from zoorank.scores import TABLE, Score

DEFAULT = "silhouette:euclidean"
BY_DEFAULT = (
    "Decided by MSC euclidean: the consensus cannot be judged by a sample of rows (docs/racing.md)."
)


@dataclass(frozen=True)
class RaceOptions:
    """How to race.

    Attributes
    ----------
    confidence : float
        How sure the first row of a full run is to be among the contenders to the end.
    first_rows : int or None
        Size of the first sample; None for a default that depends on the target.
    random_state : int
        Seed of the samples.
    """

    confidence: float = 0.95
    first_rows: int | None = None
    random_state: int = 0


def race_options(
    race: bool,
    confidence: float | None = None,
    first_rows: int | None = None,
    random_state: int | None = None,
) -> RaceOptions | None:
    """Check what was asked for; None where no race was.

    Raises
    ------
    UsageError
        If a value is out of its range, or given without a race.
    """
    given = {"confidence": confidence, "first_rows": first_rows, "random_state": random_state}
    named = [name for name, value in given.items() if value is not None]
    if not race:
        if named:
            raise UsageError(
                f"{named[0]} is an option of a race, and no race was asked for; "
                "say --race, or race=True from Python"
            )
        return None
    default = RaceOptions()
    confidence = default.confidence if confidence is None else confidence
    random_state = default.random_state if random_state is None else random_state
    if not 0 < confidence < 1:
        raise UsageError(f"confidence must lie between 0 and 1, not {confidence}")
    if first_rows is not None and first_rows < 1:
        raise UsageError(f"first_rows must be at least 1, not {first_rows}")
    if random_state < 0:
        raise UsageError(f"random_state must be at least 0, not {random_state}")
    return RaceOptions(confidence, first_rows, random_state)


def racing_scores(
    wanted: str | Sequence[str] | None, metric: str | None
) -> tuple[Score, tuple[Score, ...]]:
    """What decides a race, and all that is computed.

    A race judges by a sample of rows, so the score that decides must mean the same on a
    sample as on all rows. That of the consensus's parts that does takes its place by default.

    Raises
    ------
    UsageError
        If the first score cannot race, or one does not exist.
    """
    if wanted is None and metric is None:
        wanted = DEFAULT
    deciding, scores = deciding_scores(wanted, metric)
    if isinstance(deciding, Consensus) or deciding.of_sample is None:
        able = dict.fromkeys(score.name for score in TABLE if score.of_sample is not None)
        raise UsageError(
            f"score {deciding.name!r} cannot race, for a sample of rows cannot judge it; "
            f"name one that can first; allowed: {', '.join(able)}"
        )
    return deciding, scores
