"""Silhouettes of every sample: exact, or from its distances to a few with a standard error.

For an estimate a row is compared with random members of its own class and of the nearest
others. Their mean squared distance is known beforehand, so that only what a distance has beyond
its square is left to chance. ``docs/estimator.md`` has the derivation and the measured errors.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, overload

import numpy as np
import numpy.typing as npt

from zoorank import _core
from zoorank.engine import cost
from zoorank.engine.arrays import MemoryRows
from zoorank.engine.cuda import DeviceRows
from zoorank.engine.drop_in import hand_over, is_handed_over
from zoorank.engine.environment import (
    check_choice,
    check_integer,
    check_metric,
    check_random_state,
    check_threads,
    uses_cuda,
)
from zoorank.engine.rows import AnyPath, Floats, Integers, Rows
from zoorank.engine.silhouette import opened
from zoorank.engine.surrogate import Report, add_moments, statistics_of

# A standard error is taken from this many terms at least.
LEAST_REFERENCES = 8

# One reference in so many is one of the rows farthest from the mean of their class; others come
# in strata of so many references. benchmarks/estimator_samples.py compares.
_SHARE_ALWAYS = 8
_OF_A_STRATUM = 4

# References are drawn anew for so many rows; not for fewer than it takes to be worth packing them.
_ROWS_OF_A_SET = 4096
_ROWS_OF_A_CLASS = 16

# What the references drawn for a call are to hold together, and what those of one set may.
_POOL_BYTES = 128 << 20
_SET_BYTES = 1 << 30

# Rows handed to the kernels at once: each takes some 150 bytes meanwhile.
_CHUNK = 1 << 16


@overload
def silhouette_samples(
    X: npt.ArrayLike | AnyPath | Sequence[AnyPath],
    labels: npt.ArrayLike,
    *,
    metric: str | Callable[..., float] = ...,
    method: str = ...,
    references: int = ...,
    return_error: Literal[False] = ...,
    random_state: int | np.random.Generator | None = ...,
    n_threads: int | None = ...,
    **kwds: Any,
) -> npt.NDArray[np.float64]: ...


@overload
def silhouette_samples(
    X: npt.ArrayLike | AnyPath | Sequence[AnyPath],
    labels: npt.ArrayLike,
    *,
    metric: str | Callable[..., float] = ...,
    method: str = ...,
    references: int = ...,
    return_error: Literal[True],
    random_state: int | np.random.Generator | None = ...,
    n_threads: int | None = ...,
    **kwds: Any,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...


def silhouette_samples(
    X: npt.ArrayLike | AnyPath | Sequence[AnyPath],
    labels: npt.ArrayLike,
    *,
    metric: str | Callable[..., float] = "euclidean",
    method: str = "exact",
    references: int = 64,
    return_error: bool = False,
    random_state: int | np.random.Generator | None = None,
    n_threads: int | None = None,
    **kwds: Any,
) -> npt.NDArray[np.float64] | tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    r"""Silhouette coefficient of each sample.

    With :math:`a_i` the mean distance of sample i to the others of its class and
    :math:`b_i` the smallest mean distance to another class,
    :math:`s_i = (b_i - a_i) / \max(a_i, b_i)` [1]_. A class of one scores 0, and
    so does 0/0. A drop-in for :func:`sklearn.metrics.silhouette_samples`: what the
    engine does not compute itself it hands over to scikit-learn.

    Parameters
    ----------
    X : array_like or sparse, of shape (n, d), or (n, n) for ``metric="precomputed"``
        Encodings, or distances between them. float32 is computed in float32, to
        within 5e-6 of the float64 answer; all else in float64. An array that lives on
        a CUDA device is computed there, without a copy. SciPy's sparse matrices are computed
        on the CPU, those whose dense copy is large without one, and then in float64;
        precomputed distances that are not stored are 0.
    labels : array_like of shape (n,)
        Integers or strings.
    metric : {"euclidean", "sqeuclidean", "cosine", "manhattan", "precomputed"} or another
        ``cosine`` and ``sqeuclidean`` take O(nKd) time, ``manhattan`` of many rows
        O(nd(log n + K)), and ``euclidean`` O(n²d), or several times less where bounds rule
        out most classes (``docs/pruning.md``). ``l2`` is ``euclidean``; ``l1`` and
        ``cityblock`` are ``manhattan``. Other metrics of scikit-learn, and functions of two
        rows, are computed by scikit-learn where it is installed.
    method : {"exact", "estimate"}
        ``"estimate"`` takes O(nKd) time for ``euclidean`` too: mean distances from
        `references` random rows of the sample's class and of the five nearest others,
        with the known mean squared distance as control variate. It makes every mean
        distance unbiased, and the root mean square error of s at 64 references 0.003 on
        encodings of images, four times that on encodings of series with long tails
        (``docs/estimator.md``). Exact where that costs no more, and for other metrics.
    references : int, default=64
        Rows of each class that others are compared with, at least 8, for
        ``method="estimate"``. The error falls with their square root, and is 0 for
        classes that have no more rows.
    return_error : bool, default=False
        Whether to return the standard error of each sample too.
    random_state : int or numpy.random.Generator, optional
        Seed of the draw.
    n_threads : int, optional
        The result has the same bits for any number. By default the environment
        variable ``ZOORANK_NUM_THREADS``, or every available processor.
    **kwds
        Parameters of the distance, as scikit-learn takes them, such as ``p=3`` for
        ``minkowski``. With any, scikit-learn computes.

    Returns
    -------
    samples : ndarray of shape (n,), float64
    errors : ndarray of shape (n,), float64
        Standard error of each, 0 where exact; only with ``return_error=True``.

    Raises
    ------
    ValueError
        For NaN, infinity or a negative distance, naming the first bad row. For labels of
        another length, fewer than 2 or more than n - 1 classes, and an unknown metric. For
        references of all classes that take more than a gigabyte. For values so large
        that distances between other rows vanish beside them, where these are not computed
        again: estimates, ``sqeuclidean`` in float64, CUDA devices.
    TypeError
        For input that is complex or on a device that is not CUDA's, and for
        counts that are no integers.
    RuntimeError
        For an array on a CUDA device where none can be used, with the reason.
    ModuleNotFoundError
        For what scikit-learn is to compute where it is not installed.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and
       validation of cluster analysis", J. Comput. Appl. Math. 20, 53-65, 1987.

    Examples
    --------
    >>> import zoorank
    >>> X = [[0.0], [1.0], [10.0], [12.0]]
    >>> zoorank.silhouette_samples(X, ["a", "a", "b", "b"]).round(3)
    array([0.909, 0.9  , 0.789, 0.826])
    """
    handed_over = is_handed_over(metric, kwds)
    check_choice(method, ("exact", "estimate"), "method")
    threads = check_threads(n_threads)
    references = check_integer(references, "references")
    if references < LEAST_REFERENCES:
        raise ValueError(f"references must be at least {LEAST_REFERENCES}, got {references}")
    generator = check_random_state(random_state)
    if handed_over:
        samples = hand_over(X, labels, metric, kwds)
        return (samples, np.zeros(len(samples))) if return_error else samples
    metric = check_metric(metric)
    problem = opened(X, labels, metric, threads, on_cuda=uses_cuda("auto", X, metric))
    found = None
    if method == "estimate" and problem.can_be_estimated:
        found = estimate_samples(
            cast("Rows", problem.rows),
            problem.codes,
            len(problem.classes),
            references=references,
            random_state=generator,
            threads=threads,
        )
    if found is None:
        found = problem.exact()[0], np.zeros(len(problem.codes))
    return found if return_error else found[0]


def estimate_samples(
    rows: Rows,
    codes: Integers,
    classes: int,
    *,
    references: int,
    random_state: int | np.random.Generator | None,
    threads: int,
) -> tuple[Floats, Floats] | None:
    """Estimate the euclidean silhouette of every row, from `references` rows a class.

    Returns the silhouettes and their standard errors, or None when rows in memory or on a
    device are cheaper to score exactly.

    Raises
    ------
    ValueError
        When the references of all classes would take more than a gigabyte.
    """
    n, d = rows.shape
    estimated = cost.samples_cost(n, d, classes, references)
    if isinstance(rows, MemoryRows | DeviceRows) and cost.exact_cost(n, d, classes) <= estimated:
        return None
    held = int(np.minimum(np.bincount(codes), references).sum()) * d * rows.dtype.itemsize
    if held > _SET_BYTES:
        raise ValueError(
            f"{references} references of each of {classes} classes take {held / 1e9:.1f} GB; "
            f"at most {_SET_BYTES / 1e9:.1f} GB are allowed: ask for fewer references"
        )
    statistics = statistics_of(rows, codes, "euclidean")
    add_moments(rows, statistics, threads, Report(None, estimated))
    sets = min(-(-n // max(_ROWS_OF_A_SET, _ROWS_OF_A_CLASS * classes)), _POOL_BYTES // held)
    strata = _stratify(codes, _radii(rows, statistics, threads), references, random_state)
    drawn = np.array([strata.draw(number) for number in range(max(1, sets))])
    # Set i is for rows [bounds[i], bounds[i + 1]).
    bounds = n * np.arange(len(drawn) + 1) // len(drawn)
    if isinstance(rows, DeviceRows):
        return rows.silhouettes_by_references(codes, drawn, bounds, strata.drawn, strata.sizes)
    return _from_references(rows, statistics, drawn, bounds, strata, threads)


def _from_references(
    rows: Rows,
    statistics: Any,
    drawn: Integers,
    bounds: Integers,
    strata: _Strata,
    threads: int,
) -> tuple[Floats, Floats]:
    n, d = rows.shape
    pool = rows.take(drawn.ravel()).reshape(*drawn.shape, d)
    kind = _core.ReferenceRows32 if rows.dtype == np.float32 else _core.ReferenceRows64
    samples, errors = np.empty(n), np.empty(n)
    current = -1
    prepared: Any = None
    for first, block in rows.blocks():
        end = first + len(block)
        cuts = sorted({first, end, *(int(b) for b in bounds if first < b < end)})
        for begin, stop in itertools.pairwise(cuts):
            chosen = int(np.searchsorted(bounds, begin, side="right")) - 1
            if chosen != current:
                current = chosen
                prepared = kind(statistics, pool[chosen], drawn[chosen], strata.drawn, strata.sizes)
            for at in range(begin, stop, _CHUNK):
                to = min(at + _CHUNK, stop)
                samples[at:to], errors[at:to] = prepared.estimate(
                    block[at - first : to - first], at, threads, None
                )
    return samples, errors


def _radii(rows: Rows, statistics: Any, threads: int) -> Floats:
    radii = np.empty(rows.shape[0])
    for first, block in rows.blocks():
        radii[first : first + len(block)] = statistics.radii(block, first, threads, None)
    return radii


@dataclass(frozen=True)
class _Strata:
    """Rows in strata of their classes, and how many references each stratum has."""

    rows: Integers  # stratum by stratum, in random order within each
    sizes: Integers
    drawn: Integers

    def draw(self, number: int) -> Integers:
        """References of set `number`, a random sample of every stratum.

        One set goes on in a stratum where the one before has stopped, so that no row is
        taken twice before all are.
        """
        of = np.repeat(np.arange(len(self.sizes)), self.drawn)
        step = np.arange(len(of)) - np.repeat(np.cumsum(self.drawn) - self.drawn, self.drawn)
        begin = np.cumsum(self.sizes) - self.sizes
        at = begin[of] + (number * self.drawn[of] + step) % self.sizes[of]
        picked: Integers = self.rows[at]
        return picked


def _stratify(
    codes: Integers,
    radii: Floats,
    references: int,
    random_state: int | np.random.Generator | None,
) -> _Strata:
    """Divide each class by the distance of its rows to its mean.

    The rows farthest out are references always: in long tails a few decide over the
    mean square. The others are divided into strata of equal sums of distances.
    """
    by_radius = np.lexsort((-radii, codes))
    sizes = np.bincount(codes)
    begin = np.repeat(np.cumsum(sizes) - sizes, sizes)
    rank = np.arange(len(codes)) - begin
    always = np.where(sizes <= references, sizes, references // _SHARE_ALWAYS)[codes[by_radius]]
    rest = rank >= always
    # Where all radii are 0, any division will do.
    weight = np.where(rest, radii[by_radius] + np.finfo(np.float64).tiny, 0)
    before = np.concatenate([[0.0], np.cumsum(weight)])
    total = np.maximum(before[begin + sizes[codes[by_radius]]] - before[begin], 1e-300)
    parts = max(1, (references - references // _SHARE_ALWAYS) // _OF_A_STRATUM)
    part = ((before[:-1] - before[begin]) / total * parts).astype(np.int64).clip(0, parts - 1) + 1
    key = codes[by_radius] * (parts + 1) + np.where(rest, part, 0)
    _, strata, counts = np.unique(key, return_inverse=True, return_counts=True)
    shuffle = np.random.default_rng(random_state).random(len(codes))
    first = np.cumsum(counts) - counts
    is_always = ~rest[first]
    drawn = np.where(is_always, counts, np.minimum(counts, _OF_A_STRATUM))
    return _Strata(by_radius[np.lexsort((shuffle, strata))], counts, drawn)
