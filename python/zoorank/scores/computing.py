"""All scores of one encoding at once, side by side, while BLAS has one thread.

A caller says what is known (:class:`Facts`) and gets the values and, for each score that has
none, the reason (:class:`Computed`)::

    facts = Facts(labels, encoding, source_probabilities=..., groups=...)
    computed = compute(find_scores("logme,hscore,knn"), facts, n_threads=1)
    computed.values["logme"].value, computed.refused.get("leep")

``n_threads`` is the share of the processors that this call may keep busy: a process that encodes
the next source meanwhile passes less than all. Scores that look at no encoding are the same for
all cuts of a source; a caller that has their values leaves them out.

The reduction of a Gram matrix is thousands of small products. BLAS libraries divide each among
their threads, which wait for one another in a loop. On a machine with other work one of them is
always late, and LogME took seconds in place of tenths. So BLAS has one thread here, and what can
go on side by side is divided here. Sums do not depend on how: the same bits come out for any
number of threads.
"""

from __future__ import annotations

import importlib.util
import math
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from zoorank import _core
from zoorank.engine import environment
from zoorank.engine.arrays import on_device, to_host
from zoorank.engine.environment import check_threads
from zoorank.messages import one_line
from zoorank.scores.base import Computed, Facts, Refused, Score, ScoreValue, Task
from zoorank.scores.shared import Shared

Item = TypeVar("Item")
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


def compute(
    scores: Sequence[Score], facts: Facts, *, n_threads: int | None = None, raises: bool = False
) -> Computed:
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
    raises : bool
        Whether a score that fails on what is there fails all. Scores of what is not there, such
        as a classifier's answers, are refused either way.

    Returns
    -------
    Computed
        A score that fails takes none of the others with it, unless ``raises``.

    Raises
    ------
    ValueError
        With the reason of the first score that fails, if ``raises``.

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
    team = Team(_core.build_info()["threads"] if n_threads is None else check_threads(n_threads))
    there = on_device(facts.encoding)
    stays = {s.key for s in able if there and s.on_device and not environment.unavailable_reason()}
    moved = [s for s in able if s.varies_with_cut and s.key not in stays]
    results: dict[str, ScoreValue | Refused] = {key: Refused(why) for key, why in lacking.items()}
    with one_blas_thread():
        given = Shared(facts.encoding, facts.labels, team, facts.task, facts.groups)
        host = _tried(lambda: _on_host(given, moved, there)) if moved else given

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
    refused = {key: each for key, each in ordered.items() if isinstance(each, Refused)}
    failed = [each.reason for each in refused.values() if each.traceback]
    if raises and failed:
        raise ValueError(failed[0])
    return Computed(
        values={key: each for key, each in ordered.items() if isinstance(each, ScoreValue)},
        refused=refused,
        copied=tuple(score.key for score in moved) if there else (),
    )


def _lacking(score: Score, facts: Facts) -> str:
    """What a score needs and there is not; empty where there is all."""
    if facts.task not in score.tasks:
        wanted = " or ".join(_TASKS[task] for task in sorted(score.tasks))
        return f"{score.label} needs {wanted}, and the target has {_TASKS[facts.task]}"
    missing = [need for need in score.needs if getattr(facts, need) is None]
    return f"{score.label} needs {_NEEDED[missing[0]]}" if missing else ""


def _on_host(given: Shared, scores: Sequence[Score], there: bool) -> Shared:
    """The same in host memory, with what its scores look at together."""
    shared = replace(given, X=to_host(given.X)) if there else given
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


def alone(
    of_shared: Callable[[Shared], ScoreValue],
    X: Any,
    labels: Any,
    *,
    task: Task = "classes",
    groups: Any = None,
) -> ScoreValue:
    """Compute one score, with what is else made for all.

    Parameters
    ----------
    of_shared : callable
        As of a :class:`zoorank.scores.Score`.
    X, labels, task, groups
        As of :class:`Shared`.
    """
    with one_blas_thread():
        return of_shared(Shared(X, labels, Team(), task, groups))


_MOST_OF_ENGINE = 64  # threads that a call of it is given


class Team:
    """A number of threads to divide work among.

    Parameters
    ----------
    n_threads : int, optional
        The calling one is counted. None leaves it to the engine how many it takes for itself
        and gives the rest one.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self._spare = threading.Semaphore((n_threads or 1) - 1)
        self._automatic = n_threads is None

    @contextmanager
    def engine_threads(self) -> Iterator[int | None]:
        """All threads that nobody uses, for a call of the engine: its ``n_threads``."""
        if self._automatic:
            yield None
            return
        with self._helpers(_MOST_OF_ENGINE - 1) as helpers:
            yield 1 + helpers

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Call a function with every item, on this thread and on those that nobody uses.

        Returns
        -------
        list
            In the order of the items. The first exception is raised when all have ended.
        """
        waiting = list(enumerate(items))
        waiting.reverse()
        results: dict[int, Result] = {}
        failures: list[BaseException] = []

        def work() -> None:
            while not failures:
                try:
                    place, item = waiting.pop()
                except IndexError:
                    return
                try:
                    results[place] = function(item)
                except BaseException as error:  # noqa: BLE001  raised again below
                    failures.append(error)

        with self._helpers(len(waiting) - 1) as helpers:
            threads = [threading.Thread(target=work) for _ in range(helpers)]
            for thread in threads:
                thread.start()
            work()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]
        return [results[place] for place in sorted(results)]

    @contextmanager
    def _helpers(self, most: int) -> Iterator[int]:
        taken = 0
        try:
            while taken < most and self._spare.acquire(blocking=False):
                taken += 1
            yield taken
        finally:
            if taken:
                self._spare.release(taken)


class _Hold:
    """Who is inside: the first one finds BLAS as it was, the last one leaves it so."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._libraries: Any = None
        self._modules = 0
        self._blas: Any = None

    def enter(self) -> ExitStack:
        """Hold BLAS, and OpenMP for this thread; gives what :meth:`leave` is to be given."""
        with self._lock, ExitStack() as held:
            # Libraries come with modules, and to look for them takes milliseconds.
            if not self._inside and len(sys.modules) != self._modules:
                self._libraries = _libraries()
                self._modules = len(sys.modules)
            # A limiter puts back every library of its controller, hence one for each. BLAS may
            # run on OpenMP: this thread's number of that is looked up before and put back after.
            held.enter_context(self._libraries.select(user_api="openmp").limit(limits=1))
            if not self._inside:
                self._blas = self._libraries.select(user_api="blas").limit(limits=1)
            self._inside += 1
            held.callback(self._let_go)
            return held.pop_all()

    def leave(self, held: ExitStack) -> None:
        """Leave OpenMP as it was found, and BLAS too if nobody else is inside."""
        with self._lock:  # threadpoolctl lets one thread at a time set BLAS
            held.close()

    def _let_go(self) -> None:
        self._inside -= 1
        if not self._inside:
            self._blas.restore_original_limits()


_hold = _Hold()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS to one thread for the time of a ``with`` block, in the whole process.

    May be entered again, and by several threads. OpenMP, which scikit-learn uses, is held for
    the thread that enters. Without threadpoolctl nothing is held.
    """
    if importlib.util.find_spec("threadpoolctl") is None:
        yield
        return
    held = _hold.enter()
    try:
        yield
    finally:
        _hold.leave(held)


_filters = threading.RLock()


@contextmanager
def quiet(*ignored: tuple[str, type[Warning]]) -> Iterator[None]:
    """Ignore warnings that begin so, for the time of a ``with`` block.

    Filters of warnings are those of the whole process: one thread at a time sets them.
    """
    with _filters, warnings.catch_warnings():
        for message, category in ignored:
            warnings.filterwarnings("ignore", message, category)
        yield


def _libraries() -> Any:
    """What knows the libraries that are loaded."""
    from threadpoolctl import ThreadpoolController

    if importlib.util.find_spec("scipy") is not None:
        import scipy.linalg  # noqa: F401  its BLAS is not NumPy's: loaded later it would be missed
    return ThreadpoolController()
