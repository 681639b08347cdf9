"""Silhouettes of every sample from its distances to a few, with the standard error of each.

A row is compared with random members of its own class and of the nearest others. Their mean
squared distance is known beforehand, so that only what a distance has beyond its square is
left to chance. ``docs/estimator.md`` has the derivation and the measured errors.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from zoorank import _core
from zoorank.engine import cost
from zoorank.engine.rows import MemoryRows, Rows
from zoorank.engine.surrogate import (
    Floats,
    Integers,
    Progress,
    Report,
    add_moments,
    statistics_of,
)

# A standard error is taken from this many terms at least.
LEAST_REFERENCES = 8

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
    progress: Progress | None = None,
) -> tuple[Floats, Floats] | None:
    """Estimate the euclidean silhouette of every row, from `references` rows a class.

    Returns the silhouettes and their standard errors, or None when rows in memory are
    cheaper to score exactly.

    Raises
    ------
    ValueError
        When the references of all classes would take more than a gigabyte.
    """
    n, d = rows.shape
    work = cost.samples_cost(n, d, classes, references)
    if isinstance(rows, MemoryRows) and cost.exact_cost(n, d) <= work:
        return None
    sizes = np.bincount(codes, minlength=classes)
    held = int(np.minimum(sizes, references).sum()) * d * rows.dtype.itemsize
    if held > _SET_BYTES:
        raise ValueError(
            f"{references} references of each of {classes} classes take {held / 1e9:.1f} GB; "
            f"at most {_SET_BYTES / 1e9:.1f} GB are allowed: ask for fewer references"
        )
    report = Report(progress, work)
    statistics = statistics_of(rows, codes, "euclidean")
    add_moments(rows, statistics, threads, report)
    sets = min(-(-n // max(_ROWS_OF_A_SET, _ROWS_OF_A_CLASS * classes)), _POOL_BYTES // held)
    drawn = _draw(codes, sizes, references, max(1, sets), random_state)
    pool = rows.take(drawn.ravel()).reshape(*drawn.shape, d)
    # Set i is for rows [bounds[i], bounds[i + 1]).
    bounds = [n * i // len(drawn) for i in range(len(drawn) + 1)]
    kind = _core.ReferenceRows32 if rows.dtype == np.float32 else _core.ReferenceRows64
    samples, errors = np.empty(n), np.empty(n)
    current = -1
    prepared: Any = None
    for first, block in rows.blocks():
        end = first + len(block)
        cuts = sorted({first, end, *(b for b in bounds if first < b < end)})
        for begin, stop in itertools.pairwise(cuts):
            chosen = int(np.searchsorted(bounds, begin, side="right")) - 1
            if chosen != current:
                current, prepared = chosen, kind(statistics, pool[chosen], drawn[chosen])
            for at in range(begin, stop, _CHUNK):
                to = min(at + _CHUNK, stop)
                part = cost.references_cost(to - at, d, classes, references)
                samples[at:to], errors[at:to] = prepared.estimate(
                    block[at - first : to - first], at, threads, report.of(part)
                )
    return samples, errors


def _draw(
    codes: Integers,
    sizes: Integers,
    references: int,
    sets: int,
    random_state: int | np.random.Generator | None,
) -> Integers:
    """Row numbers of each set of references, those of a class side by side.

    Each set is a random sample without replacement of every class; one set goes on in
    the class where the one before has stopped, so that no row is taken twice before all are.
    """
    shuffled = np.random.default_rng(random_state).permutation(len(codes))
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    counts = np.minimum(sizes, references)
    owner = np.repeat(np.arange(len(sizes)), counts)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = np.cumsum(sizes) - sizes
    drawn = [
        by_class[begin[owner] + (number * counts[owner] + step) % sizes[owner]]
        for number in range(sets)
    ]
    return np.array(drawn)
