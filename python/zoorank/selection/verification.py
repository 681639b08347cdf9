"""What training found out about a ranking: accuracies, and whether the order held."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from zoorank.selection.ranking import Ranking

FORMAT = 1
MARGIN = 2.0


@dataclass(frozen=True)
class Verified:
    """One candidate of the ranking, trained.

    Attributes
    ----------
    rank : int or None
        Its rank by score.
    model, cut : str
    head : tuple of float
        Accuracy of a head on the frozen encodings, cross-validated; one figure for
        each repeat, which draws its own samples.
    frozen, tuned : tuple of float
        Accuracy on samples held out, before and after the prefix was trained too; one
        figure for each repeat that successive halving granted.
    curves : tuple of tuple of float
        Accuracy on the stopping samples: with the prefix frozen, then by epoch.
    note : str
        Why there is none, or what cut it short.
    """

    rank: int | None
    model: str
    cut: str
    head: tuple[float, ...] = ()
    frozen: tuple[float, ...] = ()
    tuned: tuple[float, ...] = ()
    curves: tuple[tuple[float, ...], ...] = ()
    note: str = ""

    @property
    def accuracy(self) -> float:
        """Of a head on the frozen encodings: the mean of its repeats."""
        return float(np.mean(self.head)) if self.head else math.nan


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found, candidates in the order of the ranking.

    Attributes
    ----------
    rows : tuple of Verified
    ranking : Ranking
    n_trained_on : int
        Samples that a training could use.
    chosen : int or None
        Place in ``rows`` of the one to take; None where nothing could be trained.
    verdict : str
    seconds : float
        Without ranking.
    """

    rows: tuple[Verified, ...]
    ranking: Ranking
    n_trained_on: int
    chosen: int | None
    verdict: str
    seconds: float

    @property
    def order_held(self) -> bool:
        """Whether no head clearly beats that of the first of the ranking that has one."""
        trained = [place for place, row in enumerate(self.rows) if row.head]
        return self.chosen is not None and self.chosen == trained[0]

    def to_json(self) -> str:
        """Everything as JSON text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, allow_nan=False) + "\n"


def first_within_noise(accuracies: Sequence[float], n_samples: int, margin: float = MARGIN) -> int:
    """Place of the first candidate that the best head does not clearly beat.

    A head's accuracy on few samples is mostly chance, and the order by score knows
    something too, so a head overrules it only by the customary two standard errors. In
    the UCR study margins from none to never serve alike within chance, and that includes
    one chosen on other targets (docs/ucr-study.md).

    Parameters
    ----------
    accuracies : sequence of float
        Of the heads, in the order of the ranking.
    n_samples : int
        That each was measured on.
    margin : float
        In standard errors of the best accuracy p, √(p(1 − p)/n).

    Examples
    --------
    >>> first_within_noise([0.90, 0.93], 50), first_within_noise([0.90, 0.93], 5000)
    (0, 1)
    """
    best = max(accuracies)
    allowed = best - margin * math.sqrt(best * (1 - best) / n_samples)
    return next(i for i, each in enumerate(accuracies) if each >= allowed - 1e-12)


def verdict(rows: Sequence[Verified], n_samples: int) -> tuple[int | None, str]:
    """Which to take, and whether the ranking's first held, in a sentence.

    Parameters
    ----------
    rows : sequence of Verified
        In the order of the ranking.
    n_samples : int
        That each head was measured on.

    Returns
    -------
    int or None
        Place of the choice; None where nothing could be trained.
    str

    Examples
    --------
    >>> rows = [Verified(1, "a", "x", head=(0.9,)), Verified(2, "b", "x", head=(0.99,))]
    >>> verdict(rows, 500)[0]
    1
    """
    trained = [place for place, row in enumerate(rows) if row.head]
    if not trained:
        return None, "No candidate could be trained; the notes give the reasons."
    chosen = trained[first_within_noise([rows[i].accuracy for i in trained], n_samples)]
    first, best = rows[trained[0]], max((rows[i] for i in trained), key=lambda row: row.accuracy)
    by_score = "first by score" if trained[0] == 0 else "first by score of those with a head"
    gap = f"{100 * (best.accuracy - first.accuracy):.1f} points"
    if rows[chosen] is not first:
        text = (
            f"The order did not hold: take {_place(rows[chosen])}, rank {rows[chosen].rank}; the "
            f"best head beats that of {_place(first)}, {by_score}, by {gap}, more than chance."
        )
    elif best is first:
        text = f"The order held: {_place(first)}, {by_score}, has the best head too."
    else:
        text = (
            f"The order held within chance: take {_place(first)}, {by_score}; the head of "
            f"{_place(best)} is {gap} ahead, which {n_samples} samples cannot tell from chance."
        )
    tuned = [row for row in rows if row.tuned]
    if tuned:
        top = max(tuned, key=lambda row: (len(row.tuned), float(np.mean(row.tuned))))
        text += (
            f" After fine-tuning {_place(top)} came out first: {np.mean(top.tuned):.1%} on samples "
            "held out."
        )
    return chosen, text


def _place(row: Verified) -> str:
    return f"{row.model} cut at {row.cut}"
