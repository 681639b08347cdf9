"""How batches become the inputs of models, some of which take one size of batch alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.sources.tokens import POSITIONS
from zoorank.transforms.base import Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class GraphFeed:
    """How the batches of a transform become the inputs of a graph.

    Attributes
    ----------
    names : mapping of str to str
        Names of the batch's inputs by those of the graph.
    batch_size : int or None
        The only one that the graph takes.
    mask : str or None
        The batch's input that tells tokens of a text from padding.
    tokens : int or None
        The only number of tokens that the graph takes; shorter batches are filled up.
    axis : int or None
        Of the channels of a value where the graph does not tell, if the user does.
    batch_first : bool or None
        Whether samples lie along the first axis of every value, where the user says so.
    """

    names: Mapping[str, str]
    batch_size: int | None = None
    mask: str | None = None
    tokens: int | None = None
    axis: int | None = None
    batch_first: bool | None = None

    def filled(self, batch: Batch) -> Batch:
        """Fill a batch of texts up to the number of tokens that the graph takes."""
        return batch if self.tokens is None else lengthened(batch, self.tokens)

    def given(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """The inputs of a batch, by their names in the graph."""
        inputs = dict(batch.inputs)
        if self.mask is not None and POSITIONS not in inputs:
            inputs[POSITIONS] = np.maximum(inputs[self.mask].cumsum(axis=1) - 1, 0)
        return {own: inputs[name] for own, name in self.names.items()}


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


def lengthened(batch: Batch, tokens: int) -> Batch:
    """Fill up a batch of texts with padding."""
    inputs = {
        name: np.pad(array, ((0, 0), (0, tokens - array.shape[1])))
        for name, array in batch.inputs.items()
    }
    return replace(batch, inputs=inputs)
