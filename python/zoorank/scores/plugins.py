"""Scores from other packages, found by the entry points of the group ``zoorank.scores``.

A package that brings one says in its ``pyproject.toml``::

    [project.entry-points."zoorank.scores"]
    my_score = "my_package.my_module:SCORE"

and SCORE is a :class:`zoorank.scores.Score` named ``my_score``, or a sequence of
those, one for each metric, with keys that no other score has. Its module is imported
when the score is asked for by name. A score of numbers to predict says so in ``tasks``.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points

from zoorank.errors import UsageError
from zoorank.scores.base import Score

GROUP = "zoorank.scores"


def plugin_names() -> tuple[str, ...]:
    """Names of the scores that installed packages offer; imports nothing of theirs."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load_plugin(name: str, taken: Collection[str]) -> tuple[Score, ...]:
    """Scores that a package offers under a name; empty where there are none.

    Parameters
    ----------
    name : str
    taken : collection of str
        Keys of other scores.

    Raises
    ------
    UsageError
        If its module cannot be imported or holds something else, or a key is not its own.
    """
    points = list(entry_points(group=GROUP, name=name))
    return _checked(points[0], taken) if points else ()


def _checked(point: EntryPoint, taken: Collection[str]) -> tuple[Score, ...]:
    try:
        found = point.load()
    except Exception as error:
        raise UsageError(
            f"score {point.name!r} of {point.value} cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error
    scores = (found,) if isinstance(found, Score) else tuple(found) if _is_sequence(found) else ()
    if not scores or not all(isinstance(score, Score) for score in scores):
        raise UsageError(
            f"score {point.name!r}: {point.value} is of type {type(found).__name__}; "
            "a zoorank.scores.Score or a sequence of them is allowed"
        )
    misnamed = [score.name for score in scores if score.name != point.name]
    if misnamed:
        raise UsageError(
            f"score {point.name!r}: {point.value} is named {misnamed[0]!r}; both must be the same"
        )
    keys = [score.key for score in scores]
    shared = [key for key in keys if key in taken or keys.count(key) > 1]
    if shared:
        raise UsageError(
            f"score {point.name!r}: {point.value} has the key {shared[0]!r} of another score; "
            "give it an `identity` of its own"
        )
    return scores


def _is_sequence(value: object) -> bool:
    return isinstance(value, list | tuple)
