"""Write encodings of which earlier ones hold some rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from zoorank.encoding.plan import Held, Plan, Record
from zoorank.store.encodings import EncodingWriter

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 4096


class StoredRows:
    """Rows of several cuts, written in order into one file of the store a cut.

    Parameters
    ----------
    writers : mapping of str to EncodingWriter
        By cut.
    rows : ndarray of shape (n,)
        What is written, ascending.
    held : mapping of str to Held
        Where those rows are that are not new, by cut.
    """

    def __init__(
        self,
        writers: Mapping[str, EncodingWriter],
        rows: NDArray[np.int64],
        held: Mapping[str, Held],
    ) -> None:
        self._writers = writers
        self._mergers = {
            name: Merger(writer, rows, held.get(name)) for name, writer in writers.items()
        }

    def write(self, encoded: Mapping[str, Tensor]) -> None:
        """Append one batch of every cut."""
        for name, merger in self._mergers.items():
            merger.write(encoded[name].cpu().numpy())

    def commit(self, name: str, record: Record) -> Record:
        """Finish the file of one cut."""
        self._mergers[name].finish()
        return self._writers[name].commit(record)


@contextmanager
def stored_rows(
    plan: Plan, dims: Mapping[str, int], held: Mapping[str, Held]
) -> Iterator[StoredRows]:
    """Open a file for each cut that has a width; what is not committed in the end is not kept."""
    with ExitStack() as files:
        writers = {
            name: files.enter_context(plan.store.writer(plan.key(name), len(plan.rows), dim))
            for name, dim in dims.items()
        }
        yield StoredRows(writers, plan.rows, held)


class Merger:
    """Puts new rows and held ones in order, block by block.

    Parameters
    ----------
    writer : EncodingWriter
    rows : ndarray of shape (n,)
        What is written, ascending.
    held : Held or None
        Where those rows are that are not new.
    """

    def __init__(self, writer: EncodingWriter, rows: NDArray[np.int64], held: Held | None) -> None:
        self._writer, self._rows, self._held = writer, rows, held
        self._new = np.flatnonzero(~is_held(rows, held))
        self._at = 0
        self._taken = 0

    def write(self, block: NDArray[np.float32]) -> None:
        """Take the next new rows, and write all up to the last of them."""
        stop = int(self._new[self._taken + len(block) - 1]) + 1
        places = self._new[self._taken : self._taken + len(block)] - self._at
        self._taken += len(block)
        merged = np.empty((stop - self._at, block.shape[1]), dtype=np.float32)
        merged[places] = block
        others = np.delete(np.arange(len(merged)), places)
        if self._held is not None and len(others):
            merged[others] = self._held.take(self._rows[self._at + others])
        self._writer.append(merged)
        self._at = stop

    def finish(self) -> None:
        """Write the held rows that come after the last new one."""
        while self._held is not None and self._at < len(self._rows):
            stop = min(self._at + _BLOCK, len(self._rows))
            self._writer.append(self._held.take(self._rows[self._at : stop]))
            self._at = stop


def is_held(rows: NDArray[np.int64], held: Held | None) -> NDArray[np.bool_]:
    """Tell which of the rows need not be encoded."""
    return np.zeros(len(rows), dtype=bool) if held is None else np.isin(rows, held.rows)
