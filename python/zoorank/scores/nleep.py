"""NLEEP (Li et al., CVPR 2021): LEEP on a mixture of Gaussians in place of a classifier.

"Ranking Neural Checkpoints": the encoding is projected on the principal components that
hold 80 % of its variance, a Gaussian mixture of 5 components a class is fitted to it,
and the posterior of the components stands for the source's probabilities in LEEP.
"""

from __future__ import annotations

import numpy as np

from zoorank.scores.base import Array, Score, ScoreValue
from zoorank.scores.computing import alone, quiet
from zoorank.scores.leep import expected_log_likelihood
from zoorank.scores.shared import SPECTRA, Shared

VARIANCE_KEPT = 0.8
COMPONENTS_A_CLASS = 5


def nleep(X: Array, labels: Array) -> ScoreValue:
    """LEEP of the posterior of a Gaussian mixture; needs scikit-learn.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    labels : ndarray of shape (n_samples,)
        5 Gaussians a class, but no more than one for two samples.

    Returns
    -------
    ScoreValue
        At most 0. The mixture starts from a fixed seed.

    Raises
    ------
    ValueError
        If X holds NaN or infinity, all its rows are equal, or there are fewer than
        2 classes.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(40, 3)) + 9 * (np.arange(40) % 2)[:, None]
    >>> nleep(X, np.arange(40) % 2).value > nleep(X, np.arange(40) // 20).value
    True
    """
    return alone(_nleep, X, labels)


def _nleep(shared: Shared) -> ScoreValue:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    codes, n_classes, n = shared.codes, shared.n_classes, shared.n_samples
    if (shared.matrix[0] == shared.matrix).all():
        raise ValueError("all rows of X are equal; a mixture of Gaussians needs some spread")
    squares = np.maximum(shared.spectra.centred.gram.eigenvalues()[::-1], 0)
    held = np.cumsum(squares) / squares.sum()
    projected = shared.spectra.components(int(np.searchsorted(held, VARIANCE_KEPT, "right")) + 1)
    projected /= projected.std()  # the mixture's least variance is an absolute number
    mixture = GaussianMixture(max(2, min(COMPONENTS_A_CLASS * n_classes, n // 2)), random_state=0)
    with threadpool_limits(1), quiet(("", ConvergenceWarning)):
        posterior = mixture.fit(projected).predict_proba(projected)
    return ScoreValue(expected_log_likelihood(posterior, codes, n_classes))


SCORES = (
    Score(
        "nleep",
        None,
        "NLEEP",
        nleep,
        of_shared=_nleep,
        draws_on=SPECTRA,
        cost="O(nd min(n, d) + 5nKp²), p components",
    ),
)
