"""Run samples of a target through an encoder, batch by batch, within the memory there is."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from zoorank.encoding.feed import Encoded, Feed, to_host
from zoorank.encoding.recheck import Spots
from zoorank.errors import SourceError, ZoorankError
from zoorank.messages import bad_row, one_line, reason
from zoorank.sources.base import Cut
from zoorank.targets.base import Rows
from zoorank.transforms.base import Prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

OnBatch = Callable[[int, int], None]

# Up to this many bytes the GNU C library can be told to keep; it takes no larger threshold.
KEPT = 2**25
_TRIM, _TRIM_AFTERWARDS = 2**30, 2**26  # the latter is where it ends up by itself

# For processes that are about to be started: how they are told to keep memory from the start.
MEMORY_KEPT = {"MALLOC_MMAP_THRESHOLD_": str(KEPT), "MALLOC_TRIM_THRESHOLD_": str(_TRIM)}

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

# Samples whose lengths differ are sorted by length among so many batches of them.
_SORTED_BATCHES = 64
_MOST_PADDING = 1 / 16  # of what is no padding, in a batch
# Small batches cost more than padding: parts of the largest that a batch has at least.
_LEAST_SAMPLES, _LEAST_LENGTH = 1 / 4, 1 / 8
# Batches for a CPU: the largest output of a layer stays below what the allocator keeps. More than
# the usual number of samples go together only as far as caches hold them; beyond so many nothing
# is left to be gained.
_LARGEST, _CACHED = KEPT * 3 // 4, 4 * 2**20
_USUAL, _MOST = 32, 256


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
        cached = self.length * _CACHED // _LARGEST
        fitting = (
            n
            for n in range(most, 1, -1)
            if n * prepared[n - 1].length <= (self.length if n <= _USUAL else cached)
        )
        return next(fitting, 1)


def batch_sizes(feed: Feed) -> BatchSize:
    """As large as pays on the device of a source, by what two samples took in it."""
    encoder = feed.encoder
    largest = encoder.facts.largest
    if encoder.facts.batch_size is not None:
        return BatchSize(encoder.facts.batch_size)
    if largest is None or encoder.device != "cpu":
        return BatchSize(_USUAL)
    pair = feed.prepared(range(min(2, feed.target.n_samples)))
    longest = max(each.length for each in pair)
    if longest == 1:
        usual, cached = min(_USUAL, _LARGEST // largest), min(_MOST, _CACHED // largest)
        return BatchSize(max(1, usual, cached))
    return BatchSize(_MOST, max(1, _LARGEST * longest // largest))


class Pass:
    """One pass over samples of a target.

    Attributes
    ----------
    seconds : float
        Spent preparing and running batches so far.
    batch_size : int
        Of the last batches, after any halving.
    note : str
        What was done about memory; empty when nothing was.
    truncated : int
        Samples so far that were longer than the source takes.
    spots : Spots
        Some samples, and what they gave.
    """

    def __init__(self, feed: Feed, samples: NDArray[np.int64], cuts: Sequence[Cut]) -> None:
        self._feed, self._samples, self._cuts = feed, samples, cuts
        self.seconds = 0.0
        self.batch_size = 0
        self.note = ""
        self.truncated = 0
        self.spots = Spots(feed)

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
        fixed = self._feed.encoder.facts.batch_size
        self.batch_size = fixed or max(batch_size.samples, self._feed.least)
        done, total = 0, len(self._samples)
        for samples, prepared in self._windows():
            start = 0
            while start < len(samples):
                began = time.perf_counter()
                size = replace(batch_size, samples=self._size(total - done))
                stop = start + size.of(prepared[start:])
                stop -= self._unlike(prepared[start:stop], total - done, size)
                rows = samples[start:stop]
                with self._feed.clock.timing("network"):
                    encoded = self._encode(rows, prepared[start:stop])
                    if encoded is not None:
                        self._check(encoded, rows)  # waits for the device
                self.seconds += time.perf_counter() - began
                if encoded is None:
                    self._halve(len(rows))
                    continue
                self.spots.see(rows, prepared[start:stop], encoded)
                yield rows, encoded
                start = stop
                done += len(rows)
                if on_batch is not None:
                    on_batch(done, total)

    def _size(self, left: int) -> int:
        """Samples of the next batch; never so many that a single one is left."""
        size = self.batch_size
        if left == size + 1 and size > 2 and self._feed.encoder.facts.batch_size is None:
            return size - 1
        return size

    def _unlike(self, prepared: Sequence[Prepared], left: int, size: BatchSize) -> int:
        """How many of a batch, the longest last, would make too much padding of the others."""
        if self._feed.encoder.facts.batch_size is not None:
            return 0
        lengths = [each.length for each in prepared]
        count, real = len(lengths), sum(lengths)
        while self._stays_large(lengths[: count - 1], size) and (
            lengths[count - 1] * count - real > _MOST_PADDING * real
        ):
            count -= 1
            real -= lengths[count]
        if left - count == 1 and count < len(lengths):
            count += 1  # never a single one at the end
        return len(lengths) - count

    def _stays_large(self, lengths: Sequence[int], size: BatchSize) -> bool:
        if len(lengths) < max(self._feed.least, 1):
            return False
        if size.length is None:
            return len(lengths) >= self.batch_size * _LEAST_SAMPLES
        return len(lengths) * lengths[-1] >= size.length * _LEAST_LENGTH

    def _windows(self) -> Iterator[tuple[NDArray[np.int64], list[Prepared]]]:
        """Prepare samples while the batches before them are run.

        A window is one batch, or many where lengths differ and are to be sorted.
        """
        start, batches = 0, 1
        with ThreadPoolExecutor(1, "zoorank-prepare") as ahead:
            ready = ahead.submit(self._window, start, batches)
            while start < len(self._samples):
                began = time.perf_counter()
                with self._feed.clock.timing("preparing"):
                    samples, prepared = ready.result()
                start += len(samples)
                if any(each.length != prepared[0].length for each in prepared):
                    batches = _SORTED_BATCHES
                if start < len(self._samples):
                    ready = ahead.submit(self._window, start, batches)
                self.truncated += sum(each.truncated for each in prepared)
                self.seconds += time.perf_counter() - began
                yield samples, prepared

    def _window(self, start: int, batches: int) -> tuple[NDArray[np.int64], list[Prepared]]:
        left = len(self._samples) - start
        size = self._size(left) if batches == 1 else self.batch_size * batches
        samples = self._samples[start : start + size]
        prepared = self._prepare(samples)
        order = np.argsort([each.length for each in prepared], kind="stable")
        return samples[order], [prepared[place] for place in order]

    def _prepare(self, samples: NDArray[np.int64]) -> list[Prepared]:
        try:
            return self._feed.prepared(_together(samples))
        except (ZoorankError, MemoryError):
            raise
        except Exception as error:
            raise _failed(samples, error) from error

    def _encode(self, samples: NDArray[np.int64], prepared: list[Prepared]) -> Encoded | None:
        try:
            return self._feed.encode(prepared, self._cuts)
        except MemoryError:
            return None
        except SourceError as error:
            raise _failed(samples, error) from (error.__cause__ or error)

    def _halve(self, tried: int) -> None:
        fixed = self._feed.encoder.facts.batch_size
        if tried <= self._feed.least or fixed is not None:
            one = "one sample at a time" if fixed is None else f"its batch of {fixed}"
            raise SourceError(f"out of memory on {self._feed.encoder.device} even with {one}")
        self.batch_size = max(tried // 2, self._feed.least)
        self.note = f"batch halved to {self.batch_size} after out of memory"

    def _check(self, encoded: Encoded, samples: NDArray[np.int64]) -> None:
        for name, array in encoded.items():
            if bool((array - array == 0).all()):  # in the words of every array library
                continue
            numbers = to_host(array)
            if not np.isfinite(numbers).all():
                row, what = bad_row(numbers)
                place = self._feed.target.rows_of(samples)[row]
                raise SourceError(f"cut {name!r} gives {what} for row {place}")


def _failed(samples: NDArray[np.int64], error: BaseException) -> SourceError:
    said = one_line(error) if isinstance(error, SourceError) else reason(error)
    return SourceError(f"failed on {_named(samples)}: {said}")


def _together(rows: NDArray[np.int64]) -> Rows:
    """Rows without gaps as a range, which is read at once."""
    first, last = int(rows[0]), int(rows[-1])
    return range(first, last + 1) if last - first + 1 == len(rows) else rows


def _named(samples: NDArray[np.int64]) -> str:
    if len(samples) == 1:
        return f"row {samples[0]}"
    first, last = int(samples.min()), int(samples.max())
    part = "" if last - first + 1 == len(samples) else f"{len(samples)} of the "
    return f"{part}rows {first} to {last}"


@contextmanager
def memory_kept() -> Iterator[None]:
    """Keep memory that this process frees, and return it at the end.

    Networks free and ask for the same memory batch after batch. Where the C library returns it
    to the system in between, most of a pass on a CPU may go into page faults. Where the C library
    is not GNU's, nothing changes.
    """
    library = _gnu()
    if library is None:
        yield
        return
    library.mallopt(_M_MMAP_THRESHOLD, KEPT)
    library.mallopt(_M_TRIM_THRESHOLD, _TRIM)
    try:
        yield
    finally:
        library.mallopt(_M_TRIM_THRESHOLD, _TRIM_AFTERWARDS)
        library.malloc_trim(0)


@cache
def _gnu() -> ctypes.CDLL | None:
    """The C library, if it is GNU's."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
