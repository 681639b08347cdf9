"""Mean silhouette coefficient (MSC), the score of Meiseles and Rokach (2020)."""

from __future__ import annotations

import math
from functools import partial

from zoorank import engine
from zoorank.scores.base import Array, Score, ScoreValue
from zoorank.scores.computing import Team
from zoorank.scores.sampled import sampled_silhouette
from zoorank.scores.shared import Shared

COST = {
    "cosine": "O(nKd)",
    "euclidean": "O(n²d)",
    "sqeuclidean": "O(nKd)",
    "manhattan": "O(nd·min(n, log n + K))",
}


def mean_silhouette(X: Array, labels: Array, *, metric: str) -> ScoreValue:
    """Mean silhouette of an encoding by class, with the mean of each class.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features)
        The encoding, in host memory or on a CUDA device, where it is then scored.
    labels : ndarray of shape (n_samples,)
        Class of each sample.
    metric : {"cosine", "euclidean", "sqeuclidean", "manhattan"}
        Distance between samples.

    Returns
    -------
    ScoreValue
        Between -1 and 1; above 0 when samples lie nearer to their own class
        than to the next one.

    Raises
    ------
    ValueError
        If X holds NaN or infinity, or there are fewer than 2 or more than
        ``n_samples - 1`` classes.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0], [3.0, 0.0]])
    >>> mean_silhouette(X, np.array(["a", "a", "b", "b"]), metric="cosine").value
    1.0
    """
    return _mean_silhouette(Shared(X, labels, Team()), metric=metric)


def _mean_silhouette(shared: Shared, *, metric: str) -> ScoreValue:
    with shared.team.engine_threads() as n_threads:
        result = engine.silhouette(
            shared.X, shared.labels, metric=metric, random_state=0, n_threads=n_threads
        )
    return ScoreValue(
        float(result.score), float(result.half_width), tuple(result.per_class.tolist())
    )


def macro_silhouette(X: Array, labels: Array, *, metric: str) -> ScoreValue:
    """Mean over the classes of each class's mean silhouette.

    A large class counts no more than a small one, as in balanced accuracy.

    Parameters
    ----------
    X, labels, metric
        As for :func:`mean_silhouette`.

    Returns
    -------
    ScoreValue

    Raises
    ------
    ValueError
        As for :func:`mean_silhouette`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 0.0], [3.0, 0.0]])
    >>> macro_silhouette(X, np.array(["a", "a", "b", "b"]), metric="cosine").value
    1.0
    """
    return _macro_silhouette(Shared(X, labels, Team()), metric=metric)


def _macro_silhouette(shared: Shared, *, metric: str) -> ScoreValue:
    with shared.team.engine_threads() as n_threads:
        result = engine.silhouette(
            shared.X, shared.labels, metric=metric, method="exact", n_threads=n_threads
        )
    parts = tuple(result.per_class.tolist())
    return ScoreValue(math.fsum(parts) / len(parts), per_class=parts)


SCORES = (
    *(
        Score(
            name="silhouette",
            metric=metric,
            label=f"MSC {metric}",
            compute=partial(mean_silhouette, metric=metric),
            of_shared=partial(_mean_silhouette, metric=metric),
            cost=cost,
            identity=metric,
            on_device=True,
            of_sample=partial(sampled_silhouette, metric=metric),
        )
        for metric, cost in COST.items()
    ),
    *(
        Score(
            name="macro_silhouette",
            metric=metric,
            label=f"macro-MSC {metric}",
            compute=partial(macro_silhouette, metric=metric),
            of_shared=partial(_macro_silhouette, metric=metric),
            cost=COST[metric],
            identity=f"macro_{metric}",
            on_device=True,
            of_sample=partial(sampled_silhouette, metric=metric, macro=True),
        )
        for metric in ("cosine", "euclidean")
    ),
)
