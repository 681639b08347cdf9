"""How samples of a batch whose lengths differ are kept from padding each other too much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoorank.encoding.passes import BatchSize

_MOST_PADDING = 1 / 16  # of what is no padding, in a batch
# Small batches cost more than padding: parts of the largest that a batch has at least.
_LEAST_SAMPLES, _LEAST_LENGTH = 1 / 4, 1 / 8


def unlike(lengths: Sequence[int], left: int, size: BatchSize, least: int, most: int) -> int:
    """How many of a batch, the longest last, would make too much padding of the others.

    Parameters
    ----------
    lengths : sequence of int
        Of the samples of the batch, ascending.
    left : int
        Samples that are left with those of the batch.
    size : BatchSize
        What a batch may have.
    least : int
        Samples that the source must be given at once, at least.
    most : int
        Samples of a batch, of which it has some part at least.
    """

    def stays_large(rest: Sequence[int]) -> bool:
        if len(rest) < max(least, 1):
            return False
        if size.length is None:
            return len(rest) >= most * _LEAST_SAMPLES
        return len(rest) * rest[-1] >= size.length * _LEAST_LENGTH

    count, real = len(lengths), sum(lengths)
    while stays_large(lengths[: count - 1]) and (
        lengths[count - 1] * count - real > _MOST_PADDING * real
    ):
        count -= 1
        real -= lengths[count]
    if left - count == 1 and count < len(lengths):
        count += 1  # never a single one at the end
    return len(lengths) - count
