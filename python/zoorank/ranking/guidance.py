"""How far to trust a pick, from what a study measured on targets of the same kind.

The figures are in evidence.json, which benchmarks/ucr/study.py writes for series, and
benchmarks/informed/study.py for images and for what is known beside the encodings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from zoorank.ranking.rows import RankRow
from zoorank.targets.facts import TargetFacts

EVIDENCE = Path(__file__).with_name("evidence.json")
FEW_SAMPLES = 100
FEW_CLASSES = 4
CONSENSUS, INFORMED = "consensus", "informed"
KINDS = {"image": "image targets", "text": "texts", "audio": "sounds", "table": "tables"}


@dataclass(frozen=True)
class Picks:
    """How good the candidates were that a score put first.

    Attributes
    ----------
    label : str
        The score's name.
    top1, top3 : float
        Shares of the targets for which the first, or one of the first three, was a best one.
    regret : float
        Points of accuracy that the first lacked, in the mean.
    """

    label: str
    top1: float
    top3: float
    regret: float


@dataclass(frozen=True)
class Study:
    """What was found on targets of one kind.

    Attributes
    ----------
    targets, candidates : int
        Candidates of each target.
    random, static : float
        Points that a random pick lacked, and the source that was best for all targets.
    best : str
        Key of the score that lacked least, of those that stand alone.
    scores : mapping of str to Picks
    name : str
        The kind in words; empty where the size of the targets names it.
    """

    targets: int
    candidates: int
    random: float
    static: float
    best: str
    scores: Mapping[str, Picks]
    name: str = ""


@dataclass(frozen=True)
class WorthOfRecords:
    """Points that picks lacked among half of the sources.

    Attributes
    ----------
    consensus : float
        By the consensus alone.
    regrets : mapping of str to float
        With what is known beside it, by the number of earlier targets.
    """

    consensus: float
    regrets: Mapping[str, float]


@dataclass(frozen=True)
class Evidence:
    """What all studies found.

    Attributes
    ----------
    effects : mapping of str to float
        Fields of :class:`zoorank.ranking.informed.Effects`.
    regimes : mapping of str to Study
        Of time series, by :func:`regime`.
    kinds : mapping of str to Study
        By modality.
    informed : mapping of str to WorthOfRecords
        By modality.
    """

    effects: Mapping[str, float]
    regimes: Mapping[str, Study]
    kinds: Mapping[str, Study] = field(default_factory=dict)
    informed: Mapping[str, WorthOfRecords] = field(default_factory=dict)


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
    dims = [row.dim for row in rows if row.status == "ok" and row.dim is not None]
    if not dims:
        return ""
    kind, found = _study(target)
    if target.task == "numbers":
        return (
            "Silhouettes need classes, so none is computed for numbers to predict. "
            f"How far to trust it: no study of {kind} is there to say."
        )
    if found is None:
        return f"How far to trust it: no study of {kind} is there to say."
    # Where informed was not measured, it is the consensus with what else is known on top.
    measured = CONSENSUS if key == INFORMED and INFORMED not in found.scores else key
    if measured not in found.scores:
        return ""
    own, best = found.scores[measured], found.scores[found.best]
    text = (
        f"How far to trust it: the study has {found.targets} {kind}, "
        f"with {found.candidates} candidates each. The first pick by {own.label} "
        f"was a best one for {own.top1:.0%} of them, and the first three held one for "
        f"{own.top3:.0%}. On average the first pick lacked {own.regret:.1f} points of "
        f"accuracy. {_of_others(found)} {found.static:.1f}, "
        f"a random pick {found.random:.1f}."
    )
    if best.regret < own.regret:
        text += (
            f" The best single score there, seen afterwards, was {best.label} "
            f"({best.regret:.1f} points)."
        )
    if measured != key:
        text += " So the consensus alone picks; no figures of informed are there by kind."
    if key == INFORMED:
        text += _of_what_is_known(target.modality)
    if max(dims) >= target.n_samples:
        text += (
            " Some encodings have as many numbers as there are samples: the plain H-score cannot "
            "tell these apart."
        )
    return text


def _study(target: TargetFacts) -> tuple[str, Study | None]:
    """Targets like this one in words, and what was found on them; None where no study fits."""
    if target.task == "numbers":
        return "targets of numbers", None
    if target.modality == "series":
        kind = regime(target.n_samples, len(target.classes))
        return f"time-series targets of this kind ({kind})", evidence().regimes[kind]
    found = evidence().kinds.get(target.modality)
    name = KINDS.get(target.modality, "such targets") if found is None else found.name
    return name, found


def _of_others(found: Study) -> str:
    """What comes before the figure of the best static source: heads, where a study has them."""
    probe = found.scores.get("probe")
    if probe is None:
        return "The best static source lacked"
    lacked = f"{probe.regret:.1f}"
    return f"A head cross-validated on every candidate lacked {lacked}, the best static source"


def _of_what_is_known(modality: str) -> str:
    """What a record of earlier targets was worth beside the consensus."""
    found = evidence().informed.get(modality)
    if found is None:
        return " What records are worth was measured on time series alone."
    by_targets = ", ".join(
        f"{regret:.1f} with {count} earlier target{'s' * (count != '1')}"
        for count, regret in found.regrets.items()
    )
    return (
        f" With what is known beside the encodings, first picks among half of the sources lacked "
        f"{by_targets}; by the consensus alone {found.consensus:.1f}."
    )


@cache
def evidence() -> Evidence:
    """Read what the studies found."""
    from pydantic import TypeAdapter

    return TypeAdapter(Evidence).validate_json(EVIDENCE.read_bytes())
