"""How well the order by a score agrees with the true accuracies of one target.

Equal scores are shared out: every figure is the mean over all orders that they allow.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np

from zoorank.scores.base import Array

TAKEN = (1, 3, 5)
MEASURES = (
    "weighted_tau",
    "spearman",
    "reciprocal_rank",
    "hit",
    "first_reciprocal_rank",
    "first_hit",
    "pick",
    *(f"regret@{k}" for k in TAKEN),
    *(f"held@{k}" for k in TAKEN),
)


def agreement(score: Array, truth: Array) -> dict[str, float]:
    """All measures of one score on one target.

    Parameters
    ----------
    score : ndarray of shape (n_candidates,)
        Higher is better.
    truth : ndarray of shape (n_candidates,)
        True accuracy of the candidates.

    Returns
    -------
    dict
        ``weighted_tau`` and ``spearman``: agreement of the two orders, 0 for a score
        that is the same for all and NaN where the truth is. ``reciprocal_rank``, ``hit``:
        of the first of all best candidates. ``first_reciprocal_rank``, ``first_hit``: of
        the one that comes first among them, as in published figures. ``pick``: accuracy
        of the first. ``regret@k``: what the best of the first k lacks to the best of
        all. ``held@k``: how likely the first k hold a best one.

    Examples
    --------
    >>> found = agreement(np.array([0.3, 0.2, 0.2]), np.array([0.8, 0.9, 0.7]))
    >>> [round(found[name], 6) for name in ("hit", "reciprocal_rank", "pick", "regret@3")]
    [0.0, 0.416667, 0.8, 0.0]
    """
    groups = list(_groups(score))
    best = float(truth.max())
    is_best = truth == best
    first = np.zeros(len(truth), dtype=bool)
    first[int(np.argmax(truth))] = True
    found = {
        **_correlations(score, truth),
        "reciprocal_rank": _reciprocal_rank(groups, is_best),
        "hit": float(is_best[groups[0]].mean()),
        "first_reciprocal_rank": _reciprocal_rank(groups, first),
        "first_hit": float(first[groups[0]].mean()),
        "pick": float(truth[groups[0]].mean()),
    }
    for k in TAKEN:
        found[f"regret@{k}"] = best - _best_of_first(groups, truth, k)
        found[f"held@{k}"] = _best_of_first(groups, is_best.astype(float), k)
    return found


def _correlations(score: Array, truth: Array) -> dict[str, float]:
    from scipy.stats import spearmanr, weightedtau

    if np.ptp(truth) == 0:
        return {"weighted_tau": math.nan, "spearman": math.nan}
    if np.ptp(score) == 0:
        return {"weighted_tau": 0.0, "spearman": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return {
            "weighted_tau": float(weightedtau(truth, score).statistic),
            "spearman": float(spearmanr(truth, score).statistic),
        }


def _groups(score: Array) -> Iterator[Array]:
    """Indices of equal scores, the best ones first."""
    _, level = np.unique(-score, return_inverse=True)
    order = np.argsort(level, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(level[order])) + 1)


def _reciprocal_rank(groups: list[Array], wanted: Array) -> float:
    """Mean of 1 over the place of the first wanted candidate."""
    before = 0
    for group in groups:
        m, b = len(group), int(wanted[group].sum())
        if b:
            orders = math.comb(m, b)
            return math.fsum(
                math.comb(m - place, b - 1) / orders / (before + place)
                for place in range(1, m - b + 2)
            )
        before += m
    raise AssertionError("some candidate is the best")


def _best_of_first(groups: list[Array], values: Array, k: int) -> float:
    """Mean of the largest value among the first k."""
    reached, left = -math.inf, k
    for group in groups:
        if left >= len(group):
            reached = max(reached, float(values[group].max()))
            left -= len(group)
            continue
        if left == 0:
            break
        ascending = np.sort(values[group])
        drawn = math.comb(len(group), left)
        return math.fsum(
            math.comb(place, left - 1) / drawn * max(reached, float(value))
            for place, value in enumerate(ascending)
        )
    return reached
