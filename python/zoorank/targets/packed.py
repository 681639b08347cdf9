"""Byte strings one after the other in one array, in memory or mapped from a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


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

    Examples
    --------
    >>> packed = Packed.of([b"one", b"", b"three"])
    >>> len(packed), packed[2], packed.subset([2, 0])[1]
    (3, b'three', b'one')
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    file: Path | None = None

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
        return {"data": data, "starts": self.starts, "file": self.file}

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
        file = spill(self.data, path)
        return Packed(np.load(file, mmap_mode="r", allow_pickle=False), self.starts, file)


def spill_pieces(pieces: Iterable[bytes], path: Path) -> Packed:
    """Write byte strings to ``path.npy`` one by one, so that they never lie in memory together.

    A file that is there is used; then ``pieces`` are not asked for.
    """
    file, lengths = path.with_name(f"{path.name}.npy"), path.with_name(f"{path.name}.starts.npy")
    if not (file.exists() and lengths.exists()):
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
        starts = [0]
        with partial.open("wb") as stream:
            # The header is written again once the size is known; it keeps its length.
            header = {"descr": "|u1", "fortran_order": False, "shape": (2**62,)}
            np.lib.format.write_array_header_1_0(stream, header)
            begin = stream.tell()
            for piece in pieces:
                stream.write(piece)
                starts.append(starts[-1] + len(piece))
            stream.seek(0)
            header["shape"] = (starts[-1],)
            np.lib.format.write_array_header_1_0(stream, header)
            if stream.tell() != begin:
                raise ValueError(f"{partial}: its header changed its length")
        np.save(lengths, np.array(starts, dtype=np.int64))
        partial.replace(file)
    starts_of = np.load(lengths, allow_pickle=False)
    return Packed(np.load(file, mmap_mode="r", allow_pickle=False), starts_of, file)


def spill(array: NDArray[Any], path: Path) -> Path:
    """Write an array to ``path.npy`` unless it is there, whole or not at all."""
    file = path.with_name(f"{path.name}.npy")
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as stream:
                # NumPy writes to a real file by C, and does not notice where the disk is full.
                np.save(SimpleNamespace(write=stream.write), array, allow_pickle=False)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
    return file
