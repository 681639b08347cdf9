"""A ranking with a row of every kind."""

from __future__ import annotations

from dataclasses import replace

from zoorank.ranking import Provenance, Ranking, RankRow, TargetFacts
from zoorank.ranking.racing.facts import BudgetFacts, RaceFacts, RaceRound

RANKING = Ranking(
    rows=(
        RankRow(
            1,
            "lite2",
            "_blocks.10",
            score=0.1 + 0.1,
            scores={"cosine": 0.1 + 0.1, "euclidean": 1 / 3},
            per_class=(0.1, 0.3),
            dim=480,
            parameters_kept=1_930_000,
            encode_seconds=31.2,
            score_seconds=0.41,
            note="batch halved to 16 after out of memory",
        ),
        RankRow(
            None,
            "raw input",
            None,
            score=0.15,
            scores={"cosine": 0.15, "euclidean": 0.1},
            per_class=(0.1, 0.2),
            dim=64,
            parameters_kept=0,
            score_seconds=0.001,
            status="baseline",
        ),
        RankRow(
            2,
            "lite0-long-name",
            "penultimate",
            score=-0.05,
            half_width=0.01,
            scores={"cosine": -0.05, "euclidean": -0.01},
            per_class=(-0.1, 0.0),
            dim=1280,
            parameters_kept=3_371_000,
            encode_seconds=12.0,
            score_seconds=2.0,
            reused=True,
        ),
        RankRow(None, "broken", None, status="failed", note='no weights, "a.pt" is absent'),
    ),
    target=TargetFacts("digits", "sklearn:digits", "image", 1797, "(8, 8)", ("0", "1"), "ab"),
    score="silhouette",
    key="cosine",
    labels={"cosine": "MSC cosine", "euclidean": "MSC euclidean"},
    higher_is_better=True,
    verdict="Try lite2 cut at _blocks.10 first.",
    provenance=Provenance(
        command="zoorank rank zoo.toml",
        directory="/somewhere",
        started="2026-01-01T00:00:00+00:00",
        manifest="/somewhere/zoo.toml",
        manifest_sha256="cd",
        weights={"lite2": "ef", "broken": None},
        settings={"cuts": ["all"], "limit": None},
        versions={"python": "3.11", "torch": None},
        engine={"instruction_set": "avx512", "cuda_built": False},
    ),
)

# The same after a race, which the last source left after the first of two rounds.
RACED = replace(
    RANKING,
    rows=(
        replace(RANKING.rows[0], tied=True),
        RANKING.rows[1],
        replace(RANKING.rows[2], rows=300, left_in_round=1, tied=True),
        RANKING.rows[3],
    ),
    race=RaceFacts(0.95, 0, (RaceRound(300, 2, 2, 1), RaceRound(1797, 1, 1, 0)), 2097, 3594),
)

# The same where a budget ended before the last source, with another that a sample alone has seen.
BUDGETED = replace(
    RANKING,
    rows=(
        *RANKING.rows[:2],
        RankRow(
            None,
            "looked-at",
            "penultimate",
            scores={"cosine": 0.3, "euclidean": 0.2},
            dim=64,
            status="sampled",
            note="the budget of 30 min was over before its turn",
            rows=128,
        ),
        RankRow(None, "late", None, status="untried", note="takes about 2 h, and 9 min were left"),
        RankRow(None, "later", None, status="untried", note="takes about 2 h, and 9 min were left"),
        RANKING.rows[3],
    ),
    budget=BudgetFacts(1800.0, 1790.0, 1797, 128, whole=1, sampled=1, failed=1, untried=2),
)
