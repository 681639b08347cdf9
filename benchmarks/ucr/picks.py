"""Ways to pick a candidate: single scores, their combinations, heads, and what needs none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from zoorank.evaluation.evaluate import Evaluation
from zoorank.evaluation.tables import Candidates
from zoorank.ranking.answer import share_beaten
from zoorank.ranking.consensus import DEFAULT
from zoorank.scores import TABLE
from zoorank.verification.verdict import MARGIN, first_within_noise

PROBE, IDS = "probe", "ids"
LABELS = {score.key: score.label for score in TABLE if "classes" in score.tasks}
LABELS |= {PROBE: "head on every candidate, cross-validated", IDS: "IDS, from the source's data"}
# Without the one that trains a head for every candidate, which they are to replace, and
# the one that wants the data that a source was trained on.
SINGLE = [key for key in LABELS if key not in (PROBE, IDS)]
PARTS = [part.key for part in DEFAULT.parts]
VERIFIED = 5
CONSENSUS = "consensus"
VERIFY = f"consensus, then heads on its first {VERIFIED}"
COMBINED = (VERIFY, CONSENSUS, PROBE)

Order = Callable[[Candidates], np.ndarray]


def selected(target: Candidates, n: int) -> Candidates:
    """The candidates of a target with the selectors beside the single scores.

    Parameters
    ----------
    target : Candidates
    n : int
        Samples that its scores saw.
    """
    scores = dict(target.scores)
    scores[CONSENSUS] = rank_average(PARTS)(target)
    scores[VERIFY] = verified(target, scores[CONSENSUS], n)
    return replace(target, scores=scores)


def rank_average(keys: Sequence[str]) -> Order:
    """Mean over scores of the share of candidates beaten, as `rank` computes it."""

    def order(target: Candidates) -> np.ndarray:
        table = np.stack([target.scores[key] for key in keys], axis=1)
        return np.array([share_beaten(table, row) for row in table])

    return order


def verified(target: Candidates, order: np.ndarray, n: int, margin: float = MARGIN) -> np.ndarray:
    """What `zoorank verify` takes comes first, then the rest of the first few by their heads."""
    first = np.argsort(-order, kind="stable")[:VERIFIED]
    heads = target.scores[PROBE][first]
    score = order - 2
    score[first] = heads + 1e-6 * order[first]
    score[first[first_within_noise(heads.tolist(), n, margin)]] = 2
    return score


def only(target: Candidates, wanted: Iterable[bool]) -> Candidates:
    """The target with some of its candidates."""
    kept = np.flatnonzero(list(wanted))
    return replace(
        target,
        names=tuple(target.names[i] for i in kept),
        truth=target.truth[kept],
        scores={key: values[kept] for key, values in target.scores.items()},
    )


def first(target: Candidates, score: np.ndarray) -> int:
    """Place of the pick; of equal scores the smallest prefix, as `rank` has it."""
    return int(np.lexsort((target.scores["parameters"], -score))[0])


def points(found: Evaluation, name: str) -> float:
    """Mean regret of a score's first pick in points."""
    return 100 * found[name].measures["regret@1"].mean


def label(key: str) -> str:
    """A score as tables call it."""
    return LABELS.get(key, key)
