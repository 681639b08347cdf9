"""All scores of one encoding at once.

A caller says what is known (:class:`Facts`) and gets the values and, for each score that has
none, the reason (:class:`Computed`)::

    facts = Facts(labels, encoding, source_probabilities=..., groups=...)
    computed = compute(find_scores("logme,hscore,knn"), facts, n_threads=1)
    computed.values["logme"].value, computed.refused.get("leep")

``n_threads`` is the share of the processors that this call may keep busy: a process that encodes
the next source meanwhile passes less than all. Scores that look at no encoding are the same for
all cuts of a source; a caller that has their values leaves them out.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from zoorank import _core
from zoorank.engine import environment
from zoorank.engine.arrays import on_device, to_host
from zoorank.engine.environment import check_threads
from zoorank.messages import one_line
from zoorank.scores.base import Array, Score, ScoreValue, Task
from zoorank.scores.shared import Shared
from zoorank.scores.threads import Team, one_blas_thread

Result = TypeVar("Result")

_NEEDED = {
    "encoding": "an encoding",
    "source_probabilities": "what the source's own classifier says",
    "source_labels": "what the source's own classifier says",
    "prototypes": "prototypes of the target",
    "source_prototypes": "the data that the source was trained on",
}
# Errors whose message is a sentence; others begin with their kind.
SAID = (ValueError, TypeError, ArithmeticError, MemoryError)
_PACKAGES = {"scipy": "SciPy", "sklearn": "scikit-learn", "threadpoolctl": "threadpoolctl"}
_TASKS = {"classes": "classes", "numbers": "numbers to predict"}


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a source, cut somewhere, and of a target.

    Attributes
    ----------
    labels : array_like of shape (n_samples,)
        Of the target: classes, or the numbers to predict.
    encoding : array_like of shape (n_samples, n_features), optional
        In host memory or on a CUDA device. Scores that do not compute there get a copy in host
        memory, one for all.
    task : {"classes", "numbers"}
        What the labels are.
    groups : array_like of shape (n_samples,), optional
        Samples that belong together, such as the pictures of one patient. Heads are tested on
        groups that they were not trained on, and no neighbour is of the sample's own group. The
        other scores do not look at them.
    source_probabilities, source_labels, prototypes, source_prototypes : ndarray, optional
        As under ``needs`` of a :class:`zoorank.scores.Score`.
    """

    labels: Any
    encoding: Any = None
    task: Task = "classes"
    groups: Any = None
    source_probabilities: Array | None = None
    source_labels: Array | None = None
    prototypes: Array | None = None
    source_prototypes: Array | None = None


@dataclass(frozen=True)
class Refused:
    """Why a score has no value.

    Attributes
    ----------
    reason : str
        In one line.
    traceback : str
        Where it was raised; empty where the score was not computed at all.
    """

    reason: str
    traceback: str = ""


@dataclass(frozen=True)
class Computed:
    """The scores of one encoding.

    Attributes
    ----------
    values : mapping of str to ScoreValue
        By :attr:`zoorank.scores.Score.key`, in the order of the scores, all finite.
    refused : mapping of str to Refused
        The others.
    copied : tuple of str
        Keys of those that got a copy of an encoding that lies on a device.
    """

    values: Mapping[str, ScoreValue]
    refused: Mapping[str, Refused] = field(default_factory=dict)
    copied: tuple[str, ...] = ()

    def needed(self) -> dict[str, ScoreValue]:
        """The values, without scores of what is not there, such as a classifier's answers.

        Raises
        ------
        ValueError
            With the reason of the first score that failed and looks at what is there.
        """
        for each in self.refused.values():
            if each.traceback:
                raise ValueError(each.reason)
        return dict(self.values)


def compute(scores: Sequence[Score], facts: Facts, *, n_threads: int | None = None) -> Computed:
    """Compute scores of one encoding from work that they share.

    Parameters
    ----------
    scores : sequence of Score
        Those of other packages get what they need as separate arrays, like everybody's
        ``Score.compute``.
    facts : Facts
    n_threads : int, optional
        How many threads to keep busy at most; by default as many as the engine. BLAS libraries
        have none of their own meanwhile, in the whole process. The values have the same bits for
        any number.

    Returns
    -------
    Computed
        A score that fails takes none of the others with it.

    Examples
    --------
    >>> import numpy as np
    >>> from zoorank.scores import find_scores
    >>> X = np.array([[0.0, 1.0], [0.0, 2.0], [3.0, 0.0], [4.0, 0.0]])
    >>> facts = Facts(np.array(["a", "a", "b", "b"]), X)
    >>> computed = compute(find_scores("knn,silhouette:cosine,leep"), facts)
    >>> {key: value.value for key, value in computed.values.items()}
    {'knn': 1.0, 'cosine': 1.0}
    >>> computed.refused["leep"].reason
    "LEEP needs what the source's own classifier says"
    """
    lacking = {score.key: reason for score in scores if (reason := _lacking(score, facts))}
    able = [score for score in scores if score.key not in lacking]
    team = Team(check_threads(n_threads) or _core.build_info()["threads"])
    there = on_device(facts.encoding)
    stays = {s.key for s in able if there and s.on_device and not environment.unavailable_reason()}
    moved = [s for s in able if s.varies_with_cut and s.key not in stays]
    results: dict[str, ScoreValue | Refused] = {key: Refused(why) for key, why in lacking.items()}
    with one_blas_thread():
        given = Shared(facts.encoding, facts.labels, facts.task, facts.groups, team)
        host = _tried(lambda: _on_host(given, moved)) if moved else given

        def value_of(score: Score) -> ScoreValue | Refused:
            shared = host if score in moved else given
            if isinstance(shared, Refused):
                return shared
            return _tried(lambda: _value(score, facts, shared))

        def follow(chain: list[Score]) -> None:
            with one_blas_thread():
                results.update({score.key: value_of(score) for score in chain})

        team.map(follow, _chains(able))
    ordered = {score.key: results[score.key] for score in scores}
    return Computed(
        values={key: each for key, each in ordered.items() if isinstance(each, ScoreValue)},
        refused={key: each for key, each in ordered.items() if isinstance(each, Refused)},
        copied=tuple(score.key for score in moved) if there else (),
    )


def _lacking(score: Score, facts: Facts) -> str:
    """What a score needs and there is not; empty where there is all."""
    if facts.task not in score.tasks:
        wanted = " or ".join(_TASKS[task] for task in sorted(score.tasks))
        return f"{score.label} needs {wanted}, and the target has {_TASKS[facts.task]}"
    missing = [need for need in score.needs if getattr(facts, need) is None]
    return f"{score.label} needs {_NEEDED[missing[0]]}" if missing else ""


def _on_host(given: Shared, scores: Sequence[Score]) -> Shared:
    """The same in host memory, with what its scores look at together."""
    shared = replace(given, X=to_host(given.X))
    if any(score.of_shared and not score.on_device for score in scores):
        shared.prepare()
    return shared


def _chains(scores: Sequence[Score]) -> list[list[Score]]:
    """Scores that draw on one piece of work follow each other; these come first."""
    drawing: dict[str, list[Score]] = {}
    single = []
    for score in scores:
        if score.draws_on:
            drawing.setdefault(score.draws_on, []).append(score)
        else:
            single.append([score])
    return [*drawing.values(), *single]


def _value(score: Score, facts: Facts, shared: Shared) -> ScoreValue:
    if score.of_shared is not None:
        value = score.of_shared(shared)
    else:
        given = {"encoding": shared.X}
        value = score.compute(*(given.get(need, getattr(facts, need)) for need in score.needs))
    if not isinstance(value, ScoreValue):
        raise TypeError(f"{score.label} gave a {type(value).__name__}; a ScoreValue is allowed")
    if not math.isfinite(value.value):
        raise ArithmeticError(f"{score.label} is {value.value}")
    return value


def _tried(work: Callable[[], Result]) -> Result | Refused:
    """What the work gives, or why there is nothing."""
    try:
        return work()
    except ModuleNotFoundError as error:
        package = _PACKAGES.get((error.name or "").partition(".")[0])
        missing = f"{package} is missing: pip install 'zoorank[scores]'"
        return Refused(missing if package else one_line(error), traceback.format_exc())
    except Exception as error:  # noqa: BLE001  scores of other packages raise what they like
        said = isinstance(error, SAID)
        reason = one_line(error) if said else f"{type(error).__name__}: {one_line(error)}"
        return Refused(reason, traceback.format_exc())
