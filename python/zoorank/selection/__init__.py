"""Decisions made from scores: which source, cut where, to transfer from."""

from __future__ import annotations

from zoorank.selection.progress import Progress
from zoorank.selection.racing.facts import RaceFacts, RaceRound
from zoorank.selection.rank import rank, store_directory
from zoorank.selection.ranking import Provenance, Ranking, RankRow, TargetFacts

__all__ = [
    "Progress",
    "Provenance",
    "RaceFacts",
    "RaceRound",
    "RankRow",
    "Ranking",
    "TargetFacts",
    "rank",
    "store_directory",
]
