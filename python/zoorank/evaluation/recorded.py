"""True accuracies of a table as lines of a record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from zoorank.errors import UsageError
from zoorank.evaluation.tables import Candidates
from zoorank.messages import hint
from zoorank.ranking.record import Trained
from zoorank.targets.base import Modality


def check_modality(modality: str | None, *, is_recorded: bool) -> None:
    """Refuse a modality that does not exist, or that nothing would be told of.

    Raises
    ------
    UsageError
    """
    if modality is None:
        return
    if modality not in get_args(Modality):
        raise UsageError(f"unknown modality {modality!r}; {hint(modality, get_args(Modality))}")
    if not is_recorded:
        raise UsageError("the modality is for the lines of a record; name one to append to")


def recorded(targets: Sequence[Candidates], how: str, modality: str | None) -> list[Trained]:
    """The true accuracies as a record has them, per cent as shares.

    Parameters
    ----------
    targets : sequence of Candidates
    how : str
        What the table calls the accuracy.
    modality : str or None
        Of all targets; None where it is not known.

    Raises
    ------
    UsageError
        If the figures are no accuracies.
    """
    largest = max(float(target.truth.max()) for target in targets)
    least = min(float(target.truth.min()) for target in targets)
    if least < 0 or largest > 100:
        raise UsageError(
            f"no record is kept of these figures: accuracies are shares or per cent, and they "
            f"reach from {least:g} to {largest:g}"
        )
    unit = 1.0 if largest <= 1 else 100.0
    return [
        Trained(target.target, source, cut, round(accuracy / unit, 6), how, modality=modality or "")
        for target in targets
        for (source, cut), accuracy in zip(target.names, target.truth.tolist(), strict=True)
    ]
