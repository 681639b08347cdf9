"""Byte strings one after the other in one array, in memory or mapped from a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from zoorank.messages import inert
from zoorank.partial import Partial
from zoorank.targets.opening import Stamp, regular, stamp_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 32 * 2**20  # bytes


@dataclass(frozen=True, eq=False)
class Packed(Sequence[bytes]):
    """A sequence of byte strings that pickles as a path once it is spilled.

    Attributes
    ----------
    data : ndarray of uint8
        The strings, joined.
    starts : ndarray of int64, shape (n + 1,)
        Where each begins and, last, where the last one ends.
    file : Path or None
        The ``.npy`` file that ``data`` is mapped from.
    stamp : tuple of int or None
        By which it is seen that the file has changed.

    Examples
    --------
    >>> packed = Packed.of([b"one", b"", b"three"])
    >>> len(packed), packed[2], packed.subset([2, 0])[1]
    (3, b'three', b'one')
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    file: Path | None = None
    stamp: Stamp | None = None

    @classmethod
    def of(cls, items: Iterable[bytes]) -> Packed:
        """Join byte strings."""
        held = list(items)
        starts = np.zeros(len(held) + 1, dtype=np.int64)
        np.cumsum([len(item) for item in held], out=starts[1:])
        return cls(np.frombuffer(b"".join(held), dtype=np.uint8), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, row: int) -> bytes: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[bytes]: ...
    def __getitem__(self, row: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        row %= len(self)
        return self.data[self.starts[row] : self.starts[row + 1]].tobytes()

    def __getstate__(self) -> dict[str, Any]:
        data = None if self.file is not None else np.asarray(self.data)
        return {**self.__dict__, "data": data}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if state["file"] is not None:
            state = {**state, "data": np.load(state["file"], mmap_mode="r", allow_pickle=False)}
        self.__dict__.update(state)

    def subset(self, rows: Iterable[int]) -> Packed:
        """A copy of some strings."""
        return Packed.of(self[int(row)] for row in rows)

    def spilled(self, path: Path) -> Packed:
        """The same, mapped from ``path.npy``, which is written once."""
        if self.file is not None or not self.data.size:
            return self
        return _mapped(spill(self.data, path), self.starts)

    def changed(self) -> str | None:
        """Name of the file that ``data`` is mapped from, if it is not any more as it was."""
        same = self.file is None or stamp_of(self.file) == self.stamp
        return None if same else inert(self.file)


def spill_pieces(pieces: Callable[[], Iterable[bytes]], path: Path) -> Packed:
    """Write byte strings to ``path.npy`` one by one, so that they never lie in memory together.

    What is there already stays if it holds the same; ``pieces`` are asked for to see that.
    """
    file = path.with_name(f"{path.name}.npy")
    starts = _starts_in(file, pieces())
    if starts is None:
        file.parent.mkdir(parents=True, exist_ok=True)
        starts = [0]
        with Partial(file) as partial:
            # The header is written again once the size is known; it keeps its length.
            header = {"descr": "|u1", "fortran_order": False, "shape": (2**62,)}
            np.lib.format.write_array_header_1_0(partial.stream, header)
            begin = partial.stream.tell()
            for piece in pieces():
                partial.stream.write(piece)
                starts.append(starts[-1] + len(piece))
            partial.stream.seek(0)
            header["shape"] = (starts[-1],)
            np.lib.format.write_array_header_1_0(partial.stream, header)
            if partial.stream.tell() != begin:
                raise ValueError(f"{file}: its header changed its length")
            partial.publish(durable=False)
    return _mapped(file, np.array(starts, dtype=np.int64))


def spill(array: NDArray[Any], path: Path) -> Path:
    """Write an array to ``path.npy``, whole or not at all, unless it is there bit by bit.

    The file of an earlier run may have been cut off, exchanged or edited since.
    """
    file = path.with_name(f"{path.name}.npy")
    if not _holds(file, array):
        file.parent.mkdir(parents=True, exist_ok=True)
        with Partial(file) as partial:
            # NumPy writes to a real file by C, and does not notice where the disk is full.
            np.save(SimpleNamespace(write=partial.stream.write), array, allow_pickle=False)
            partial.publish(durable=False)
    return file


def _mapped(file: Path, starts: NDArray[np.int64]) -> Packed:
    stamp = stamp_of(file)
    return Packed(np.load(file, mmap_mode="r", allow_pickle=False), starts, file, stamp)


def _found(file: Path) -> NDArray[Any] | None:
    """The array of a file, mapped; None for whatever else is there."""
    try:
        found: Any = np.load(regular(file), mmap_mode="r", allow_pickle=False)
    except Exception:  # noqa: BLE001 - whatever NumPy makes of a file that is none of its own
        return None
    return found if isinstance(found, np.ndarray) else None


def _holds(file: Path, array: NDArray[Any]) -> bool:
    found = _found(file)
    if found is None or (found.dtype, found.shape) != (array.dtype, array.shape):
        return False
    rows = max(1, _BLOCK // max(1, array[:1].nbytes))
    return all(
        found[start : start + rows].tobytes() == array[start : start + rows].tobytes()
        for start in range(0, len(array), rows)
    )


def _starts_in(file: Path, pieces: Iterable[bytes]) -> list[int] | None:
    """Where byte strings begin in a file that holds them and nothing else; None for another."""
    found = _found(file)
    if found is None or found.dtype != np.uint8 or found.ndim != 1:
        return None
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + len(piece))
        if found[starts[-2] : starts[-1]].tobytes() != piece:
            return None
    return starts if starts[-1] == len(found) else None
