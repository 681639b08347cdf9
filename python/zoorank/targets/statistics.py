"""Range, mean and deviation of the numbers of samples, which are read block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Gives the blocks from the first on, each time that it is called.
Blocks = Callable[[], "Iterator[NDArray[Any]]"]


class Statistics(NamedTuple):
    """Of all the numbers of a target together."""

    minimum: float
    maximum: float
    mean: float
    std: float


class Columns(NamedTuple):
    """Of each column of a table, shape ``(columns,)``."""

    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def of_all(blocks: Blocks) -> Statistics | None:
    """Statistics in float64; None where there are no numbers.

    Examples
    --------
    >>> of_all(lambda: iter([np.array([[1, 2]]), np.array([[3, 6]])])).mean
    3.0
    """
    low, high, count, total = np.inf, -np.inf, 0, 0.0
    for block in _wide(blocks):
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        count += block.size
        total += float(block.sum(dtype=np.float64))
    if not count:
        return None
    mean = total / count
    squares = sum(float(np.square(block - mean).sum()) for block in _wide(blocks))
    return Statistics(low, high, mean, float(np.sqrt(squares / count)))


def of_columns(blocks: Blocks) -> Columns:
    """Statistics of each column, in float64.

    Examples
    --------
    >>> of_columns(lambda: iter([np.array([[1, 2]]), np.array([[3, 6]])])).mean
    array([2., 4.])
    """
    first = next(_wide(blocks))[0]
    low, high, total, count = first.copy(), first.copy(), np.zeros_like(first), 0
    for block in _wide(blocks):
        np.minimum(low, block.min(axis=0), out=low)
        np.maximum(high, block.max(axis=0), out=high)
        total += block.sum(axis=0)
        count += len(block)
    mean = total / count
    squares = np.zeros_like(mean)
    for block in _wide(blocks):
        squares += np.square(block - mean).sum(axis=0)
    return Columns(low, high, mean, np.sqrt(squares / count))


def _wide(blocks: Blocks) -> Iterator[NDArray[np.float64]]:
    return (block.astype(np.float64) for block in blocks())
