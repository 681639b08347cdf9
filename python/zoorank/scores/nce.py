"""NCE, negative conditional entropy (Tran, Nguyen and Hassner, ICCV 2019).

"Transferability and Hardness of Supervised Classification Tasks": with z the label that
the source gives a sample and P̂ the empirical joint distribution,

    NCE = −H(Y | Z) = Σ_{y,z} P̂(y, z) ln(P̂(y, z) / P̂(z)).
"""

from __future__ import annotations

import numpy as np

from zoorank.engine.arrays import number_classes
from zoorank.scores.base import Array, Score, ScoreValue
from zoorank.scores.shared import several_classes


def nce(source_labels: Array, labels: Array) -> ScoreValue:
    """How well the source's labels determine the target's.

    Parameters
    ----------
    source_labels : ndarray of shape (n_samples,)
        The likeliest class of the source for each sample.
    labels : ndarray of shape (n_samples,)

    Returns
    -------
    ScoreValue
        At most 0, where the source's label says all.

    Raises
    ------
    ValueError
        If the two differ in length, or there are fewer than 2 classes.

    Examples
    --------
    >>> import numpy as np
    >>> round(nce(np.array([3, 3, 3, 3]), np.array([0, 0, 1, 1])).value, 4)
    -0.6931
    """
    groups, assigned = number_classes(source_labels, len(np.asarray(source_labels)))
    codes, n_classes = several_classes(labels, len(assigned))
    joint = np.zeros((n_classes, len(groups)))
    np.add.at(joint, (codes, assigned), 1 / len(codes))
    conditional = joint / joint.sum(axis=0)
    held = joint > 0
    # The sum is 0 where the source says all, and then not minus 0.
    return ScoreValue(float((joint[held] * np.log(conditional[held])).sum()) + 0.0)


SCORES = (Score("nce", None, "NCE", nce, needs=("source_labels", "labels"), cost="O(n + KZ)"),)
