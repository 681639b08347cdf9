"""Sources that have seen the labels of the target: their scores say nothing about transfer."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from zoorank.ranking.ranking import RankRow
from zoorank.ranking.run import Run

if TYPE_CHECKING:
    from zoorank.sources.specs import ModelSpec

NOTE = "trained on this target, so its score says nothing about transfer"


def trained_on_target(specs: Iterable[ModelSpec], run: Run) -> frozenset[str]:
    """Names of the sources whose manifest says that they were trained on the target.

    That is so where it says the place that the target was read from. What lies in two
    places is compared only if a score has read it anyway: to find out, nothing is loaded.
    """
    from zoorank.targets.paths import same_place

    return frozenset(
        spec.name
        for spec in specs
        if spec.trained_on is not None
        and (
            same_place(spec.trained_on, run.target.place)
            or run.prototypes.is_target(spec.trained_on)
        )
    )


def noted(rows: Iterable[RankRow], own: Collection[str]) -> list[RankRow]:
    """Say so in every scored row of such a source, after what its note says already."""
    return [
        replace(row, note="; ".join(filter(None, (row.note, NOTE))))
        if row.status == "ok" and row.model in own
        else row
        for row in rows
    ]
