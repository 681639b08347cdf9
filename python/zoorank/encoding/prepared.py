"""Samples prepared once for all sources whose transforms have the same key."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zoorank.targets.base import Rows, Target
from zoorank.transforms.base import Prepared, Transform

# Bytes of prepared samples that a process keeps for its next sources.
LIMIT = 512 * 2**20


class PreparedSamples:
    """Prepared samples of the targets and transforms used last, up to a number of bytes.

    Of one target and transform the first samples are kept, for every source reads them all
    in the same order; what was used longest ago makes room for another.

    Parameters
    ----------
    limit : int
        Bytes.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._sets: OrderedDict[tuple[str, str], dict[int, Prepared]] = OrderedDict()
        self._bytes: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def prepared(self, target: Target, transform: Transform, samples: Rows) -> list[Prepared]:
        """Some samples as a transform prepares them, in their order."""
        key = target.fingerprint, transform.key
        with self._lock:
            kept = self._sets.setdefault(key, {})
            self._sets.move_to_end(key)
            found = {int(sample): kept.get(int(sample)) for sample in samples}
        lacking = np.array([place for place, each in found.items() if each is None], dtype=np.int64)
        if len(lacking):
            rows = samples if len(lacking) == len(samples) else lacking
            made = [transform.prepare(sample) for sample in target.take(rows)]
            self._keep(key, [int(row) for row in rows], made)
            found |= dict(zip((int(row) for row in rows), made, strict=True))
        return [each for each in found.values() if each is not None]

    def forget(self, target: Target) -> None:
        """Drop all samples of a target."""
        with self._lock:
            for key in [key for key in self._sets if key[0] == target.fingerprint]:
                del self._sets[key]
                self._bytes.pop(key, None)

    def _keep(self, key: tuple[str, str], rows: Sequence[int], made: Sequence[Prepared]) -> None:
        with self._lock:
            kept = self._sets.setdefault(key, {})
            for row, each in zip(rows, made, strict=True):
                size = size_of(each.value)
                while sum(self._bytes.values()) + size > self._limit and len(self._sets) > 1:
                    oldest = next(other for other in self._sets if other != key)
                    del self._sets[oldest]
                    self._bytes.pop(oldest, None)
                if sum(self._bytes.values()) + size > self._limit:
                    return
                kept[row] = each
                self._bytes[key] = self._bytes.get(key, 0) + size


def size_of(value: Any) -> int:
    """Bytes of a prepared value, roughly.

    Examples
    --------
    >>> size_of({"ids": np.zeros(4, np.int64)}) - size_of({"ids": np.zeros(0, np.int64)})
    32
    """
    if isinstance(value, np.ndarray):
        return value.nbytes + 128
    if isinstance(value, Mapping):
        return 128 + sum(size_of(each) for each in value.values())
    if isinstance(value, list | tuple):
        return 64 + 32 * len(value)
    return 256


SHARED = PreparedSamples()
