"""How far to trust a pick, from what the study measured on targets of the same size.

The figures are in evidence.json, which benchmarks/ucr/study.py writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from zoorank.ranking.rows import RankRow
from zoorank.targets.base import TargetFacts

EVIDENCE = Path(__file__).with_name("evidence.json")
FEW_SAMPLES = 100
FEW_CLASSES = 4


def regime(n_samples: int, n_classes: int) -> str:
    """Name the kind of target by its size; the study groups its targets by it.

    Examples
    --------
    >>> regime(60, 2), regime(400, 12)
    ('under 100 samples', '100 samples or more, over 4 classes')
    """
    if n_samples < FEW_SAMPLES:
        return f"under {FEW_SAMPLES} samples"
    classes = f"up to {FEW_CLASSES}" if n_classes <= FEW_CLASSES else f"over {FEW_CLASSES}"
    return f"{FEW_SAMPLES} samples or more, {classes} classes"


def guidance(key: str, rows: Sequence[RankRow], target: TargetFacts) -> str:
    """Say how often picks by this score were right on targets of this kind.

    Parameters
    ----------
    key : str
        Of the score that decides the rank.
    rows : sequence of RankRow
        Ranked.
    target : TargetFacts

    Returns
    -------
    str
        Empty where the study did not measure the score, or nothing was ranked.
    """
    if target.task == "numbers":
        return "How far to trust it: no study of targets of numbers is there to say."
    kind = regime(target.n_samples, len(target.classes))
    found = evidence()["regimes"][kind]
    dims = [row.dim for row in rows if row.status == "ok" and row.dim is not None]
    if key not in found["scores"] or not dims:
        return ""
    own, best = found["scores"][key], found["scores"][found["best"]]
    text = (
        f"How far to trust it: on {found['targets']} time-series targets of this kind ({kind}), "
        f"with {found['candidates']} candidates each, the first pick by {own['label']} was a best "
        f"one for {own['top1']:.0%} of them and the first three held one for {own['top3']:.0%}; "
        f"it lacked {own['regret']:.1f} points of accuracy on average, a head cross-validated on "
        f"every candidate {found['scores']['probe']['regret']:.1f}, the best static source "
        f"{found['static']:.1f}, a random pick {found['random']:.1f}."
    )
    if best["regret"] < own["regret"]:
        text += (
            f" The best single score there, seen afterwards, was {best['label']} "
            f"({best['regret']:.1f} points)."
        )
    if max(dims) >= target.n_samples:
        text += (
            " Some encodings have as many numbers as there are samples: the plain H-score cannot "
            "tell these apart."
        )
    return text


@cache
def evidence() -> Mapping[str, Any]:
    """What the study found, by kind of target."""
    found: dict[str, Any] = json.loads(EVIDENCE.read_text(encoding="utf-8"))
    return found
