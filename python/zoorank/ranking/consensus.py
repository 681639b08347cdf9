"""What decides: a score, or by default the consensus of several, each with one vote a pair.

Scores of different kinds err on different targets, so the mean share of encodings that one beats
loses less than most of them alone; docs/ucr-study.md has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zoorank.errors import UsageError
from zoorank.scores import Score, find_score, find_scores

NAME = "consensus"
# The consensus with what else is known of the sources, which is the default.
INFORMED = "informed"
PARTS = "silhouette:euclidean,logme,hscore,knn"
# Of a target of numbers, which has no classes to be told apart.
PARTS_OF_NUMBERS = "logme,knn_r2,ridge_r2"
COMPANIONS = (find_score("silhouette", "cosine"), find_score("silhouette", "euclidean"))


@dataclass(frozen=True)
class Consensus:
    """Mean over scores of the share of encodings that one encoding beats.

    Attributes
    ----------
    parts : tuple of Score
        The first of them has parts by class.
    name, key, label, higher_is_better
        As those of a :class:`zoorank.scores.Score`.
    takes_known : bool
        Whether what is known beside the encodings counts too.
    """

    parts: tuple[Score, ...]
    name: str = NAME
    key: str = NAME
    label: str = NAME
    higher_is_better: bool = True
    takes_known: bool = False


DEFAULT = Consensus(find_scores(PARTS))  # the one that the study supports


def names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names given one by one or comma separated.

    Examples
    --------
    >>> names(["layer3, layer4", "penultimate"])
    ('layer3', 'layer4', 'penultimate')
    """
    texts = (given,) if isinstance(given, str) else given or ()
    return tuple(name.strip() for text in texts for name in text.split(",") if name.strip())


def deciding_scores(
    wanted: str | Sequence[str] | None, metric: str | None
) -> tuple[Score | Consensus, tuple[Score, ...]]:
    """What decides, and all that is computed: its parts, the others, and MSC always.

    Raises
    ------
    UsageError
        If a score does not exist, or the consensus is named after another.
    """
    if wanted is None:
        wanted = INFORMED if metric is None else "silhouette"
    given = names(wanted)
    if not {NAME, INFORMED} & set(given):
        scores = find_scores(given, metric, also=(INFORMED, NAME))
        return scores[0], _each_once(*scores, *COMPANIONS)
    for name in (NAME, INFORMED):
        if name in given[1:]:
            raise UsageError(f"{name!r} decides or is left out: name it first")
    deciding = replace(DEFAULT, takes_known=given[0] == INFORMED)
    others = find_scores(given[1:], metric) if len(given) > 1 else ()
    return deciding, _each_once(*deciding.parts, *COMPANIONS, *others)


def takes_record(wanted: str | Sequence[str] | None, metric: str | None) -> bool:
    """Whether what is known beside the encodings has a say, by the scores that are asked for."""
    deciding, _ = deciding_scores(wanted, metric)
    return isinstance(deciding, Consensus) and deciding.takes_known


def deciding_of_numbers(
    wanted: str | Sequence[str] | None, metric: str | None
) -> tuple[Score | Consensus, tuple[Score, ...]]:
    """The same for a target of numbers to predict.

    Raises
    ------
    UsageError
        If a score that is named needs classes.
    """
    parts = find_scores(PARTS_OF_NUMBERS)
    given = names(wanted) if wanted is not None else (INFORMED,)
    if metric is not None:
        raise UsageError("metric is of silhouettes, which need classes; the target has numbers")
    single = [each for each in given if each not in (NAME, INFORMED)]
    others = find_scores(single) if single else ()
    for score in others:
        if "numbers" not in score.tasks:
            allowed = ", ".join([NAME, *(part.name for part in parts)])
            raise UsageError(
                f"score {score.name!r} needs classes, and the target has numbers to predict; "
                f"allowed: {allowed}"
            )
    if given[0] in (NAME, INFORMED):
        return Consensus(parts), _each_once(*parts, *others)
    return others[0], _each_once(*others, *parts)


def scores_of_one(wanted: str | Sequence[str], metric: str | None) -> tuple[Score, ...]:
    """What is computed for a single encoding.

    Raises
    ------
    UsageError
        If a score does not exist, or needs other encodings beside this one.
    """
    several = [name for name in names(wanted) if name in (NAME, INFORMED)]
    if several:
        raise UsageError(
            f"{several[0]!r} compares the encodings of several models and says nothing of one: "
            f"see `rank`, or name its parts, {PARTS}"
        )
    return find_scores(wanted, metric)


def _each_once(*scores: Score) -> tuple[Score, ...]:
    return tuple({score.key: score for score in scores}.values())
