"""Silhouettes of every sample from its distances to a few, with the standard error of each.

A row is compared with random members of its own class and of the nearest others. Their mean
squared distance is known beforehand, so that only what a distance has beyond its square is
left to chance. ``docs/estimator.md`` has the derivation and the measured errors.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoorank import _core
from zoorank.engine import cost
from zoorank.engine.cuda import DeviceRows
from zoorank.engine.rows import Floats, Integers, MemoryRows, Rows
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
