"""How accuracies vary from candidate to candidate, and what earlier ones say of others.

A candidate's accuracy on a target is a level of the target, what lasts over all targets, and
what is of this target alone. The last two have a part of the source, one of all cuts of a name
and one of the candidate itself, each a normal variable whose variance a study has measured. What
records say then follows without further choice: means shrink by what few accuracies are worth,
and many of one target say less than some of several.

References
----------
Henderson, C. R. (1975). Best linear unbiased estimation and prediction under a selection model.
Biometrics 31(2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from zoorank.ranking.record import SourceCut, Trained
from zoorank.scores.base import Array

VAGUE = 1e4  # variance of a level of which nothing is known
SPREAD_COUNTS = 20  # how many recorded accuracies the spread of the study weighs as much as


@dataclass(frozen=True)
class Effects:
    """How accuracies vary among the candidates of a target, in units of their spread.

    Attributes
    ----------
    source, cut, candidate : float
        Variance of what lasts over targets: of a source, of cuts of one name, of a candidate.
    target_source, target_cut, rest : float
        Variance of what is of one target alone.
    vote : float
        What beating all other candidates is worth beside beating none, by one vote.
    spread : float
        Standard deviation of the accuracies of a target's candidates, 0 to 1.
    """

    source: float
    cut: float
    candidate: float
    target_source: float
    target_cut: float
    rest: float
    vote: float
    spread: float

    def lasting(self, places: Sequence[SourceCut]) -> Array:
        """Covariance of what lasts."""
        return _covariance(places, self.source, self.cut, self.candidate)

    def passing(self, places: Sequence[SourceCut]) -> Array:
        """Covariance of what is of one target alone."""
        return _covariance(places, self.target_source, self.target_cut, self.rest)


@dataclass(frozen=True)
class Belief:
    """What is expected of candidates on a target, in units of the spread.

    Attributes
    ----------
    mean : ndarray of shape (n,)
        Above a level that all share.
    covariance : ndarray of shape (n, n)
    """

    mean: Array
    covariance: Array

    def after(self, at: Sequence[int], accuracies: Array, noise: Array) -> Belief:
        """The belief when some candidates have been trained on the target.

        Parameters
        ----------
        at : sequence of int
            Which ones.
        accuracies, noise : ndarray
            What was measured, and its variance by chance; in units of the spread.
        """
        seen = self.covariance[at]
        gain = np.linalg.solve(seen[:, at] + np.diag(noise) + VAGUE, seen).T
        return Belief(
            self.mean + gain @ (accuracies - self.mean[at]), self.covariance - gain @ seen
        )

    def beside_the_mean(self) -> Belief:
        """The same above the mean of all, which is what an order needs."""
        means = self.covariance.mean(axis=0)  # by columns and rows alike
        centred = self.covariance - means
        centred -= means[:, None] - means.mean()
        return Belief(self.mean - self.mean.mean(), centred)

    def gain(self, one: int, best: int) -> float:
        """Expected gain of trying one beside keeping the best: of their difference where above 0.

        References
        ----------
        Jones, D. R., Schonlau, M. & Welch, W. J. (1998). Efficient global optimization of
        expensive black-box functions. Journal of Global Optimization 13.
        """
        c = self.covariance
        sd = math.sqrt(max(c[one, one] + c[best, best] - 2 * c[one, best], 0.0))
        ahead = float(self.mean[one] - self.mean[best])
        if sd < 1e-9:
            return max(ahead, 0.0)
        z = ahead / sd
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        return sd * density + ahead * math.erfc(-z / math.sqrt(2)) / 2


def from_record(
    places: Sequence[SourceCut], lines: Sequence[Trained], effects: Effects, spread: float
) -> Belief:
    """What accuracies on other targets say of candidates on this one.

    Parameters
    ----------
    places : sequence of (str, str)
        Source and cut of the candidates.
    lines : sequence of Trained
        Of other targets, of any candidates.
    effects : Effects
    spread : float
        Of the accuracies.

    Returns
    -------
    Belief
        Mean 0 and all the variance there is where nothing is recorded.
    """
    known = tuple(dict.fromkeys([*places, *(place_of(line) for line in lines)]))
    there = {place: at for at, place in enumerate(known)}
    # Sums over targets of the precision of what they say, and of that times the accuracies.
    precision, weighted = np.zeros((len(known), len(known))), np.zeros(len(known))
    passing = effects.passing(known)
    for group in groups(lines):
        at = [there[place_of(line)] for line in group]
        noise = passing[np.ix_(at, at)]
        noise[np.diag_indices_from(noise)] += chances(group, spread)
        inverse = np.linalg.inv(noise)
        ones = inverse.sum(axis=1)
        inverse -= np.outer(ones, ones) / ones.sum()  # the level is not known
        precision[np.ix_(at, at)] += inverse
        weighted[at] += inverse @ [line.accuracy / spread for line in group]
    lasting = effects.lasting(known)
    after = np.linalg.solve((np.eye(len(known)) + precision @ lasting).T, lasting.T).T
    n = len(places)
    return Belief((after @ weighted)[:n], after[:n, :n] + passing[:n, :n])


def spread_of(lines: Iterable[Trained], prior: float) -> float:
    """Standard deviation of accuracies within targets: of the lines, and of the study.

    Examples
    --------
    >>> spread_of([], 0.05)
    0.05
    """
    squares, freedom = SPREAD_COUNTS * prior**2, SPREAD_COUNTS
    for group in groups(lines):
        accuracies = [line.accuracy for line in group]
        squares += float(np.var(accuracies)) * len(group)
        freedom += len(group) - 1
    return math.sqrt(squares / freedom)


def chances(lines: Iterable[Trained], spread: float) -> Array:
    """Variance of each accuracy by chance, of the samples that it was measured on."""
    return np.array([_binomial(line) / spread**2 for line in lines])


def groups(lines: Iterable[Trained]) -> list[list[Trained]]:
    """Lines whose accuracies have one level: of one target, trained in one way."""
    return _grouped(lines, lambda line: (line.fingerprint or line.target, line.trained))


def place_of(line: Trained) -> SourceCut:
    """Source and cut."""
    return line.source, line.cut


def _grouped(
    lines: Iterable[Trained], key: Callable[[Trained], tuple[str, ...]]
) -> list[list[Trained]]:
    found: dict[tuple[str, ...], list[Trained]] = {}
    for line in lines:
        found.setdefault(key(line), []).append(line)
    return list(found.values())


def _binomial(line: Trained) -> float:
    if line.samples is None:
        return 0.0
    # One success and one failure more than seen: that all were right is no certainty.
    share = (line.accuracy * line.samples + 1) / (line.samples + 2)
    return share * (1 - share) / line.samples


def _covariance(places: Sequence[SourceCut], source: float, cut: float, own: float) -> Array:
    sources, cuts = (np.array([place[i] for place in places]) for i in (0, 1))
    found: Array = source * (sources[:, None] == sources) + cut * (cuts[:, None] == cuts)
    return found + own * np.eye(len(places))
