"""Encodings and labels in, one score out.

Adding a score is one file that defines its :class:`Score` values and one entry
in ``TABLE``; nothing registers itself by being imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from zoorank.errors import UsageError
from zoorank.scores import silhouette
from zoorank.scores.base import Score, ScoreValue

__all__ = ["TABLE", "Score", "ScoreValue", "find_score"]

TABLE: tuple[Score, ...] = (*silhouette.SCORES,)


def find_score(name: str = "silhouette", metric: str | None = None) -> Score:
    """Look a score up by name and metric.

    Parameters
    ----------
    name : str
        A name in ``TABLE``.
    metric : str, optional
        One of the metrics of that score; None takes its first. A score that
        uses no distance ignores it.

    Returns
    -------
    Score

    Raises
    ------
    UsageError
        If there is no such score or metric; the message lists those there are.

    Examples
    --------
    >>> find_score("silhouette", "euclidean").label
    'MSC euclidean'
    >>> find_score("silhouette", "euclidian")
    Traceback (most recent call last):
    ...
    zoorank.errors.UsageError: unknown metric 'euclidian'; did you mean 'euclidean'? \
Allowed: cosine, euclidean, sqeuclidean, manhattan
    """
    family = [score for score in TABLE if score.name == name]
    if not family:
        raise UsageError(_unknown("score", name, sorted({score.name for score in TABLE})))
    if metric is None or family[0].metric is None:
        return family[0]
    for score in family:
        if score.metric == metric:
            return score
    raise UsageError(_unknown("metric", metric, [str(score.metric) for score in family]))


def _unknown(kind: str, wanted: str, allowed: Sequence[str]) -> str:
    near = get_close_matches(wanted, allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown {kind} {wanted!r}{hint} Allowed: {', '.join(allowed)}"
