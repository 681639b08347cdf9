"""What the caller asked to decide by, looked up."""

from __future__ import annotations

from collections.abc import Sequence

from zoorank.errors import UsageError
from zoorank.ranking import consensus
from zoorank.ranking.consensus import Consensus
from zoorank.scores import TABLE, Score, find_score, find_scores

COMPANIONS = (find_score("silhouette", "cosine"), find_score("silhouette", "euclidean"))


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
        wanted = consensus.NAME if metric is None else "silhouette"
    given = names(wanted)
    if consensus.NAME not in given:
        scores = find_scores(given, metric, also=(consensus.NAME,))
        return scores[0], _each_once(*scores, *COMPANIONS)
    if given[0] != consensus.NAME:
        raise UsageError(f"{consensus.NAME!r} decides or is left out: name it first")
    deciding = Consensus.default()
    others = find_scores(given[1:], metric) if len(given) > 1 else ()
    return deciding, _each_once(*deciding.parts, *COMPANIONS, *others)


def scores_of_one(wanted: str | Sequence[str], metric: str | None) -> tuple[Score, ...]:
    """What is computed for a single encoding.

    Raises
    ------
    UsageError
        If a score does not exist, or needs other encodings beside this one.
    """
    if consensus.NAME in names(wanted):
        raise UsageError(
            f"{consensus.NAME!r} compares the encodings of several models and says nothing of one: "
            f"see `rank`, or name its parts, {consensus.PARTS}"
        )
    return find_scores(wanted, metric)


def racing_scores(
    wanted: str | Sequence[str] | None, metric: str | None
) -> tuple[Score, tuple[Score, ...], str]:
    """The same for a race, and what there is to say about it.

    A race judges by a sample of rows, so the score that decides must mean the same on a
    sample as on all rows. That of the consensus's parts that does takes its place by default.

    Raises
    ------
    UsageError
        If the first score cannot race, or one does not exist.
    """
    note = ""
    if wanted is None and metric is None:
        wanted = "silhouette:euclidean"
        note = (
            "Decided by MSC euclidean: the consensus cannot be judged by a sample of rows "
            "(docs/racing.md)."
        )
    deciding, scores = deciding_scores(wanted, metric)
    if isinstance(deciding, Consensus) or deciding.of_sample is None:
        able = dict.fromkeys(score.name for score in TABLE if score.of_sample is not None)
        raise UsageError(
            f"score {deciding.name!r} cannot race, for a sample of rows cannot judge it; "
            f"name one that can first; allowed: {', '.join(able)}"
        )
    return deciding, scores, note


def _each_once(*scores: Score) -> tuple[Score, ...]:
    return tuple({score.key: score for score in scores}.values())
