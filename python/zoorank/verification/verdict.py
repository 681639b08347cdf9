"""What training found out about a ranking: accuracies, and whether its picks held."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from zoorank.ranking.ranking import Ranking
from zoorank.targets.base import Task

FORMAT = 1
MARGIN = 2.0
DIGITS = 9


@dataclass(frozen=True)
class Verified:
    """One candidate of the ranking, trained.

    Attributes
    ----------
    rank : int or None
        Its rank by score.
    model, cut : str
    head : tuple of float
        Accuracy, or R² where numbers are predicted, of a head on the frozen encodings,
        cross-validated; one figure for each repeat, which draws its own samples.
    frozen, tuned : tuple of float
        The same on samples held out, before and after the prefix was trained too; one
        figure for each repeat that successive halving granted.
    curves : tuple of tuple of float
        The same on the stopping samples: with the prefix frozen, then by epoch.
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
        """Of a head on the frozen encodings, or its R²: the mean of its repeats."""
        return float(np.mean(self.head)) if self.head else math.nan


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found, candidates in the order of the ranking.

    Attributes
    ----------
    rows : tuple of Verified
    ranking : Ranking
    task : {"classes", "numbers"}
        Of the target: with numbers, R² stands wherever accuracy is said.
    n_trained_on : int
        Samples that a training could use.
    chosen : int or None
        Place in ``rows`` of the one to take; None where nothing could be trained.
    verdict : str
        Whether the first pick held, and how well the whole order agreed.
    tau : float or None
        Of :func:`rank_agreement`.
    seconds : float
        Without ranking.
    """

    rows: tuple[Verified, ...]
    ranking: Ranking
    task: Task
    n_trained_on: int
    chosen: int | None
    verdict: str
    tau: float | None
    seconds: float

    @property
    def first_held(self) -> bool:
        """Whether no head clearly beats that of the first of the ranking that has one."""
        trained = [place for place, row in enumerate(self.rows) if row.head]
        return self.chosen is not None and self.chosen == trained[0]

    def to_json(self) -> str:
        """Everything as JSON text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, allow_nan=False) + "\n"


def first_within_noise(
    accuracies: Sequence[float],
    n_samples: int,
    margin: float = MARGIN,
    task: Task = "classes",
) -> int:
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
        In standard errors of the best: of an accuracy p, √(p(1 − p)/n); of R², as Olkin and
        Finn have it, 2R(1 − R²)/√n, and 2/n where there is none to speak of.
    task : {"classes", "numbers"}

    References
    ----------
    Olkin, I. and Finn, J. D. (1995). Correlations redux. Psychological Bulletin 118(1).

    Examples
    --------
    >>> first_within_noise([0.90, 0.93], 50), first_within_noise([0.90, 0.93], 5000)
    (0, 1)
    """
    best = max(accuracies)
    if task == "numbers":
        share = max(best, 0.0)
        variance = 4 * share * (1 - share) ** 2 / n_samples + (2 / n_samples) ** 2
    else:
        variance = best * (1 - best) / n_samples
    allowed = best - margin * math.sqrt(variance)
    return next(i for i, each in enumerate(accuracies) if each >= allowed - 1e-12)


def rank_agreement(rows: Sequence[Verified]) -> float | None:
    """Kendall's τ-b between the ranks by score and the accuracies of the heads.

    Parameters
    ----------
    rows : sequence of Verified
        Those without a head are passed over.

    Returns
    -------
    float or None
        1 for the same order, 0 for none, -1 for the reverse; a pair that ties in one of
        the two agrees with neither. None where all heads or all ranks are equal, or
        fewer than two are there.

    References
    ----------
    Kendall, M. G. (1945). The treatment of ties in ranking problems. Biometrika 33(3).

    Examples
    --------
    >>> heads = [1.0, 0.847, 0.75, 0.889]
    >>> rows = [Verified(i, "a", "x", head=(head,)) for i, head in enumerate(heads, 1)]
    >>> round(rank_agreement(rows), 3)
    0.333
    """
    trained = [row for row in rows if row.head and row.rank is not None]
    # Equal accuracies whose means over repeats differ in the last bits are equal.
    heads = np.round([row.accuracy for row in trained], DIGITS)
    ranks = np.array([row.rank for row in trained], dtype=np.float64)
    if len(trained) < 2 or np.ptp(heads) == 0 or np.ptp(ranks) == 0:
        return None
    from scipy.stats import kendalltau

    return float(kendalltau(-ranks, heads).statistic)


def verdict(
    rows: Sequence[Verified],
    n_samples: int,
    task: Task = "classes",
    expected: Mapping[tuple[str, str], float] | None = None,
) -> tuple[int | None, str]:
    """Which to take, whether the first pick held and how well the order did, in words.

    Parameters
    ----------
    rows : sequence of Verified
        In the order of the ranking.
    n_samples : int
        That each head was measured on.
    task : {"classes", "numbers"}
    expected : mapping of (str, str) to float, optional
        By source and cut: the accuracy that the head and all else that is known lead to
        expect, beside any level. The largest is taken then, and not the first within chance.

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
    heads = [rows[i] for i in trained]
    if expected is None:
        accuracies = [row.accuracy for row in heads]
        chosen = trained[first_within_noise(accuracies, n_samples, task=task)]
        first = _of_the_first(heads, rows[chosen], n_samples, task, passed_over=trained[0] > 0)
    else:
        values = [expected.get((row.model, row.cut), -math.inf) for row in heads]
        chosen = trained[int(np.argmax(values))]
        first = _of_what_is_known(heads, rows[chosen], max(values) - values[0])
    words = [
        first,
        _of_the_order(heads),
        _of_tuning(rows, task),
    ]
    return chosen, " ".join(filter(None, words))


def _of_the_first(
    heads: Sequence[Verified], chosen: Verified, n_samples: int, task: Task, *, passed_over: bool
) -> str:
    """Whether the head of the first pick is the best one, alone or with others."""
    first = heads[0]
    by_score = "first by score of those with a head" if passed_over else "first by score"
    pick = f"{_place(first)}, {by_score}"
    if len(heads) == 1:
        return f"Take {pick}: no other head was trained, so nothing was compared."
    best = _equals([(row, row.accuracy) for row in heads])
    lead = best[0].accuracy - first.accuracy
    gap = f"{lead:.3f} of R²" if task == "numbers" else f"{100 * lead:.1f} points"
    if chosen is not first:
        return (
            f"The first pick did not hold: take {_place(chosen)}, rank {chosen.rank}; the best "
            f"head beats that of {pick}, by {gap}, more than chance."
        )
    if first not in best:
        each = "head" if len(best) == 1 else "heads"
        ahead = "is" if len(best) == 1 else "are"
        return (
            f"The first pick held within chance: take {pick}; the {each} of {_places(best)} "
            f"{ahead} {gap} ahead, which {n_samples} samples cannot tell from chance."
        )
    if len(best) == 1:
        return f"The first pick held: {pick}, has the best head too, alone."
    others = [row for row in best if row is not first]
    those = "that" if len(others) == 1 else "those"
    return (
        f"The first pick held in a tie: the head of {pick}, is as good as {those} of "
        f"{_places(others)}."
    )


def _of_what_is_known(heads: Sequence[Verified], chosen: Verified, ahead: float) -> str:
    """Whether the first pick held, by its head and by what was known before."""
    first = heads[0]
    if chosen is first:
        return (
            f"The first pick held: take {_place(first)}. By its head and by what was known before, "
            f"it is the best of the {len(heads)} with a head."
        )
    return (
        f"The first pick did not hold: take {_place(chosen)}, rank {chosen.rank}. By its head and "
        f"by what was known before, {100 * ahead:.1f} points more are expected of it than of "
        f"{_place(first)}, rank {first.rank}."
    )


def _of_the_order(heads: Sequence[Verified]) -> str:
    """How well the ranks agree with the heads; nothing where there is no order."""
    if len(heads) < 2:
        return ""
    tau = rank_agreement(heads)
    if tau is None:
        equal = "heads" if np.ptp([row.accuracy for row in heads]) < 10**-DIGITS else "ranks"
        return f"All {len(heads)} {equal} are equal, so there is no order to compare."
    return (
        f"The whole order of {len(heads)} agrees with that of their heads to Kendall's tau "
        f"{tau:.2f} (1: the same, 0: unrelated, -1: reversed)."
    )


def _of_tuning(rows: Sequence[Verified], task: Task) -> str:
    """Which came out first of those that went furthest; nothing where none was tuned."""
    furthest = max(len(row.tuned) for row in rows)
    if not furthest:
        return ""
    last = [row for row in rows if len(row.tuned) == furthest]
    top = _equals([(row, float(np.mean(row.tuned))) for row in last])
    tied = " in a tie" if len(top) > 1 else ""
    most = float(np.mean(top[0].tuned))
    shown = f"R² {most:.3f}" if task == "numbers" else f"{most:.1%}"
    return f"After fine-tuning {_places(top)} came out first{tied}: {shown} on samples held out."


def _equals(found: Sequence[tuple[Verified, float]]) -> list[Verified]:
    """Those of the largest figure."""
    most = max(figure for _, figure in found)
    return [row for row, figure in found if most - figure < 10**-DIGITS]


def _place(row: Verified) -> str:
    return f"{row.model} cut at {row.cut}"


def _places(rows: Sequence[Verified]) -> str:
    *others, last = map(_place, rows)
    return f"{', '.join(others)} and {last}" if others else last
