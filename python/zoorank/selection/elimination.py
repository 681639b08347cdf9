"""Which candidates are surely worse than another, judged on the same sample of rows.

A candidate is out when some other one beats it by more than chance would let any of them
beat the best: its largest studentized difference is held against the distribution, under
equality, of the largest one over all others. This is a one-sided simultaneous test (as
Dunnett's, 1955, with the correlations that the rows drawn have; the "model confidence set" of
Hansen, Lunde and Nason, 2011, uses the same statistic), so that the best of all is dropped
with at most the given probability, whichever it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from zoorank.engine.intervals import student_t
from zoorank.scores.base import Array
from zoorank.selection.samples import Sample

# Scores of float32 encodings are good to about this: less is no difference.
ROUNDING = 1e-6

# Draws of the joint distribution, as many as this much arithmetic a candidate allows.
MOST_DRAWS = 4000
LEAST_DRAWS = 400
WORK = 4 * 10**8


@dataclass(frozen=True, eq=False)
class Heat:
    """What one sample of rows says about the candidates of a round.

    Attributes
    ----------
    values : ndarray of shape (n_candidates,)
        Estimated scores, higher is better.
    errors : ndarray of shape (n_candidates, n_candidates)
        Standard error of each difference of two.
    covariance : ndarray of shape (n_candidates, n_candidates)
        Of the errors of the values.
    degrees : int
        Of freedom of the errors.
    """

    values: Array
    errors: Array
    covariance: Array
    degrees: int

    @classmethod
    def of(cls, values: Array, influences: Array, sample: Sample) -> Heat:
        """Put together estimates and the influences of the rows, (n_rows, n_candidates).

        The rows are drawn from each class without replacement, and the scores asked for are
        those on all rows: what is left to chance shrinks as the sample grows, to 0.
        """
        scaled = np.array(influences, dtype=np.float64)
        taken = np.bincount(sample.codes, minlength=len(sample.sizes))
        for label, count in enumerate(taken):
            members = sample.codes == label
            scaled[members] -= scaled[members].mean(axis=0)
            scaled[members] *= np.sqrt(
                (1 - count / sample.sizes[label]) / count / max(count - 1, 1)
            )
        covariance = scaled.T @ scaled
        variances = np.diag(covariance)
        squares = variances[:, None] + variances[None, :] - 2 * covariance
        chance = taken < sample.sizes
        degrees = int((taken[chance] - 1).sum())
        errors = np.sqrt(np.maximum(squares, 0) + ROUNDING**2)
        return cls(values, errors, covariance, max(degrees, 1))

    def worse(self, error: float, seed: tuple[int, ...]) -> Array:
        """Candidates that are worse than another one, all but surely.

        Parameters
        ----------
        error : float
            Probability with which the best one may be among them.
        seed : tuple of int
            Of the draws that the critical values come from.

        Returns
        -------
        ndarray of bool, shape (n_candidates,)
        """
        behind = ((self.values[None, :] - self.values[:, None]) / self.errors).max(axis=1)
        worse = np.zeros(len(self.values), dtype=bool)
        # Between what a single comparison takes and what all of them take by Bonferroni's
        # inequality, the joint distribution decides.
        others = max(len(self.values) - 1, 1)
        single, most = self._quantile(error), self._quantile(error / others)
        worse[behind > most] = True
        unsure = np.flatnonzero((behind > single) & ~worse)
        if len(unsure):
            draws = self._draws(np.random.default_rng(seed))
            for each in unsure:
                largest = ((draws - draws[:, [each]]) / self.errors[each]).max(axis=1)
                critical = np.quantile(largest, 1 - error, method="higher")
                worse[each] = behind[each] > min(critical * self._tails(error), most)
        return worse

    def half_width(self, one: int, other: int, confidence: float) -> float:
        """Half the confidence interval of the difference between two candidates."""
        return student_t(confidence, self.degrees) * float(self.errors[one, other])

    def _draws(self, rng: np.random.Generator) -> Array:
        """Errors of all values, drawn from their joint normal distribution."""
        count = int(np.clip(WORK // len(self.values) ** 2, LEAST_DRAWS, MOST_DRAWS))
        variances, axes = np.linalg.eigh(self.covariance)
        root = axes * np.sqrt(np.maximum(variances, 0))
        drawn: Array = rng.standard_normal((count, len(self.values))) @ root.T
        return drawn

    def _quantile(self, error: float) -> float:
        return student_t(1 - 2 * error, self.degrees)

    def _tails(self, error: float) -> float:
        """How much wider Student's distribution is than the normal one."""
        return self._quantile(error) / NormalDist().inv_cdf(1 - error)


def errors_by_round(confidence: float, rounds: int) -> list[float]:
    """Split what may go wrong over the rounds, each with twice as much as the one before.

    The last round saves the most rows, so that it is given the most.

    Examples
    --------
    >>> [round(error, 4) for error in errors_by_round(0.93, 3)]
    [0.01, 0.02, 0.04]
    """
    whole = 2**rounds - 1
    return [(1 - confidence) * 2**number / whole for number in range(rounds)]
