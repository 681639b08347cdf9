"""Try a source on two samples before a whole target is run through it.

A network may not fit the target at all; may mix samples up, where the first axis of an output
is not that of the samples; may look at the other samples of a batch, as one whose batch
normalization was left in training mode does; or may draw numbers at random. The last two are
marked, for their encodings say little; the first two cannot be used.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.encoding.costs import Filters
from zoorank.encoding.feed import Feed, RowsError, blamed, to_host
from zoorank.errors import SourceError
from zoorank.sources.base import Calibratable, Cut, Refusal
from zoorank.targets.labels import members_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A batch is over in a moment, and a busy machine may double that: only a source that takes so
# many times what is allowed is not run at all. Of the others the whole pass tells.
_SURELY = 1.5

# Batches of other sizes are summed in another order; what differs by more, over the largest
# number, is no rounding. Where samples differ by little, a hundredth of that is too much.
_TOLERANCE = {"float32": 1e-3, "bf16": 3e-2}
_LEAST, _OF_DIFFERENCE = 1e-4, 1e-2
_REPEATED = 1e-5  # of the same batch a second time, on a CPU
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
    """

    feed: Feed
    cuts: tuple[Cut, ...]
    dims: Mapping[str, int]
    refused: Mapping[str, str]
    notes: tuple[str, ...]
    seconds: float = 0.0


def calibrate(feed: Feed) -> None:
    """Calibrate a source that asks for it on samples of all classes.

    They are drawn by class, so that neither the names of the classes nor their order matter.
    """
    encoder = feed.encoder
    if isinstance(encoder, Calibratable) and encoder.calibrates:
        prepared = feed.prepared(_drawn(feed.target.labels, _CALIBRATED_ON))
        batch = feed.collated(prepared)
        with blamed("cannot be calibrated"):
            encoder.calibrate(batch)


def tried(feed: Feed, wanted: Sequence[str]) -> Trial:
    """Encode two samples together, again, and each alone.

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
    pair = feed.prepared(_two(feed.target.n_samples))
    size = feed.encoder.facts.batch_size or 2
    batch = feed.collated([*pair, *[pair[-1]] * (size - 2)][: max(size, 1)])
    found = feed.cuts(batch, wanted)
    refused = {each.name: each.reason for each in found if isinstance(each, Refusal)}
    cuts = tuple(each for each in found if isinstance(each, Cut))
    if not cuts:
        _refuse_all(refused)
    if size == 1:
        return _one_by_one(feed, pair, cuts, refused)
    together = encoded_pair(feed, pair, cuts)
    dims = {name: array.shape[1] for name, array in together.items()}
    notes = []
    began = time.perf_counter()
    again = encoded_pair(feed, pair, cuts)
    seconds = time.perf_counter() - began
    if _repeats_differ(together, again, feed):
        notes.append(RANDOM)
    alone, least = _alone(feed, pair, cuts)
    if alone is None:
        notes.append(NEEDS_TWO)
    elif not notes and differ(together, alone, feed):
        swapped = {name: array[::-1] for name, array in alone.items()}
        if not differ(together, swapped, feed):
            raise SourceError("it mixes up the samples of a batch: two come out in turned order")
        notes.append(MIXED)
    return Trial(replace(feed, least=least), cuts, dims, refused, tuple(notes), seconds)


def costly(feed: Feed, cuts: Sequence[Cut], filters: Filters, batch_size: int) -> dict[str, str]:
    """Why cuts need not be run: too large, or, by a batch, surely too slow.

    Parameters
    ----------
    feed : Feed
        Whose source has just run, so that nothing has to warm up.
    cuts : sequence of Cut
    filters : Filters
    batch_size : int

    Returns
    -------
    dict of str to str
        By name of the cut.
    """
    reasons = {cut.name: filters.cost_reason(cut.parameters_kept, None) for cut in cuts}
    left = [cut for cut in cuts if not reasons[cut.name]]
    if left and filters.milliseconds is not None:
        spent = _milliseconds(feed, left, batch_size)
        deepest = left[-1].flops_share or 1.0
        for cut in left:
            own = spent * cut.flops_share / deepest
            if own > _SURELY * filters.milliseconds:
                reasons[cut.name] = filters.cost_reason(0, own)
    return {name: reason for name, reason in reasons.items() if reason}


def _one_by_one(
    feed: Feed, pair: Sequence[Any], cuts: tuple[Cut, ...], refused: Mapping[str, str]
) -> Trial:
    first = encoded_pair(feed, pair[:1], cuts)
    dims = {name: array.shape[1] for name, array in first.items()}
    began = time.perf_counter()
    again = encoded_pair(feed, pair[:1], cuts)
    seconds = time.perf_counter() - began
    notes = (RANDOM,) if _repeats_differ(first, again, feed) else ()
    return Trial(feed, cuts, dims, refused, notes, seconds)


def _alone(
    feed: Feed, pair: Sequence[Any], cuts: Sequence[Cut]
) -> tuple[dict[str, NDArray[Any]] | None, int]:
    """Each of two samples encoded alone, or None, and the fewest samples at once."""
    if feed.encoder.facts.batch_size is not None:
        filled = [encoded_pair(feed, [each], cuts) for each in pair]
    else:
        try:
            filled = [encoded_pair(feed, [each], cuts) for each in pair]
        except RowsError:
            raise
        except SourceError:
            return None, 2
    return {name: np.concatenate([each[name] for each in filled]) for name in filled[0]}, 1


def _milliseconds(feed: Feed, cuts: Sequence[Cut], batch_size: int) -> float:
    """Milliseconds a sample that the network itself takes for a batch, the better of two."""
    size = min(feed.encoder.facts.batch_size or batch_size, feed.target.n_samples)
    prepared = feed.prepared(range(size))
    best = float("inf")
    for _ in range(2):
        began = time.perf_counter()
        try:
            encoded = feed.encode(prepared, cuts)
            to_host(encoded[cuts[-1].name])  # waits for the device
        except MemoryError:  # the pass will halve its batches
            return 0.0
        best = min(best, time.perf_counter() - began)
    return 1000 * best / size


def _refuse_all(refused: Mapping[str, str]) -> None:
    first, *others = (f"cut {name!r}: {reason}" for name, reason in refused.items())
    more = f"; and {len(others)} more cuts" if others else ""
    raise SourceError(f"{first}{more}")


def encoded_pair(
    feed: Feed, prepared: Sequence[Any], cuts: Sequence[Cut]
) -> dict[str, NDArray[Any]]:
    """What few samples give at once, copied to the host: a model may use its memory again."""
    encoded = feed.encode(prepared, cuts)
    return {name: np.array(to_host(array), dtype=np.float64) for name, array in encoded.items()}


def differ(one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]], feed: Feed) -> bool:
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


def _repeats_differ(
    one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]], feed: Feed
) -> bool:
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
