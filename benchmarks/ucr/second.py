"""The second truth: what fine-tuning says of the scores, and of the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from board import Study
from finetune import Job
from picks import CONSENSUS, PROBE, first

from zoorank.selection.agreement import agreement
from zoorank.selection.board import Candidates
from zoorank.selection.evaluate import (
    RANDOM,
    STATIC,
    Difference,
    Evaluation,
    evaluate_board,
    paired,
    static_scores,
)

HEAD = "the head's accuracy on TEST, seen"

Picks = dict[str, tuple[np.ndarray, np.ndarray]]


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
    picks : dict of str to (ndarray, ndarray)
        Accuracy by fine-tuning and by the head of the first pick of each selector out of
        all candidates, by target; of a random pick it is the mean over the sample.
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
        tuned = evaluate_board(by_tuning)
        return cls(
            tuned,
            evaluate_board(by_head),
            _agreement(by_head, by_tuning),
            _agreement(frozen, by_tuning),
            paired(tuned[HEAD].regrets, tuned[RANDOM].regrets),
            _picks(study),
            list(study.tuned.values()),
        )

    def sample_text(self) -> str:
        """What the sample is, and how far the two truths agree."""
        head = self.tuned[HEAD].measures
        return (
            f"{self.tuned.n_candidates[0]} or {max(self.tuned.n_candidates)} candidates for each "
            "target, drawn by chance with as many at each cut, are a zoo of their own; consensus "
            "ranks these alone. The best has a mean accuracy of "
            f"{self.tuned.oracle:.4f} by fine-tuning and {self.head.oracle:.4f} by the head. The "
            f"two truths agree with ρ = {self.agreement:.2f} on average, and who took the best "
            f"head on TEST would lack {100 * head['regret@1'].mean:.2f} points by fine-tuning: "
            "that is how much of a selector's regret is the difference of the truths, and chance."
        )

    def change_text(self) -> str:
        """What training the prefix did to the accuracy on TEST."""
        frozen, tuned, epoch = (
            np.array([float(row[name]) for row in self.rows])
            for name in ("frozen", "tuned", "best_epoch")
        )
        return (
            "Training the prefix too moved the accuracy on TEST by "
            f"{100 * (tuned - frozen).mean():+.1f} points on average; in "
            f"{(epoch == 0).mean():.0%} of the trainings no epoch of it was better, on the "
            "samples held out, than the head on the frozen prefix, which then "
            "stands."
        )

    def picks_text(self) -> str:
        """What the second table holds."""
        return (
            "The first pick of each selector out of all candidates, fine-tuned; equal scores go "
            "to the smaller prefix, as `rank` has it. *Random* is the mean of the sample. The last "
            "column is paired by target, with its 95 % interval and p."
        )


def wanted_picks(study: Study) -> list[Job]:
    """The first pick of every selector for every target, those that matter most first."""
    jobs = {}
    named = _with_static(study)
    keys = list(named[0].scores)
    for key in sorted(keys, key=lambda key: key not in (CONSENSUS, PROBE)):
        for target in named:
            name = target.names[first(target, target.scores[key])]
            job = Job(target.target, *name, drawn=0)
            jobs[job.key] = job
    return list(jobs.values())


def _with_head(target: Candidates) -> Candidates:
    return replace(target, scores={**target.scores, HEAD: target.truth})


def _with_static(study: Study) -> list[Candidates]:
    return [
        replace(each, scores={**each.scores, STATIC: static})
        for each, static in zip(study.board, static_scores(study.board), strict=True)
    ]


def _agreement(board: Sequence[Candidates], others: Sequence[Candidates]) -> float:
    """Mean over targets of Spearman's correlation of two truths."""
    found = [
        agreement(each.truth, other.truth)["spearman"]
        for each, other in zip(board, others, strict=True)
    ]
    return float(np.nanmean(found))


def _picks(study: Study) -> Picks:
    """Accuracy of every selector's first pick, where all of them were fine-tuned."""
    board = _with_static(study)
    found: Picks = {}
    for key in board[0].scores:
        chosen = [first(each, each.scores[key]) for each in board]
        keys = [(each.target, *each.names[i]) for each, i in zip(board, chosen, strict=True)]
        if all(name in study.tuned for name in keys):
            name = "parameter count" if key == "parameters" else key
            found[name] = (
                np.array([float(study.tuned[name]["tuned"]) for name in keys]),
                np.array([each.truth[i] for each, i in zip(board, chosen, strict=True)]),
            )
    if not found:
        return {}
    by_tuning = study.by_tuning(study.sample)
    found[RANDOM] = (
        np.array([each.truth.mean() for each in by_tuning]),
        np.array([each.truth.mean() for each in study.sample]),
    )
    return found
