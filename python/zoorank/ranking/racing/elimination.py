"""Which candidates are surely worse than another, judged on the same sample of rows.

A candidate is out when some other one beats it by more than chance would let any of them
beat the best: its largest studentized difference is held against the distribution, under
equality, of the largest one over all others. This is a one-sided simultaneous test (as
Dunnett's, 1955, with the correlations that the rows drawn have; the "model confidence set" of
Hansen, Lunde and Nason, 2011, uses the same statistic), so that the best of all is dropped
with at most the given probability, whichever it is.

Candidates that were run on all rows are control variates: what their scores on the sample are
off by is known, and tells of the others (the regression estimator of survey sampling, Cochran,
"Sampling Techniques", 1977, chapter 7).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from zoorank.engine.intervals import student_t
from zoorank.ranking.racing.samples import Sample
from zoorank.scores.base import Array

# Scores of float32 encodings are good to about this: less is no difference.
ROUNDING = 1e-6

# No score is off by more, whatever the data: what the engine promises of float32.
MOST_ROUNDING = 5e-6

# Draws of the joint distribution, as many as this much arithmetic a candidate allows.
MOST_DRAWS = 4000
LEAST_DRAWS = 400
WORK = 4 * 10**8

# Control variates beside the best at most: one for so many degrees of freedom, so that the
# regression is known.
DEGREES_A_CONTROL = 10

# A row that decides the weights all but alone says nothing of their error: what is left of it is
# scaled up by no more than the inverse of this.
LEAST_OWN = 0.05

TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class Spread:
    """How the values of candidates err, each for itself.

    Decisions take the covariances, which are those of the least squares that gave the weights.
    For a single value these are too small where a few rows decide the weights, such as those of
    a rare class: they are explained by weights that were made for them. Here each row is left
    out of the weights that explain it ("HC3", MacKinnon and White, 1985), and the degrees of
    freedom are those of the classes that the variance comes from (Satterthwaite, 1946).

    Attributes
    ----------
    variances : ndarray of shape (n_candidates,)
    degrees : ndarray of shape (n_candidates,)
        Of freedom of the variances.
    """

    variances: Array
    degrees: Array

    @classmethod
    def of(cls, left: Array, leverage: Array, sample: Sample, most: int) -> Spread:
        """Add up what the controls leave of each row.

        Parameters
        ----------
        left : ndarray of shape (n_rows, n_candidates)
            Of the scaled influences.
        leverage : ndarray of shape (n_rows,)
            How far a row decides what the controls make of it, from 0 to 1.
        sample : Sample
        most : int
            Degrees of freedom at most.

        Returns
        -------
        Spread
        """
        squares = np.square(left / np.maximum(1 - leverage, LEAST_OWN)[:, None])
        counts = np.bincount(sample.codes, minlength=len(sample.sizes))
        parts = np.stack([squares[sample.codes == each].sum(axis=0) for each in range(len(counts))])
        variances = parts.sum(axis=0)
        lost = np.square(parts / np.maximum(variances, TINY)) / np.maximum(counts - 1, 1)[:, None]
        return cls(variances, np.clip(1 / np.maximum(lost.sum(axis=0), 1 / most), 1, most))


@dataclass(frozen=True, eq=False)
class RoundEstimates:
    """What one sample of rows says about the candidates of a round.

    Attributes
    ----------
    values : ndarray of shape (n_candidates,)
        Estimated scores on all rows, higher is better.
    covariance : ndarray of shape (n_candidates, n_candidates)
        Of the errors of the values.
    degrees : int
        Of freedom of the errors.
    weights : ndarray of shape (n_candidates, n_candidates)
        Whose errors on the sample each value was corrected by, and how much; a row of zeros
        where there was nothing to correct by, and otherwise with the sum 1. A candidate that is
        known is corrected by itself alone.
    alone : Spread
        Of the errors of the values, each for itself.
    """

    values: Array
    covariance: Array
    degrees: int
    weights: Array
    alone: Spread

    @classmethod
    def of(
        cls,
        values: Array,
        influences: Array,
        sample: Sample,
        known: Array | None = None,
        margins: Array | None = None,
    ) -> RoundEstimates:
        """Put together estimates and what is known.

        The rows are drawn from each class without replacement, and the scores asked for are
        those on all rows: what is left to chance shrinks as the sample grows, to 0.

        Parameters
        ----------
        values : ndarray of shape (n_candidates,)
            Scores that the sample gives, higher is better.
        influences : ndarray of shape (n_rows, n_candidates)
            Of each row drawn on each of them.
        sample : Sample
        known : ndarray of shape (n_candidates,), optional
            Scores on all rows, NaN where there is none.
        margins : ndarray of shape (n_candidates,), optional
            By how much the known scores may be off; 0 where they are exact.

        Returns
        -------
        RoundEstimates
        """
        known = np.full(len(values), np.nan) if known is None else known
        margins = np.zeros(len(values)) if margins is None else margins
        scaled, degrees = _scaled(influences, sample)
        weights, leverage = _weights(scaled, known, margins, degrees)
        corrected = values + weights @ np.where(np.isnan(known), 0.0, known - values)
        used = round(leverage.sum())
        left = scaled - scaled @ weights.T
        shared = weights * margins
        alone = Spread.of(left, leverage, sample, degrees - used)
        alone = replace(alone, variances=alone.variances + np.square(shared).sum(axis=1))
        left *= np.sqrt(degrees / (degrees - used))
        return cls(corrected, left.T @ left + shared @ shared.T, degrees - used, weights, alone)

    @property
    def errors(self) -> Array:
        """Standard error of each difference of two, (n_candidates, n_candidates)."""
        variances = np.diag(self.covariance)
        squares = variances[:, None] + variances[None, :] - 2 * self.covariance
        errors: Array = np.sqrt(np.maximum(squares, 0) + ROUNDING**2)
        return errors

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
        errors = self.errors
        behind = ((self.values[None, :] - self.values[:, None]) / errors).max(axis=1)
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
                largest = ((draws - draws[:, [each]]) / errors[each]).max(axis=1)
                critical = np.quantile(largest, 1 - error, method="higher")
                worse[each] = behind[each] > min(critical * self._tails(error), most)
        return worse

    def half_widths(self, confidence: float, unexplained: float = 0.0) -> Array:
        """Half the confidence interval of each value.

        Parameters
        ----------
        confidence : float
        unexplained : float
            Variance besides that of the rows drawn.

        Returns
        -------
        ndarray of shape (n_candidates,)
            0 where the value is known.
        """
        quantiles = [student_t(confidence, int(degrees)) for degrees in self.alone.degrees]
        variances = self.alone.variances + np.where(self._known, 0.0, unexplained)
        widths: Array = quantiles * np.sqrt(variances)
        return widths

    @property
    def _known(self) -> Array:
        """Which values are known: those that are corrected by themselves."""
        known: Array = np.diag(self.weights) == 1
        return known

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


def _scaled(influences: Array, sample: Sample) -> tuple[Array, int]:
    """Influences whose products, summed over the rows, are covariances; and their degrees."""
    scaled = np.array(influences, dtype=np.float64)
    taken = np.bincount(sample.codes, minlength=len(sample.sizes))
    for label, count in enumerate(taken):
        members = sample.codes == label
        scaled[members] -= scaled[members].mean(axis=0)
        scaled[members] *= np.sqrt((1 - count / sample.sizes[label]) / count / max(count - 1, 1))
    chance = taken < sample.sizes
    return scaled, max(int((taken[chance] - 1).sum()), 1)


def _weights(scaled: Array, known: Array, margins: Array, degrees: int) -> tuple[Array, Array]:
    """By whose errors to correct each value, and how far each row decides that.

    The weights of a candidate have the sum 1, so that a bias that all share cancels, as it does
    in a difference of two; among those they make the variance least. Part of it is what known
    scores may be off by: two that are nearly alike would otherwise be given large weights of
    opposite sign for the sake of their rounding.
    """
    weights = np.zeros((len(known), len(known)))
    order = np.argsort(-known, kind="stable")  # NaN comes last
    controls = order[: np.count_nonzero(~np.isnan(known))]
    if not len(controls):
        return weights, np.zeros(len(scaled))
    best, others = controls[0], controls[1 : 1 + degrees // DEGREES_A_CONTROL]
    off = np.zeros_like(weights)
    off[controls, controls] = np.sqrt(margins[controls] ** 2 + MOST_ROUNDING**2)
    columns = np.vstack([scaled, off])
    base = columns[:, [best]]
    found = np.linalg.lstsq(columns[:, others] - base, columns - base, rcond=None)[0]
    weights[:, others] = found.T
    weights[:, best] = 1 - found.sum(axis=0)
    weights[controls] = np.eye(len(known))[controls]
    return weights, _leverage(scaled[:, others] - scaled[:, [best]])


def _leverage(columns: Array) -> Array:
    """How far each row decides a regression on the columns that are more than rounding.

    They add up to the number of these columns.
    """
    axes, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    leverage: Array = np.square(axes[:, sizes > ROUNDING]).sum(axis=1)
    return leverage


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
