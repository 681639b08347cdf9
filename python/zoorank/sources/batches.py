"""Batches for models that take one size of batch alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from zoorank.transforms.base import Batch


def in_parts(batch: Batch, size: int | None) -> Iterator[tuple[Batch, int]]:
    """Cut a batch into batches of one size; the last sample fills up the last of them.

    Parameters
    ----------
    batch : Batch
    size : int or None
        None leaves the batch whole.

    Yields
    ------
    Batch
    int
        How many of its first rows count.

    Examples
    --------
    >>> batch = Batch({"": np.arange(3)}, 3)
    >>> [(part.only.tolist(), rows) for part, rows in in_parts(batch, 2)]
    [([0, 1], 2), ([2, 2], 1)]
    """
    if size is None or size == batch.samples:
        yield batch, batch.rows
        return
    for start in range(0, batch.samples, size):
        samples = np.minimum(np.arange(start, start + size), batch.samples - 1)
        words = None if batch.words is None else tuple(batch.words[each] for each in samples)
        inputs = {name: array[samples] for name, array in batch.inputs.items()}
        real = min(size, batch.samples - start)
        yield Batch(inputs, size, words), real if words is None else sum(map(len, words[:real]))
