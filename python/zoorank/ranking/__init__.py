"""Decisions made from scores: which source, cut where, to transfer from."""

from __future__ import annotations

from zoorank.ranking.progress import Progress
from zoorank.ranking.racing.facts import RaceFacts, RaceRound
from zoorank.ranking.rank import rank, store_directory
from zoorank.ranking.ranking import Ranking
from zoorank.ranking.records import Provenance, RankRow, TargetFacts

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
