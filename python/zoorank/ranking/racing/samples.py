"""Which rows each round of a race looks at: nested samples, stratified by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoorank.errors import UsageError
from zoorank.scores.base import Array

GROWTH = 4
LEAST_ROWS = 128
LEAST_PER_CLASS = 4
TYPICAL_PER_CLASS = 8


@dataclass(frozen=True, eq=False)
class Sample:
    """Some rows of a target.

    Attributes
    ----------
    rows : ndarray of int64
        Ascending.
    labels : ndarray of shape (n_rows,)
    codes : ndarray of shape (n_rows,)
        Their classes, numbered from 0.
    sizes : ndarray of shape (n_classes,)
        How many rows of each class the whole target has.
    """

    rows: Array
    labels: Array
    codes: Array
    sizes: Array

    @property
    def shares(self) -> Array:
        """What part of the whole target each class is."""
        shares: Array = self.sizes / self.sizes.sum()
        return shares


def samples(labels: Array, first_rows: int | None = None, random_state: int = 0) -> list[Sample]:
    """Draw a sample, one four times as large that holds it, and so on to half of the rows.

    A class gets rows in proportion to the square root of its size and four of them at least
    ("power allocation", Bankier, 1988): a rare class may be the nearest one of many rows, so
    that the few of it weigh as much as the many of another.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
    first_rows : int, optional
        Size of the first sample. By default a quarter of the rows, or a quarter of that, and so
        on while it is 128 and 8 rows a class at least.
    random_state : int
        Seed of the draw.

    Returns
    -------
    list of Sample
        Empty where the target has too few rows for a first sample.

    Raises
    ------
    UsageError
        If ``first_rows`` is less than four rows of each class, or more than half of the rows.

    Examples
    --------
    >>> [len(sample.rows) for sample in samples(np.arange(10_000) % 5)]
    [155, 625, 2500]
    >>> samples(np.arange(100) % 5)
    []
    """
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    order = _order_within_classes(codes, random_state)
    return [
        _drawn(labels, codes, sizes, order, allocation(sizes, rows))
        for rows in _plan(sizes, first_rows)
    ]


def allocation(sizes: Array, rows: int) -> Array:
    """How many of the rows go to each class.

    Examples
    --------
    >>> allocation(np.array([2919, 1767, 96, 194, 24]), 1250).tolist()
    [555, 432, 96, 143, 24]
    """
    weights = np.sqrt(sizes)
    taken = np.zeros(len(sizes))
    open_ = np.ones(len(sizes), dtype=bool)
    while open_.any():
        share = np.maximum(rows - taken.sum(), 0) * weights / weights[open_].sum()
        full = open_ & (share >= sizes)
        if not full.any():
            taken[open_] = share[open_]
            break
        taken[full] = sizes[full]
        open_ &= ~full
    found: Array = np.minimum(sizes, np.maximum(LEAST_PER_CLASS, np.round(taken))).astype(np.int64)
    return found


def _plan(sizes: Array, first_rows: int | None) -> list[int]:
    total, classes = int(sizes.sum()), len(sizes)
    if first_rows is not None:
        needed = int(np.minimum(sizes, LEAST_PER_CLASS).sum())
        if needed > total // 2:
            return []
        if first_rows < needed:
            raise UsageError(
                f"first_rows is {first_rows}; at least {needed} are needed, {LEAST_PER_CLASS} of "
                f"each of the {classes} classes"
            )
        if first_rows > total // 2:
            raise UsageError(
                f"first_rows is {first_rows}; at most {total // 2} are allowed, half of the "
                f"{total} samples"
            )
        planned = []
        while first_rows <= total // 2:
            planned.append(first_rows)
            first_rows *= GROWTH
        return planned
    least = max(LEAST_ROWS, TYPICAL_PER_CLASS * classes)
    planned, rows = [], total // GROWTH
    while rows >= least:
        planned.append(rows)
        rows //= GROWTH
    return planned[::-1]


def _order_within_classes(codes: Array, random_state: int) -> Array:
    """Place of each row in a random order of its class."""
    shuffled = np.random.default_rng(random_state).permutation(len(codes))
    place = np.empty(len(codes), dtype=np.int64)
    for label in range(int(codes.max()) + 1):
        members = shuffled[codes[shuffled] == label]
        place[members] = np.arange(len(members))
    return place


def _drawn(labels: Array, codes: Array, sizes: Array, order: Array, taken: Array) -> Sample:
    rows = np.flatnonzero(order < taken[codes])
    return Sample(rows, labels[rows], codes[rows], sizes)
