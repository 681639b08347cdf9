"""Decisions made from scores: which source, cut where, to transfer from."""

from __future__ import annotations

from zoorank.ranking.provenance import Provenance
from zoorank.ranking.racing.facts import RaceFacts, RaceRound
from zoorank.ranking.ranking import Ranking
from zoorank.ranking.rows import RankRow
from zoorank.ranking.work import Progress
from zoorank.targets.facts import TargetFacts

__all__ = [
    "Progress",
    "Provenance",
    "RaceFacts",
    "RaceRound",
    "RankRow",
    "Ranking",
    "TargetFacts",
]
