"""Whether samples give in the batches of a pass what they give two at a time.

The trial sees two samples. A network may treat larger batches otherwise: take statistics of
them, mix their samples up, leave rows unwritten, or drift from one batch to the next. So some
samples of the first and of the last batch are encoded once more when the pass is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.encoding.feed import Encoded, Feed, to_host
from zoorank.encoding.trial import MIXED, differ, encoded_pair
from zoorank.errors import SourceError
from zoorank.sources.base import Cut
from zoorank.transforms.base import Prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = Mapping[str, NDArray[Any]]

_LOOKED_AT = 16  # samples among which it is sought who was taken for whom


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
    given: Rows


class Spots:
    """Samples of the first and of the last batch of a pass.

    Parameters
    ----------
    feed : Feed
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._first: Spot | None = None
        self._last: Spot | None = None

    def see(
        self, samples: NDArray[np.int64], prepared: Sequence[Prepared], encoded: Encoded
    ) -> None:
        """Take in a batch; what it gave may be overwritten by the next one."""
        count = len(samples)
        if count < 3:  # the trial has seen as many
            return
        if self._first is None:
            self._first = self._spot(samples, prepared, encoded, (0, count - 1))
        self._last = self._spot(samples, prepared, encoded, (count // 2 - 1, count - 1))

    def found(self) -> tuple[Spot, ...]:
        """Two samples of the first batch and two of the last."""
        return tuple(spot for spot in (self._first, self._last) if spot is not None)

    def _spot(
        self,
        samples: NDArray[np.int64],
        prepared: Sequence[Prepared],
        encoded: Encoded,
        places: tuple[int, int],
    ) -> Spot:
        first, second = places
        starts = self._feed.target.samples.starts
        counts = np.ones(len(samples)) if starts is None else starts[samples + 1] - starts[samples]
        ends = np.cumsum(counts).astype(np.int64)
        rows = np.concatenate([np.arange(ends[p] - counts[p], ends[p]) for p in places])
        return Spot(
            (int(samples[first]), int(samples[second])),
            (prepared[first], prepared[second]),
            {name: _copied(array[rows.astype(np.int64)]) for name, array in encoded.items()},
        )


def rechecked(feed: Feed, cuts: Sequence[Cut], spots: Sequence[Spot]) -> str:
    """Encode pairs of samples again, and compare with what they gave in their batches.

    Returns
    -------
    str
        What is to be said of the source; empty where nothing differs.

    Raises
    ------
    SourceError
        When it mixes up samples or loses them.
    """
    if feed.encoder.facts.batch_size == 1:
        return ""
    for spot in spots:
        alone = encoded_pair(feed, spot.prepared, cuts)
        if differ(alone, spot.given, feed):
            _refuse_lost(feed, spot, alone)
            _refuse_mixed(feed, cuts, spot)
            return MIXED
    return ""


def _refuse_lost(feed: Feed, spot: Spot, alone: Rows) -> None:
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
    together = encoded_pair(feed, prepared, cuts)
    pairs = [encoded_pair(feed, [each, each], cuts) for each in prepared]
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


def _copied(array: Any) -> NDArray[np.float64]:
    return np.array(to_host(array), dtype=np.float64)
