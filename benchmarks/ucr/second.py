"""The second truth: what fine-tuning says of the scores, and of the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from candidates import Study
from finetune import Job
from picks import CONSENSUS, PROBE, VERIFY, first

from zoorank.evaluation.agreement import agreement
from zoorank.evaluation.evaluate import (
    RANDOM,
    STATIC,
    Difference,
    Evaluation,
    evaluate_targets,
    paired,
    static_scores,
)
from zoorank.evaluation.tables import Candidates

HEAD = "the head's accuracy on TEST, seen"

PICKED = (CONSENSUS, VERIFY, PROBE, STATIC, "euclidean", "cosine")

Picks = dict[str, np.ndarray]


@dataclass(frozen=True)
class Second:
    """Everything that fine-tuning says.

    Attributes
    ----------
    tuned, head : Evaluation
        Of the candidates that chance has drawn, by fine-tuning and by the head.
    agreement, frozen_agreement : float
        Mean over targets of Spearman's correlation of fine-tuning with the head, and
        with the head that fine-tuning itself began with.
    of_head : Difference
        Regret by fine-tuning of the candidate with the best head on TEST, less that of
        a random pick.
    picks : dict of str to ndarray
        Accuracy by fine-tuning of the first pick out of all candidates, by target, for a
        few selectors; of a random pick it is the mean over the sample.
    rows : sequence of dict
        Of tuned.csv.
    """

    tuned: Evaluation
    head: Evaluation
    agreement: float
    frozen_agreement: float
    of_head: Difference
    picks: Picks
    rows: Sequence[dict[str, str]]

    @classmethod
    def of(cls, study: Study) -> Second:
        by_head = [_with_head(each) for each in study.selected(study.sample)]
        by_tuning = study.by_tuning(by_head)
        frozen = study.by_tuning(by_head, "frozen")
        tuned = evaluate_targets(by_tuning)
        return cls(
            tuned,
            evaluate_targets(by_head),
            _agreement(by_head, by_tuning),
            _agreement(frozen, by_tuning),
            paired(tuned[HEAD].regrets, tuned[RANDOM].regrets),
            _picks(study),
            list(study.tuned.values()),
        )


def wanted_picks(study: Study) -> list[Job]:
    """The first pick of the selectors that matter most, for every target."""
    targets = _with_static(study)
    picks = [
        (each, each.names[first(each, each.scores[key])]) for key in PICKED for each in targets
    ]
    return list(dict.fromkeys(Job(each.target, *name, drawn=0) for each, name in picks))


def _with_head(target: Candidates) -> Candidates:
    return replace(target, scores={**target.scores, HEAD: target.truth})


def _with_static(study: Study) -> list[Candidates]:
    return [
        replace(each, scores={**each.scores, STATIC: static})
        for each, static in zip(study.targets, static_scores(study.targets), strict=True)
    ]


def _agreement(targets: Sequence[Candidates], others: Sequence[Candidates]) -> float:
    """Mean over targets of Spearman's correlation of two truths."""
    found = [
        agreement(each.truth, other.truth)["spearman"]
        for each, other in zip(targets, others, strict=True)
    ]
    return float(np.nanmean(found))


def _picks(study: Study) -> Picks:
    """Accuracy by fine-tuning of first picks out of all candidates; nothing if some is missing.

    Equal scores go to the smaller prefix, as `rank` has it.
    """
    found: Picks = {}
    for key in PICKED:
        keys = [
            (each.target, *each.names[first(each, each.scores[key])])
            for each in _with_static(study)
        ]
        if not all(name in study.tuned for name in keys):
            return {}
        found[key] = np.array([float(study.tuned[name]["tuned"]) for name in keys])
    by_tuning = study.by_tuning(study.sample)
    return {**found, RANDOM: np.array([each.truth.mean() for each in by_tuning])}
