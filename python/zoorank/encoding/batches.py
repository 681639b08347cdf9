"""Run a whole target through a network, batch by batch, within the memory there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zoorank.errors import SourceError
from zoorank.messages import bad_row, one_line
from zoorank.sources.torch.cuts import Cut
from zoorank.sources.torch.truncate import Pool, run_to_cuts
from zoorank.targets.base import Rows, Target
from zoorank.transforms.preprocess import prepare
from zoorank.transforms.specs import Preprocessing

Progress = Callable[[int, int], None]
Encoded = dict[str, Tensor]

_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


class Batches:
    """One pass over rows of a target.

    Attributes
    ----------
    seconds : float
        Spent preparing and running batches so far.
    batch_size : int
        Of the last batches, after any halving.
    note : str
        What was done about memory; empty when nothing was.
    """

    def __init__(
        self,
        model: nn.Module,
        preprocessing: Preprocessing,
        target: Target,
        rows: NDArray[np.int64],
        cuts: Sequence[Cut],
        pool: Pool,
    ) -> None:
        self._model, self._preprocessing, self._target = model, preprocessing, target
        self._rows, self._cuts, self._pool = rows, cuts, pool
        self._device = next(model.parameters(), torch.empty(0)).device
        self.seconds = 0.0
        self.batch_size = 0
        self.note = ""

    def run(self, batch_size: int, on_batch: Progress | None = None) -> Iterator[Encoded]:
        """Yield the encodings of consecutive batches, by cut, where they were computed.

        Raises
        ------
        SourceError
            For NaN or infinity in an encoding, a batch that fails, or too little memory for
            a single sample.
        """
        self.batch_size = batch_size
        start, total = 0, len(self._rows)
        while start < total:
            began = time.perf_counter()
            stop = min(start + self.batch_size, total)
            rows = self._rows[start:stop]
            encoded = self._encode(rows)
            if encoded is not None:
                self._check(encoded, rows)  # waits for the device
            self.seconds += time.perf_counter() - began
            if encoded is None:
                self._halve(len(rows))
                continue
            yield encoded
            start = stop
            if on_batch is not None:
                on_batch(start, total)

    def _encode(self, rows: NDArray[np.int64]) -> Encoded | None:
        try:
            batch = prepare(self._preprocessing, self._target, _together(rows)).to(self._device)
            return run_to_cuts(self._model, batch, self._cuts, self._pool)
        except (MemoryError, RuntimeError) as error:
            if _is_out_of_memory(error):
                return None
            raise SourceError(f"failed on {_named(rows)}: {one_line(error)}") from error
        except SourceError:
            raise
        except (ValueError, TypeError, IndexError, AssertionError) as error:
            raise SourceError(f"failed on {_named(rows)}: {one_line(error)}") from error

    def _halve(self, tried: int) -> None:
        if tried <= 1:
            raise SourceError(f"out of memory on {self._device} even with one sample at a time")
        self.batch_size = tried // 2
        self.note = f"batch halved to {self.batch_size} after out of memory"
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _check(self, encoded: Encoded, rows: NDArray[np.int64]) -> None:
        for cut in self._cuts:
            if torch.isfinite(encoded[cut.name]).all():
                continue
            if bad := bad_row(encoded[cut.name].cpu().numpy()):
                first, what = bad
                raise SourceError(f"cut {cut.name!r} gives {what} for row {rows[first]}")


def _together(rows: NDArray[np.int64]) -> Rows:
    """Rows without gaps as a range, which is read at once."""
    first, last = int(rows[0]), int(rows[-1])
    return range(first, last + 1) if last - first + 1 == len(rows) else rows


def _named(rows: NDArray[np.int64]) -> str:
    if len(rows) == 1:
        return f"row {rows[0]}"
    part = "" if isinstance(_together(rows), range) else f"{len(rows)} of the "
    return f"{part}rows {rows[0]} to {rows[-1]}"


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return any(sign in text for sign in _OUT_OF_MEMORY)
