"""Samples of a target, prepared once, through a loaded source, batch by batch."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.encoding.costs import KEPT, Clock
from zoorank.encoding.faults import failed, refuse_no_number
from zoorank.encoding.padding import unlike
from zoorank.errors import SourceError, ZoorankError
from zoorank.messages import reason
from zoorank.sources.base import Array, Cut, Encoder, Refusal
from zoorank.targets.base import Rows, Target
from zoorank.transforms.base import Batch, Prepared, Transform

if TYPE_CHECKING:
    from numpy.typing import NDArray

Encoded = Mapping[str, Array]
OnBatch = Callable[[int, int], None]

# Bytes of prepared samples that a process keeps for its next sources.
LIMIT = 512 * 2**20

_SORTED_BATCHES = 64  # among which samples whose lengths differ are sorted by length
# Batches for a CPU: the largest output of a layer stays below what the allocator keeps. More than
# the usual number of samples go together only as far as caches hold them.
LARGEST, CACHED, USUAL = KEPT * 3 // 4, 4 * 2**20, 32


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
    """

    encoder: Encoder
    transform: Transform
    target: Target
    least: int = 1
    on_pass: Callable[[], None] = lambda: None

    def prepared(self, samples: Rows) -> list[Prepared]:
        """Some samples as the source wants them, one by one."""
        return SHARED.prepared(self.target, self.transform, samples)

    def collated(self, prepared: Sequence[Prepared]) -> Batch:
        """One batch of prepared samples."""
        with blamed("cannot be fed"):
            return self.transform.collate(prepared)

    def cuts(
        self, samples: Rows, wanted: Sequence[str]
    ) -> tuple[list[Prepared], tuple[Cut | Refusal, ...]]:
        """Some samples as the source wants them, and where they show that it can be cut."""
        prepared = self.prepared(samples)[: self.encoder.facts.batch_size]
        batch = self.filled(prepared)
        with blamed("cannot be cut"):
            return prepared, self.encoder.cuts(batch, wanted)

    def encode(self, prepared: Sequence[Prepared], cuts: Sequence[Cut]) -> Encoded:
        """Encode prepared samples at once.

        Raises
        ------
        RowsError
            When a cut gives another number of rows than there are.
        SourceError
            When the source cannot be run.
        """
        return self.run(self.filled(prepared), prepared, cuts)

    def filled(self, prepared: Sequence[Prepared]) -> Batch:
        """One batch of prepared samples, filled up where the source wants more of them."""
        size = self.encoder.facts.batch_size or max(self.least, len(prepared))
        return self.collated([*prepared, *[prepared[-1]] * (size - len(prepared))])

    def run(self, batch: Batch, prepared: Sequence[Prepared], cuts: Sequence[Cut]) -> Encoded:
        """Encode a batch, and give the rows of the samples that it was filled up from."""
        with blamed(""):
            encoded = self.encoder.encode(batch, cuts)
        self.on_pass()
        for name, array in encoded.items():
            if array.ndim != 2 or len(array) != batch.rows:
                raise RowsError(
                    f"cut {name!r} gives {len(array)} rows for {batch.rows} samples: its first "
                    "axis is not that of the samples"
                )
        if len(prepared) >= (self.encoder.facts.batch_size or self.least):
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


def as_ndarray(array: Array) -> NDArray[Any]:
    """The numbers in host memory, without a copy where they are there."""
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)


@dataclass(frozen=True)
class BatchSize:
    """How many samples go through a source at once.

    Attributes
    ----------
    samples : int
        At most.
    length : int or None
        Of all samples together, each as long as the longest, at most; less for more samples
        than usual, which caches have to hold. None for any.
    """

    samples: int
    length: int | None = None

    def of(self, prepared: Sequence[Prepared]) -> int:
        """How many of these, which are sorted by length, go together."""
        most = min(self.samples, len(prepared))
        if self.length is None:
            return most
        cached = self.length * CACHED // LARGEST
        fitting = (
            n
            for n in range(most, 1, -1)
            if n * prepared[n - 1].length <= (self.length if n <= USUAL else cached)
        )
        return next(fitting, 1)


@dataclass
class Pass:
    """One pass over samples of a target.

    Attributes
    ----------
    feed : Feed
    samples : ndarray of int64
    cuts : sequence of Cut
    clock : Clock
        Told what takes how long.
    see : callable
        Given the samples of every batch, prepared, and what they gave.
    seconds : float
        Spent preparing and running batches so far.
    batch_size : int
        Of the last batches, after any halving.
    note : str
        What was done about memory; empty when nothing was.
    truncated : int
        Samples so far that were longer than the source takes.
    """

    feed: Feed
    samples: NDArray[np.int64]
    cuts: Sequence[Cut]
    clock: Clock
    see: Callable[[NDArray[np.int64], Sequence[Prepared], Encoded], None]
    seconds: float = 0.0
    batch_size: int = 0
    note: str = ""
    truncated: int = 0

    def run(
        self, batch_size: BatchSize, on_batch: OnBatch | None = None
    ) -> Iterator[tuple[NDArray[np.int64], Encoded]]:
        """Yield samples and their encodings, by cut, where they were computed.

        Samples of like length share a batch, so their order may be another than was given.

        Raises
        ------
        SourceError
            For NaN or infinity in an encoding, a batch that fails, or too little memory for
            a single sample.
        """
        fixed = self.feed.encoder.facts.batch_size
        self.batch_size = fixed or max(batch_size.samples, self.feed.least)
        done, total = 0, len(self.samples)
        for samples, prepared in self._windows():
            start = 0
            while start < len(samples):
                began = time.perf_counter()
                stop = self._stop(prepared, start, total - done, batch_size)
                rows, batch = samples[start:stop], prepared[start:stop]
                encoded = self._encode(rows, batch)
                self.seconds += time.perf_counter() - began
                if encoded is None:
                    self._halve(len(rows))
                    continue
                self.see(rows, batch, encoded)
                yield rows, encoded
                start = stop
                done += len(rows)
                if on_batch is not None:
                    on_batch(done, total)

    def _stop(
        self, prepared: Sequence[Prepared], start: int, left: int, batch_size: BatchSize
    ) -> int:
        """Where the next batch of prepared samples, which are sorted by length, ends."""
        size = replace(batch_size, samples=self._size(left))
        stop = start + size.of(prepared[start:])
        lengths = [each.length for each in prepared[start:stop]]
        if lengths[0] == lengths[-1] or self.feed.encoder.facts.batch_size is not None:
            return stop
        return stop - unlike(lengths, left, size, self.feed.least, self.batch_size)

    def _size(self, left: int) -> int:
        """Samples of the next batch; never so many that a single one is left."""
        size = self.batch_size
        if left == size + 1 and size > 2 and self.feed.encoder.facts.batch_size is None:
            return size - 1
        return size

    def _windows(self) -> Iterator[tuple[NDArray[np.int64], list[Prepared]]]:
        """Prepare samples while the batches before them are run.

        A window is one batch, or many where lengths differ and are to be sorted.
        """
        start, batches = 0, 1
        with ThreadPoolExecutor(1, "zoorank-prepare") as ahead:
            ready = ahead.submit(self._window, start, batches)
            while start < len(self.samples):
                began = time.perf_counter()
                with self.clock.timing("preparing"):
                    samples, prepared = ready.result()
                start += len(samples)
                if any(each.length != prepared[0].length for each in prepared):
                    batches = _SORTED_BATCHES
                if start < len(self.samples):
                    ready = ahead.submit(self._window, start, batches)
                self.truncated += sum(each.truncated for each in prepared)
                self.seconds += time.perf_counter() - began
                yield samples, prepared

    def _window(self, start: int, batches: int) -> tuple[NDArray[np.int64], list[Prepared]]:
        left = len(self.samples) - start
        size = self._size(left) if batches == 1 else self.batch_size * batches
        samples = self.samples[start : start + size]
        prepared = self._prepare(samples)
        order = np.argsort([each.length for each in prepared], kind="stable")
        return samples[order], [prepared[place] for place in order]

    def _prepare(self, samples: NDArray[np.int64]) -> list[Prepared]:
        try:
            return self.feed.prepared(_together(samples))
        except (ZoorankError, MemoryError):
            raise
        except Exception as error:
            raise failed(self.feed.target, samples, error) from error

    def _encode(self, samples: NDArray[np.int64], prepared: list[Prepared]) -> Encoded | None:
        """Encode a batch; None where memory does not suffice."""
        with self.clock.timing("network"):
            try:
                with self.clock.timing("preparing"):
                    batch = self.feed.filled(prepared)
                encoded = self.feed.run(batch, prepared, self.cuts)
            except MemoryError:
                return None
            except SourceError as error:
                raise failed(self.feed.target, samples, error) from (error.__cause__ or error)
            self._check(encoded, samples)  # waits for the device
        return encoded

    def _halve(self, tried: int) -> None:
        fixed = self.feed.encoder.facts.batch_size
        if tried <= self.feed.least or fixed is not None:
            one = "one sample at a time" if fixed is None else f"its batch of {fixed}"
            raise SourceError(f"out of memory on {self.feed.encoder.device} even with {one}")
        self.batch_size = max(tried // 2, self.feed.least)
        self.note = f"batch halved to {self.batch_size} after out of memory"

    def _check(self, encoded: Encoded, samples: NDArray[np.int64]) -> None:
        for name, array in encoded.items():
            if not bool((array - array == 0).all()):  # in the words of every array library
                refuse_no_number(name, as_ndarray(array), self.feed.target.rows_of(samples))


def _together(rows: NDArray[np.int64]) -> Rows:
    """Rows without gaps as a range, which is read at once."""
    first, last = int(rows[0]), int(rows[-1])
    return range(first, last + 1) if last - first + 1 == len(rows) else rows
