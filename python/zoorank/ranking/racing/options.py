"""How to race, as the caller asked for it."""

from __future__ import annotations

from dataclasses import dataclass

from zoorank.errors import UsageError


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
