"""LEEP, the log expected empirical prediction (Nguyen et al., ICML 2020).

"LEEP: A New Measure to Evaluate Transferability of Learned Representations". With
θ(x)_z the probability that the source gives its class z,

    P(y, z) = 1/n Σ_{i: yᵢ = y} θ(xᵢ)_z,   LEEP = 1/n Σ_i ln Σ_z P(yᵢ | z) θ(xᵢ)_z.
"""

from __future__ import annotations

import numpy as np

from zoorank.scores.base import Array, Score, ScoreValue
from zoorank.scores.shared import checked


def leep(probabilities: Array, labels: Array) -> ScoreValue:
    """Mean log likelihood of the labels under the source's own classes.

    Parameters
    ----------
    probabilities : ndarray of shape (n_samples, n_source_classes)
        Each row sums to 1.
    labels : ndarray of shape (n_samples,)

    Returns
    -------
    ScoreValue
        At most 0.

    Raises
    ------
    ValueError
        If a row is not a distribution, or there are fewer than 2 classes.

    Examples
    --------
    >>> import numpy as np
    >>> theta = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> leep(theta, np.array(["a", "a", "b", "b"])).value
    0.0
    """
    theta, codes, n_classes = checked(probabilities, labels, "the probabilities")
    off = (theta < 0).any(axis=1) | (np.abs(theta.sum(axis=1) - 1) > 1e-3)
    if off.any():
        row = int(np.argmax(off))
        raise ValueError(f"row {row} of the probabilities is negative or does not sum to 1")
    return ScoreValue(expected_log_likelihood(theta, codes, n_classes))


def expected_log_likelihood(theta: Array, codes: Array, n_classes: int) -> float:
    """LEEP of any soft assignment θ of samples to groups."""
    joint = np.zeros((n_classes, theta.shape[1]))
    np.add.at(joint, codes, theta)
    marginal = joint.sum(axis=0)
    # A group that holds nothing is never weighed below: its θ is 0 throughout.
    conditional = joint / np.where(marginal > 0, marginal, 1)
    likelihood = np.einsum("iz,iz->i", conditional[codes], theta)
    return float(np.log(likelihood).mean())


SCORES = (
    Score("leep", None, "LEEP", leep, needs=("source_probabilities", "labels"), cost="O(n(K + Z))"),
)
