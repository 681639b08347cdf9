"""Which samples a training learns from, stops by and is tested on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoorank.errors import SourceError
from zoorank.sources.training import TrainingSplit
from zoorank.targets.base import Target
from zoorank.targets.labels import drawn

Codes = NDArray[np.int64]

_TENTHS = 10
_SHARES = (0.6, 0.2, 0.2)  # to train on, to stop by, to test on


def strata_of(target: Target) -> Codes:
    """Classes numbered from 0; of numbers to predict, which tenth of them each is in."""
    if target.task != "numbers":
        return np.unique(target.labels, return_inverse=True)[1]
    order = np.argsort(np.argsort(target.labels, kind="stable"), kind="stable")
    return order * min(_TENTHS, len(order)) // len(order)


def split(
    codes: Codes, samples: int, seed: int, groups: NDArray[Any] | None = None
) -> TrainingSplit:
    """Rows to train on, to stop by and to test on: 60, 20 and 20 in 100 of each class.

    With groups 60, 20 and 20 in 100 of the samples: each group is in one part alone.
    """
    chosen = drawn(codes, samples, seed)
    if groups is not None:
        return _split_groups(chosen, groups[chosen], seed)
    train, stop, test = [], [], []
    for c in range(int(codes.max()) + 1):
        members = chosen[codes[chosen] == c]
        first, second = round(0.6 * len(members)), round(0.8 * len(members))
        train += members[: max(first, 1)].tolist()
        stop += members[max(first, 1) : second].tolist()
        test += members[max(second, 1) :].tolist()
    if not stop or not test:
        raise SourceError("too few samples of each class to hold some out for fine-tuning")
    return TrainingSplit(*(np.array(rows, dtype=np.int64) for rows in (train, stop, test)))


def _split_groups(chosen: NDArray[np.int64], groups: NDArray[Any], seed: int) -> TrainingSplit:
    """Whole groups to each part, in an order of chance, until it has its share."""
    names, codes = np.unique(groups, return_inverse=True)
    if len(names) < len(_SHARES):
        raise SourceError(f"fewer than {len(_SHARES)} groups: none can be held out")
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(codes)[order]
    before = (np.cumsum(sizes) - sizes) / len(codes)
    part = np.searchsorted(np.cumsum(_SHARES)[:-1], before, side="right")
    part[-2:] = np.maximum(part[-2:], (1, 2))  # one group at least to stop by, and one to test on
    part[:1] = 0
    of_group = np.empty(len(names), dtype=np.int64)
    of_group[order] = part
    parts = [np.flatnonzero(of_group[codes] == number) for number in range(len(_SHARES))]
    if any(not len(each) for each in parts):
        raise SourceError("the groups are too unequal to hold some out for fine-tuning")
    return TrainingSplit(*(chosen[each] for each in parts))
