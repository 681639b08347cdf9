"""Encodings and labels in, one score out.

Adding a score is one file that defines its :class:`Score` values and one entry
in ``TABLE``; nothing registers itself by being imported. Packages of others add
theirs through entry points; see :mod:`zoorank.scores.plugins`.

Scores of one encoding are computed together, from work that they share, by
:func:`compute`; :mod:`zoorank.scores.computing` shows a call.
"""

from __future__ import annotations

from collections.abc import Sequence

from zoorank.errors import UsageError
from zoorank.messages import hint, listing
from zoorank.scores import (
    gbc,
    hscore,
    ids,
    knn,
    leep,
    logme,
    nce,
    nleep,
    parc,
    probe,
    ridge,
    silhouette,
    transrate,
)
from zoorank.scores.base import Computed, Facts, Refused, Score, ScoreValue
from zoorank.scores.computing import compute
from zoorank.scores.plugins import load_plugin, plugin_names

__all__ = [
    "TABLE",
    "Computed",
    "Facts",
    "Refused",
    "Score",
    "ScoreValue",
    "compute",
    "find_score",
    "find_scores",
    "score_names",
]

TABLE: tuple[Score, ...] = (
    *silhouette.SCORES,
    *logme.SCORES,
    *hscore.SCORES,
    *knn.SCORES,
    *probe.SCORES,
    *ridge.SCORES,
    *gbc.SCORES,
    *transrate.SCORES,
    *nleep.SCORES,
    *parc.SCORES,
    *leep.SCORES,
    *nce.SCORES,
    *ids.SCORES,
)


def score_names() -> tuple[str, ...]:
    """Names of all scores, the installed packages' last."""
    return (*dict.fromkeys(score.name for score in TABLE), *plugin_names())


def find_score(
    name: str = "silhouette", metric: str | None = None, *, also: Sequence[str] = ()
) -> Score:
    """Look a score up by name and metric.

    Parameters
    ----------
    name : str
        A name in ``TABLE``, or of another package's score.
    metric : str, optional
        One of the metrics of that score; None takes its first. A score that
        uses no distance ignores it.
    also : sequence of str
        As for :func:`find_scores`.

    Returns
    -------
    Score

    Raises
    ------
    UsageError
        If there is no such score or metric; the message lists those there are. Or if
        another package's is broken, or has a key that is taken.

    Examples
    --------
    >>> find_score("silhouette", "euclidean").label
    'MSC euclidean'
    >>> find_score("silhouette", "euclidian")
    Traceback (most recent call last):
    ...
    zoorank.errors.UsageError: unknown metric 'euclidian'; did you mean 'euclidean'? \
allowed: cosine, euclidean, sqeuclidean, manhattan
    """
    own = tuple(score for score in TABLE if score.name == name)
    family = own or load_plugin(name, taken={score.key for score in TABLE})
    if not family:
        raise UsageError(f"unknown score {name!r}; {hint(name, [*also, *score_names()])}")
    if metric is None or family[0].metric is None:
        return family[0]
    for score in family:
        if score.metric == metric:
            return score
    metrics = [str(score.metric) for score in family]
    raise UsageError(f"unknown metric {metric!r}; {hint(metric, metrics)}")


def find_scores(
    names: str | Sequence[str], metric: str | None = None, *, also: Sequence[str] = ()
) -> tuple[Score, ...]:
    """Look several scores up.

    Parameters
    ----------
    names : str or sequence of str
        Names, also comma separated; ``NAME:METRIC`` says which metric.
    metric : str, optional
        For those that name none.
    also : sequence of str
        What else the caller takes: not looked up, but listed with what is allowed.

    Returns
    -------
    tuple of Score
        Each once, in the order given.

    Raises
    ------
    UsageError
        If there is none, or one does not exist.

    Examples
    --------
    >>> [score.key for score in find_scores("logme,silhouette:euclidean,knn")]
    ['logme', 'euclidean', 'knn']
    """
    given = [names] if isinstance(names, str) else names
    wanted = [name.strip() for text in given for name in text.split(",") if name.strip()]
    if not wanted:
        raise UsageError(f"no score is named; allowed: {listing([*also, *score_names()])}")
    found = {}
    for text in wanted:
        name, _, own = text.partition(":")
        score = find_score(name, own or metric, also=also)
        if own and score.metric is None:
            raise UsageError(f"score {name!r} has no metric, so {text!r} is not one")
        found[score.key] = score
    return tuple(found.values())
