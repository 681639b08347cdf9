"""The target of a ranking that was read from a file, loaded again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from zoorank.errors import DataError
from zoorank.targets import load_target
from zoorank.targets.base import Modality, Target
from zoorank.targets.paths import is_named

if TYPE_CHECKING:
    from zoorank.ranking.ranking import Ranking


def load_again(ranking: Ranking, data: str | None = None) -> Target:
    """Load the target of a ranking as it was loaded then.

    Parameters
    ----------
    ranking : Ranking
    data : str, optional
        Where it is now; by default where it was.

    Raises
    ------
    DataError
        If it is not there, or holds other data now, or was made of arrays.
    """
    settings = ranking.provenance.settings
    limit = settings.get("limit")
    place = data or ranking.target.source.removesuffix(f" (limit {limit})")
    if place == "arrays":
        raise DataError("its target was made of arrays in Python; say where the same data are")
    if data is None and not is_named(place):
        place = str(Path(ranking.provenance.directory, Path(place).expanduser()))
    target = load_target(
        place,
        limit=limit,
        modality=cast("Modality", ranking.target.modality),
        input_column=settings.get("input_column") or (),
        label_column=settings.get("label_column"),
        group_column=settings.get("group_column"),
    )
    if target.fingerprint != ranking.target.fingerprint:
        raise DataError(f"{place} holds other data now than those that were ranked for")
    return target
