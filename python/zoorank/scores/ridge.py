"""Ridge regression on an encoding, cross-validated (Hoerl and Kennard, 1970).

"Ridge Regression: Biased Estimation for Nonorthogonal Problems". How strongly the weights are
held is what LogME finds: the ratio α/β at which the evidence of the samples trained on is
largest (MacKay, "Bayesian Interpolation", 1992). So no samples have to be set aside for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zoorank.scores.base import NUMBERS, Array, Score, ScoreValue
from zoorank.scores.computing import alone
from zoorank.scores.logme import maximum_evidence
from zoorank.scores.reduction import Spectra
from zoorank.scores.shared import CentredRows, Shared

FOLDS = 5


def ridge_r2(X: Array, numbers: Array, *, groups: Any = None) -> ScoreValue:
    """Share of the numbers' variance that a linear head explains, cross-validated; needs SciPy.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The encoding; each feature is standardised on the samples trained on.
    numbers : ndarray of shape (n_samples,)
        To be predicted.
    groups : array_like of shape (n_samples,), optional
        A head is tested on groups that it was not trained on.

    Returns
    -------
    ScoreValue
        R² over all folds, at most 1; below 0 where the mean of all numbers predicts better.
        The folds, 5 where there are as many samples or groups, are drawn once and for all.

    Raises
    ------
    ValueError
        If X or the numbers hold NaN or infinity, all numbers are equal, or there are fewer than
        2 groups.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> ridge_r2(X, X @ [1.0, 2.0, 3.0]).value > 0.999
    True
    """
    return alone(_ridge_r2, X, numbers, task="numbers", groups=groups)


def _ridge_r2(shared: Shared) -> ScoreValue:
    y = shared.targets(slice(None))[:, 0]
    fold_of = folds(shared.n_samples, shared.group_codes)

    def predicted(fold: int) -> Array:
        return _predicted(shared, y, fold_of != fold, fold_of == fold)

    every = range(int(fold_of.max()) + 1)
    found = np.empty(len(y))
    for fold, of_fold in zip(every, shared.team.map(predicted, every), strict=True):
        found[fold_of == fold] = of_fold
    return ScoreValue(1.0 - float(np.square(y - found).mean()))  # y has the variance 1


def _predicted(shared: Shared, y: Array, train: Array, test: Array) -> Array:
    """What a head that some samples train says of others."""
    known, middle = shared.matrix[train], float(y[train].mean())
    target = (y[train] - middle)[:, None]
    lengths = np.einsum("ij,ij->j", target, target)
    rows = CentredRows(known, known.mean(axis=0, dtype=np.float64), known.shape[1])
    scaled = rows.scales()
    if lengths[0] == 0 or not scaled.any():
        return np.full(int(test.sum()), middle)
    Z = rows.take(slice(None)) * scaled
    standard = CentredRows(Z, np.zeros_like(scaled), known.shape[1])
    spectra = Spectra.of(standard, lambda block: target[block], shared.team)
    _, ratio = maximum_evidence(spectra.centred, lengths)
    if np.isinf(ratio[0]):
        return np.full(int(test.sum()), middle)
    unseen = CentredRows(shared.matrix[test], rows.mean, known.shape[1]).take(slice(None)) * scaled
    prediction: Array = middle + unseen @ spectra.weights(ratio)[:, 0]
    return prediction


def folds(n_samples: int, groups: Array | None) -> Array:
    """The fold of each sample: 5 of about one size, or as many as there are samples or groups.

    Groups stay together. The largest come first, each into the fold that is the smallest yet.

    Examples
    --------
    >>> folds(7, np.array([0, 0, 0, 1, 1, 2, 2]))
    array([0, 0, 0, 2, 2, 1, 1])
    """
    generator = np.random.default_rng(0)
    if groups is None:
        count = min(FOLDS, n_samples)
        return generator.permutation(np.arange(n_samples) % count)
    sizes = np.bincount(groups)
    held = np.zeros(min(FOLDS, len(sizes)), dtype=np.int64)
    fold_of_group = np.empty(len(sizes), dtype=np.int64)
    drawn = generator.permutation(len(sizes))
    for group in drawn[np.argsort(-sizes[drawn], kind="stable")]:
        fold_of_group[group] = held.argmin()
        held[fold_of_group[group]] += sizes[group]
    return fold_of_group[groups]


SCORES = (
    Score(
        "ridge_r2",
        None,
        "ridge R²",
        ridge_r2,
        of_shared=_ridge_r2,
        tasks=NUMBERS,
        cost="O(nd min(n, d)) for each fold",
    ),
)
