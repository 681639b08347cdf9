"""A loaded source and the target it is given, sample by sample.

Samples are prepared once for all sources whose transforms have the same key.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.encoding.costs import Clock
from zoorank.errors import SourceError, ZoorankError
from zoorank.messages import reason
from zoorank.sources.base import Array, Cut, Encoder, OpenOptions, Refusal, Source
from zoorank.targets.base import Rows, Target
from zoorank.transforms.base import Batch, Prepared, Transform

if TYPE_CHECKING:
    from numpy.typing import NDArray

Encoded = Mapping[str, Array]

# Bytes of prepared samples that a process keeps for its next sources.
LIMIT = 512 * 2**20


class RowsError(SourceError):
    """A cut whose first axis is not that of the samples."""


@dataclass(frozen=True)
class Feed:
    """A loaded source and the target that it is given.

    Attributes
    ----------
    encoder : Encoder
    transform : Transform
        Fitted to the target.
    target : Target
    least : int
        Samples that the source must be given at once, at least.
    on_pass : callable
        Called after every batch.
    clock : Clock
    """

    encoder: Encoder
    transform: Transform
    target: Target
    least: int = 1
    on_pass: Callable[[], None] = lambda: None
    clock: Clock = field(default_factory=Clock, compare=False)

    def prepared(self, samples: Rows) -> list[Prepared]:
        """Some samples as the source wants them, one by one."""
        return SHARED.prepared(self.target, self.transform, samples)

    def collated(self, prepared: Sequence[Prepared]) -> Batch:
        """One batch of prepared samples."""
        with blamed("cannot be fed"):
            return self.transform.collate(prepared)

    def cuts(self, batch: Batch, wanted: Sequence[str]) -> tuple[Cut | Refusal, ...]:
        """Where the source is cut, or why it is not."""
        with blamed("cannot be cut"):
            return self.encoder.cuts(batch, wanted)

    def encode(self, prepared: Sequence[Prepared], cuts: Sequence[Cut]) -> Encoded:
        """Encode prepared samples at once, filled up where the source wants more of them.

        Raises
        ------
        RowsError
            When a cut gives another number of rows than there are.
        SourceError
            When the source cannot be run.
        """
        size = self.encoder.facts.batch_size or max(self.least, len(prepared))
        with self.clock.timing("preparing"):
            batch = self.collated([*prepared, *[prepared[-1]] * (size - len(prepared))])
        with blamed(""):
            encoded = self.encoder.encode(batch, cuts)
        self.on_pass()
        for name, array in encoded.items():
            if array.ndim != 2 or len(array) != batch.rows:
                raise RowsError(
                    f"cut {name!r} gives {len(array)} rows for {batch.rows} samples: its first "
                    "axis is not that of the samples"
                )
        if size == len(prepared):
            return encoded
        rows = self.collated(prepared).rows
        return {name: array[:rows] for name, array in encoded.items()}


@contextmanager
def blamed(what: str = "cannot be opened") -> Iterator[None]:
    """Say what a source's code and libraries raise as the fault of this source.

    Raises
    ------
    SourceError
    """
    try:
        yield
    except (ZoorankError, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a stranger's code may raise anything, even SystemExit
        raise SourceError(f"{what}: {reason(error)}" if what else reason(error)) from error


def opened(source: Source, options: OpenOptions) -> Encoder:
    """Open a source, whatever its files make its libraries raise."""
    with blamed():
        return source.open(options)


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
            with blamed("cannot be fed"):
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


def to_host(array: Array) -> NDArray[Any]:
    """The numbers in host memory, without a copy where they are there."""
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)


def same_numbers(one: Array, other: Array) -> bool:
    """Whether all numbers are equal, found out in little memory and where they are."""
    if one.shape != other.shape:
        return False
    block = 4096
    starts = range(0, len(one), block)
    return all(
        bool((one[start : start + block] == other[start : start + block]).all()) for start in starts
    )
