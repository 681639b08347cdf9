"""Linear probe: cross-validated accuracy of a logistic head on the frozen encoding.

The plainest estimate of what a source is worth (Alain and Bengio, "Understanding
intermediate layers using linear classifier probes", 2016), and one of the costliest here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zoorank.scores.base import Array, Score, ScoreValue
from zoorank.scores.computing import alone, quiet
from zoorank.scores.shared import Shared

FOLDS = 5
STEPS = 200


def linear_probe(X: Array, labels: Array, *, groups: Any = None) -> ScoreValue:
    """Mean accuracy over stratified folds of a logistic regression; needs scikit-learn.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The encoding; each feature is standardised on the samples trained on.
    labels : ndarray of shape (n_samples,)
        Up to 5 folds, as many as the smallest class has samples, at least 2.
    groups : array_like of shape (n_samples,), optional
        A head is tested on groups that it was not trained on. There are no more folds than
        groups.

    Returns
    -------
    ScoreValue
        Between 0 and 1. The folds are drawn once and for all.

    Raises
    ------
    ValueError
        If X holds NaN or infinity, there are fewer than 2 classes or 2 groups, or no
        class has 2 samples.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.repeat([[0.0, 1.0], [1.0, 0.0]], 5, axis=0)
    >>> linear_probe(X, np.repeat(["a", "b"], 5)).value
    1.0
    """
    return alone(_linear_probe, X, labels, groups=groups)


def _linear_probe(shared: Shared) -> ScoreValue:
    value = cross_validated(shared.doubles, shared.codes, seed=0, groups=shared.group_codes)
    return ScoreValue(value)


def cross_validated(F: Array, codes: Array, *, seed: int, groups: Array | None = None) -> float:
    """Share of samples that a head not trained on them gets right; needs scikit-learn.

    Parameters
    ----------
    F : ndarray of shape (n_samples, n_features)
    codes : ndarray of shape (n_samples,)
        Classes numbered from 0.
    seed : int
        Of the draw of the folds.
    groups : ndarray of shape (n_samples,), optional
        Numbered from 0; each of them is in one fold.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If no class has 2 samples.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    sizes = np.bincount(codes)
    if sizes.max() < 2:
        raise ValueError("no class has 2 samples; a linear probe has nothing to test on")
    count = int(np.clip(sizes.min(), 2, FOLDS))
    kind = StratifiedKFold
    if groups is not None:
        kind, count = StratifiedGroupKFold, min(count, int(groups.max()) + 1)
    folds = kind(count, shuffle=True, random_state=seed)
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=STEPS))
    right = np.zeros(len(F), dtype=bool)
    # The products are small: on a busy machine, threads that wait for one another made
    # this 50 times slower. A class of one sample cannot be in every fold, and separable
    # classes have no largest likelihood; the accuracy is what counts.
    ignored = ("The least populated class", UserWarning), ("", ConvergenceWarning)
    with threadpool_limits(1), quiet(*ignored):
        for train, test in folds.split(F, codes, groups):
            if not len(test):
                continue
            if len(np.unique(codes[train])) < 2:
                right[test] = codes[test] == codes[train[0]]
                continue
            right[test] = head.fit(F[train], codes[train]).predict(F[test]) == codes[test]
    return float(right.mean())


SCORES = (
    Score(
        "probe",
        None,
        "linear probe",
        linear_probe,
        of_shared=_linear_probe,
        cost="O(200 ndK) for each fold",
    ),
)
