"""Try a source on two samples before a whole target is run through it.

A network may not fit the target at all; may mix samples up, where the first axis of an output
is not that of the samples; may look at the other samples of a batch, as one whose batch
normalization was left in training mode does; or may draw numbers at random. The last two are
marked, for their encodings say little; the first two cannot be used.

A network may treat larger batches otherwise than two samples: take statistics of them, mix their
samples up, leave rows unwritten, or drift from one batch to the next. So some samples of the
first and of the last batch are encoded once more when the pass is over.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.encoding.passes import (
    CACHED,
    LARGEST,
    USUAL,
    BatchSize,
    Encoded,
    Feed,
    RowsError,
    as_ndarray,
    blamed,
)
from zoorank.errors import SourceError
from zoorank.sources.base import Calibratable, Cut, Refusal
from zoorank.targets.labels import members_of
from zoorank.transforms.base import Prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = Mapping[str, NDArray[Any]]

# Batches of other sizes are summed in another order; what differs by more, over the largest
# number, is no rounding. Where samples differ by little, a hundredth of that is too much.
_TOLERANCE = {"float32": 1e-3, "bf16": 3e-2}
_LEAST, _OF_DIFFERENCE = 1e-4, 1e-2
_REPEATED = 1e-5  # of the same batch a second time, on a CPU
_LOOKED_AT = 16  # samples among which it is sought who was taken for whom
_MOST = 256  # samples of a batch for a CPU: with more, nothing is left to be gained
_CALIBRATED_ON, _CALIBRATED_AT_MOST = 64, 256  # the latter where there are as many classes

RANDOM = "its encodings differ from call to call, as with dropout that stays on"
MIXED = "its encodings depend on the other samples of a batch, as with batch statistics"
NEEDS_TWO = "it cannot take a single sample, so it was never given one alone"


@dataclass(frozen=True)
class Trial:
    """What two samples told about a source.

    Attributes
    ----------
    feed : Feed
        With the least number of samples that it takes at once.
    cuts : tuple of Cut
        That can be made, deepest last.
    dims : mapping of str to int
        Numbers a row, by cut.
    refused : mapping of str to str
        Cuts that cannot be made, and why.
    notes : tuple of str
    seconds : float
        That two samples took at once, when all was warm.
    size : BatchSize
        Of batches, as large as pays.
    """

    feed: Feed
    cuts: tuple[Cut, ...]
    dims: Mapping[str, int]
    refused: Mapping[str, str]
    notes: tuple[str, ...]
    seconds: float
    size: BatchSize


def tried(feed: Feed, wanted: Sequence[str]) -> Trial:
    """Calibrate a source that asks for it; encode two samples together, again, and each alone.

    Parameters
    ----------
    feed : Feed
    wanted : sequence of str
        Cuts.

    Raises
    ------
    SourceError
        When the source cannot be fed two samples, or no cut can be made.
    UsageError
        For a cut that it does not have.
    """
    encoder = feed.encoder
    if isinstance(encoder, Calibratable) and encoder.calibrates:
        _calibrate(feed, encoder)
    pair, found = feed.cuts(_two(feed.target.n_samples), wanted)
    refused = {each.name: each.reason for each in found if isinstance(each, Refusal)}
    cuts = tuple(each for each in found if isinstance(each, Cut))
    if not cuts:
        _refuse_all(refused)
    size = batch_sizes(feed, pair)
    together = _encoded(feed, pair, cuts)
    dims = {name: array.shape[1] for name, array in together.items()}
    notes = []
    began = time.perf_counter()
    again = _encoded(feed, pair, cuts)
    seconds = time.perf_counter() - began
    if _repeats_differ(together, again, feed):
        notes.append(RANDOM)
    if encoder.facts.batch_size == 1:
        return Trial(feed, cuts, dims, refused, tuple(notes), seconds, size)
    alone, least = _alone(feed, pair, cuts)
    if alone is None:
        notes.append(NEEDS_TWO)
    elif not notes and differ(together, alone, feed):
        swapped = {name: array[::-1] for name, array in alone.items()}
        if not differ(together, swapped, feed):
            raise SourceError("it mixes up the samples of a batch: two come out in turned order")
        notes.append(MIXED)
    return Trial(replace(feed, least=least), cuts, dims, refused, tuple(notes), seconds, size)


def _calibrate(feed: Feed, encoder: Calibratable) -> None:
    """Calibrate on samples of all classes.

    They are drawn by class, so that neither the names of the classes nor their order matter.
    """
    batch = feed.collated(feed.prepared(_drawn(feed.target.labels, _CALIBRATED_ON)))
    with blamed("cannot be calibrated"):
        encoder.calibrate(batch)


def _alone(feed: Feed, pair: Sequence[Prepared], cuts: Sequence[Cut]) -> tuple[Numbers | None, int]:
    """Each of two samples encoded alone, or None, and the fewest samples at once."""
    if feed.encoder.facts.batch_size is not None:
        filled = [_encoded(feed, [each], cuts) for each in pair]
    else:
        try:
            filled = [_encoded(feed, [each], cuts) for each in pair]
        except RowsError:
            raise
        except SourceError:
            return None, 2
    return {name: np.concatenate([each[name] for each in filled]) for name in filled[0]}, 1


def _refuse_all(refused: Mapping[str, str]) -> None:
    first, *others = (f"cut {name!r}: {reason}" for name, reason in refused.items())
    more = f"; and {len(others)} more cuts" if others else ""
    raise SourceError(f"{first}{more}")


def _encoded(feed: Feed, prepared: Sequence[Prepared], cuts: Sequence[Cut]) -> Numbers:
    """What few samples give at once, copied to the host: a model may use its memory again."""
    encoded = feed.encode(prepared, cuts)
    return {name: np.array(as_ndarray(array), dtype=np.float64) for name, array in encoded.items()}


def differ(one: Numbers, other: Numbers, feed: Feed) -> bool:
    """Whether two encodings of the same samples differ by more than batches of other sizes do.

    Parameters
    ----------
    one, other : mapping of str to ndarray of shape (n_rows, n_features)
        By cut.
    feed : Feed
        Tells the precision and the device, which both may add rounding.
    """
    tolerance = _TOLERANCE[feed.encoder.facts.precision]
    least = _LEAST if feed.encoder.device == "cpu" and tolerance == 1e-3 else tolerance
    for name, expected in one.items():
        apart = float(np.ptp(expected, axis=0).max(initial=0.0))
        scale = float(np.abs(expected).max(initial=0.0))
        allowed = min(tolerance * scale, max(least * scale, _OF_DIFFERENCE * apart))
        if _exceeds(other[name], expected, allowed):
            return True
    return False


def _repeats_differ(one: Numbers, other: Numbers, feed: Feed) -> bool:
    """Whether the same batch gives something else the second time."""
    if feed.encoder.device != "cpu":
        return differ(one, other, feed)
    return any(
        _exceeds(other[name], first, _REPEATED * float(np.abs(first).max(initial=0.0)))
        for name, first in one.items()
    )


def _exceeds(found: NDArray[Any], expected: NDArray[Any], allowed: float) -> bool:
    if found.shape != expected.shape:
        return True
    # NaN is for the pass to find, which names its row.
    return bool(np.isfinite(allowed) and np.abs(found - expected).max(initial=0.0) > allowed)


def _two(n_samples: int) -> NDArray[np.int64]:
    return np.array([0, min(1, n_samples - 1)], dtype=np.int64)


def _drawn(labels: NDArray[Any], size: int) -> NDArray[np.int64]:
    """Rows of every class in its share, whatever the classes are called and in which order.

    Those of a class are evenly spaced, so that they are the same wherever it stands. Of more
    classes than fit into a batch, as many as do are drawn, evenly spaced too.
    """
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    shares = np.maximum(1, np.minimum(counts, counts * size // len(labels)))
    drawn = []
    for count, members in zip(shares, members_of(codes), strict=True):
        drawn.append(members[np.arange(count) * len(members) // count])
    rows = np.sort(np.concatenate(drawn)).astype(np.int64)
    count = min(len(rows), _CALIBRATED_AT_MOST)
    return rows[np.arange(count) * len(rows) // count]


def batch_sizes(feed: Feed, pair: Sequence[Prepared] = ()) -> BatchSize:
    """As large as pays on the device of a source, by what a pair of samples took in it."""
    encoder = feed.encoder
    largest = encoder.facts.largest
    if encoder.facts.batch_size is not None:
        return BatchSize(encoder.facts.batch_size)
    if not largest or encoder.device != "cpu":
        return BatchSize(USUAL)
    pair = pair or feed.prepared(_two(feed.target.n_samples))
    longest = max(each.length for each in pair)
    if longest == 1:
        usual, cached = min(USUAL, LARGEST // largest), min(_MOST, CACHED // largest)
        return BatchSize(max(1, usual, cached))
    return BatchSize(_MOST, max(1, LARGEST * longest // largest))


@dataclass(frozen=True)
class Spot:
    """Two samples of a batch, and what they gave in it.

    Attributes
    ----------
    samples : tuple of int
    prepared : tuple of Prepared
    given : mapping of str to ndarray of float64
        All rows of the two, by cut.
    """

    samples: tuple[int, int]
    prepared: tuple[Prepared, Prepared]
    given: Numbers


@dataclass
class Recheck:
    """Whether samples give in the batches of a pass what they give two at a time.

    Attributes
    ----------
    feed : Feed
    cuts : sequence of Cut
    first, last : Spot or None
        Of the first and the last batch that were large enough to tell.
    """

    feed: Feed
    cuts: Sequence[Cut]
    first: Spot | None = None
    last: Spot | None = None

    def see(
        self, samples: NDArray[np.int64], prepared: Sequence[Prepared], encoded: Encoded
    ) -> None:
        """Take in a batch; what it gave may be overwritten by the next one."""
        count = len(samples)
        if count < 3:  # the trial has seen as many
            return
        if self.first is None:
            self.first = self._spot(samples, prepared, encoded, (0, count - 1))
        self.last = self._spot(samples, prepared, encoded, (count // 2 - 1, count - 1))

    def verdict(self) -> str:
        """Encode two samples of the first batch and two of the last again, and compare.

        Returns
        -------
        str
            What is to be said of the source; empty where nothing differs.

        Raises
        ------
        SourceError
            When it mixes up samples or loses them.
        """
        if self.feed.encoder.facts.batch_size == 1:
            return ""
        for spot in (self.first, self.last):
            if spot is None:
                continue
            alone = _encoded(self.feed, spot.prepared, self.cuts)
            if differ(alone, spot.given, self.feed):
                _refuse_lost(self.feed, spot, alone)
                _refuse_mixed(self.feed, self.cuts, spot)
                return MIXED
        return ""

    def _spot(
        self,
        samples: NDArray[np.int64],
        prepared: Sequence[Prepared],
        encoded: Encoded,
        places: tuple[int, int],
    ) -> Spot:
        first, second = places
        starts = self.feed.target.samples.starts
        counts = np.ones(len(samples)) if starts is None else starts[samples + 1] - starts[samples]
        ends = np.cumsum(counts).astype(np.int64)
        rows = np.concatenate([np.arange(ends[p] - counts[p], ends[p]) for p in places])
        return Spot(
            (int(samples[first]), int(samples[second])),
            (prepared[first], prepared[second]),
            {
                name: np.array(as_ndarray(array[rows.astype(np.int64)]), dtype=np.float64)
                for name, array in encoded.items()
            },
        )


def _refuse_lost(feed: Feed, spot: Spot, alone: Numbers) -> None:
    """Raise where a sample gives nothing but zeros in its batch, and something outside of it."""
    rows = feed.target.rows_of(np.array(spot.samples, dtype=np.int64))
    for name, given in spot.given.items():
        for place, row in enumerate(rows):
            if alone[name][place].any() and not given[place].any():
                raise SourceError(
                    f"cut {name!r} gives zeros for row {row} in its batch, and does not when two "
                    "samples come alone: rows of a batch are lost"
                )


def _refuse_mixed(feed: Feed, cuts: Sequence[Cut], spot: Spot) -> None:
    """Raise where one sample of a batch comes out as another one of it."""
    if feed.target.samples.starts is not None or feed.encoder.facts.batch_size is not None:
        return
    start = min(spot.samples[0], max(0, len(feed.target) - _LOOKED_AT))
    prepared = feed.prepared(range(start, min(start + _LOOKED_AT, len(feed.target))))
    together = _encoded(feed, prepared, cuts)
    pairs = [_encoded(feed, [each, each], cuts) for each in prepared]
    for one, other in permutations(range(len(prepared)), 2):
        given, own, others = (
            {name: rows[place : place + 1] for name, rows in of.items()}
            for of, place in ((together, one), (pairs[one], 0), (pairs[other], 0))
        )
        if differ(own, given, feed) and not differ(others, given, feed):
            raise SourceError(
                f"it mixes up the samples of a batch: of {len(prepared)}, row {start + one} comes "
                f"out as row {start + other}"
            )
