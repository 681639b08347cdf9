"""Choose on half of the targets, report on the other half, over many splits.

What may be chosen is stated before anything is looked at. The selector: every rank average,
with equal weights, of one to four of the scores that train no head. The margin by which a
head must be ahead to overrule the order: one of ``MARGINS``. Chosen is what has the least
mean regret on the tuning half; for the selector also by a steadier rule, the regret averaged
over zoos in which each network is missing by the toss of a coin, since one pick for each of
18 targets is little to tell thousands of selectors apart by.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from picks import CONSENSUS, SINGLE, label, only, verified
from scipy.stats import rankdata

from zoorank.evaluation.tables import Candidates

SPLITS = 200
ZOOS = 25
LARGEST = 4
NEVER = -1.0
MARGINS = (0.0, 0.5, 1.0, 2.0, NEVER)
FAMILY = [
    members
    for size in range(1, LARGEST + 1)
    for members in itertools.combinations(range(len(SINGLE)), size)
]

STEADY = "rank average chosen on the other half, steady rule"
PLAIN = "rank average chosen on the other half, plain rule"
MARGIN_CHOSEN = "consensus, then heads, margin chosen on the other half"


@dataclass(frozen=True)
class Crossfit:
    """Regret of what was chosen, on targets that had no part in the choice.

    Attributes
    ----------
    regrets : dict of str to ndarray of shape (n_targets,)
        For each target the mean over the splits that report it.
    chosen : Counter
        How often the steady rule chose which rank average.
    margins : Counter
        How often which margin was chosen.
    """

    regrets: dict[str, np.ndarray]
    chosen: Counter[str]
    margins: Counter[float]

    @property
    def n_choices(self) -> int:
        return sum(self.chosen.values())


def crossfit(targets: Sequence[Candidates], sizes: Sequence[int]) -> Crossfit:
    """Choose and report on both halves of many splits.

    Parameters
    ----------
    targets : sequence of Candidates
        With the consensus and the probe among the scores.
    sizes : sequence of int
        Samples of each target that its scores saw.
    """
    weights = family_weights()
    one_pick = np.stack([regrets(target, weights) for target in targets], axis=1)
    steady = np.mean([regrets_in(targets, zoo, weights) for zoo in smaller_zoos(targets)], axis=0)
    heads = np.stack(
        [of_margins(target, n) for target, n in zip(targets, sizes, strict=True)], axis=1
    )
    reported = {PLAIN: one_pick, STEADY: one_pick, MARGIN_CHOSEN: heads}
    judged = {PLAIN: one_pick, STEADY: steady, MARGIN_CHOSEN: heads}
    total = {name: np.zeros(len(targets)) for name in reported}
    count = np.zeros(len(targets))
    chosen: Counter[str] = Counter()
    margins: Counter[float] = Counter()
    rng = np.random.default_rng(0)
    for _ in range(SPLITS):
        order = rng.permutation(len(targets))
        halves = np.array_split(order, 2)
        for tuning, reporting in (halves, halves[::-1]):
            count[reporting] += 1
            for name, of in judged.items():
                best = int(of[:, tuning].mean(axis=1).argmin())
                total[name][reporting] += reported[name][best, reporting]
                if name == STEADY:
                    chosen[" + ".join(label(SINGLE[i]) for i in FAMILY[best])] += 1
                elif name == MARGIN_CHOSEN:
                    margins[MARGINS[best]] += 1
    return Crossfit({name: each / count for name, each in total.items()}, chosen, margins)


def family_weights() -> np.ndarray:
    """The weight of every score in every rank average of the family."""
    weights = np.zeros((len(FAMILY), len(SINGLE)))
    for row, members in zip(weights, FAMILY, strict=True):
        row[list(members)] = 1 / len(members)
    return weights


def regrets(target: Candidates, weights: np.ndarray) -> np.ndarray:
    """Regret of the first pick by every rank average of the family."""
    ranks = rankdata([target.scores[key] for key in SINGLE], axis=1)
    return of_first(weights @ ranks, target.truth)


def of_first(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Regret of the first of each row of scores; equal ones are shared out."""
    first = scores >= scores.max(axis=1, keepdims=True) - 1e-9
    regret: np.ndarray = truth.max() - (first @ truth) / first.sum(axis=1)
    return regret


def smaller_zoos(targets: Sequence[Candidates]) -> list[set[str]]:
    """Networks of zoos in which each is there by the toss of a coin."""
    networks = sorted({network for target in targets for network, _ in target.names})
    rng = np.random.default_rng(1)
    return [set(np.array(networks)[rng.random(len(networks)) < 0.5]) for _ in range(ZOOS)]


def regrets_in(
    targets: Sequence[Candidates], networks: set[str], weights: np.ndarray
) -> np.ndarray:
    """Regrets of the family where a zoo has some networks only."""
    smaller = [only(each, (name in networks for name, _ in each.names)) for each in targets]
    return np.stack([regrets(each, weights) for each in smaller], axis=1)


def of_margins(target: Candidates, n: int) -> np.ndarray:
    """Regret of consensus and heads at every margin."""
    order = target.scores[CONSENSUS]
    orders = [
        order if margin == NEVER else verified(target, order, n, margin) for margin in MARGINS
    ]
    return of_first(np.stack(orders), target.truth)
