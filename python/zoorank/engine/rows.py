"""Rows to be read block by block from files, which may be larger than memory.

Files are read into buffers of this module's own instead of being mapped: neither
address space nor resident memory grows with the file.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import prod
from pathlib import Path
from typing import IO, Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from zoorank.engine.arrays import Matrix, MemoryRows, as_matrix, is_streamed, mapping_of

Progress = Callable[[float], object]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
AnyPath = str | os.PathLike[str]

_ROWS_READ_IN_THE_TIME_OF_ONE = 16  # in order, that is

_BLOCK_BYTES = 64 << 20  # two of them are held: one computed with, one being read

_SAFETENSORS_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bfloat16",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


class Rows(Protocol):
    """An (n, d) matrix that can be gone through in order, any number of times."""

    @property
    def shape(self) -> tuple[int, int]:
        """Samples and features."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the blocks: float32 or float64."""

    def blocks(self) -> Iterator[tuple[int, Matrix]]:
        """Yield each block with the number of its first row."""

    def take(self, indices: npt.NDArray[np.int64]) -> Matrix:
        """Copy a few rows."""


class StreamedRows:
    """Rows of files and of arrays that lie in files, one shard after the other."""

    def __init__(self, shards: Sequence[_Shard]) -> None:
        wide = {shard.shape[1] for shard in shards}
        if len(wide) > 1:
            first = shards[0]
            other = next(s for s in shards if s.shape[1] != first.shape[1])
            raise ValueError(
                f"shards must have one width: {first.name} has {first.shape[1]} features and "
                f"{other.name} has {other.shape[1]}"
            )
        self._shards = tuple(shards)
        self._begins = [0, *itertools.accumulate(shard.shape[0] for shard in shards)]
        self.shape: tuple[int, int] = (self._begins[-1], shards[0].shape[1])
        if 0 in self.shape:
            missing = "samples" if self.shape[0] == 0 else "features"
            raise ValueError(f"X has no {missing}: its shape is {self.shape}")
        computed = {_computed_in(shard) for shard in shards}
        self.dtype: np.dtype[Any] = np.dtype(np.float64 if len(computed) > 1 else computed.pop())

    def blocks(self) -> Iterator[tuple[int, Matrix]]:
        """As of :class:`Rows`; the next block is read meanwhile."""
        step = max(1, _BLOCK_BYTES // (self.shape[1] * self.dtype.itemsize))
        spans = [
            (shard, offset, min(step, shard.shape[0] - offset), begin + offset)
            for shard, begin in zip(self._shards, self._begins, strict=False)
            for offset in range(0, shard.shape[0], step)
        ]
        with ThreadPoolExecutor(1, "zoorank-read") as reader:
            ahead: Future[Matrix] | None = None
            for index, span in enumerate(spans):
                block = self._read(*span[:3]) if ahead is None else ahead.result()
                if index + 1 < len(spans):
                    ahead = reader.submit(self._read, *spans[index + 1][:3])
                yield span[3], block
                del block  # before the one after next is read

    def take(self, indices: npt.NDArray[np.int64]) -> Matrix:
        """As of :class:`Rows`."""
        rows = np.empty((len(indices), self.shape[1]), self.dtype)
        if len(indices) > self.shape[0] // _ROWS_READ_IN_THE_TIME_OF_ONE:
            order = np.argsort(indices, kind="stable")
            for first, block in self.blocks():
                begin, end = np.searchsorted(indices, [first, first + len(block)], sorter=order)
                rows[order[begin:end]] = block[indices[order[begin:end]] - first]
            return rows
        owner = np.searchsorted(self._begins, indices, side="right") - 1
        for at in np.lexsort((indices, owner)):
            shard = self._shards[owner[at]]
            rows[at] = self._read(shard, int(indices[at] - self._begins[owner[at]]), 1)[0]
        return rows

    def load(self) -> Matrix:
        """Read everything into one array."""
        matrix = np.empty(self.shape, self.dtype)
        for first, block in self.blocks():
            matrix[first : first + len(block)] = block
        return matrix

    def _read(self, shard: _Shard, first: int, count: int) -> Matrix:
        raw = shard.read(first, count)
        if raw.dtype == np.uint16 and shard.dtype == "bfloat16":
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        return as_matrix(raw, shard.name).astype(self.dtype, copy=False)


class _Shard(Protocol):
    name: str
    shape: tuple[int, int]
    dtype: str

    def read(self, first: int, count: int) -> npt.NDArray[Any]: ...


class _FileShard:
    """Consecutive rows somewhere in a file."""

    def __init__(self, path: Path, offset: int, shape: tuple[int, int], dtype: str) -> None:
        self.name, self.shape, self.dtype = str(path), shape, dtype
        self._path = path
        self._offset = offset
        self._stored = np.dtype(np.uint16 if dtype == "bfloat16" else dtype)
        held = path.stat().st_size
        needed = offset + prod(shape) * self._stored.itemsize
        if held < needed:
            raise ValueError(f"{path} is cut short: {held} bytes of {needed}")

    def read(self, first: int, count: int) -> npt.NDArray[Any]:
        array = np.empty((count, self.shape[1]), self._stored)
        view = array.reshape(-1).view(np.uint8).data
        at = self._offset + first * self.shape[1] * self._stored.itemsize
        done = 0
        with self._path.open("rb", buffering=0) as file:
            file.seek(at)
            while done < len(view):
                got = file.readinto(view[done:])
                if not got:
                    raise ValueError(f"{self.name} ends at byte {at + done}")
                done += got
        return array


class _ArrayShard:
    """Rows of an array, which may be a view of a mapped file."""

    def __init__(self, array: npt.NDArray[Any], name: str) -> None:
        if array.ndim != 2:
            raise ValueError(f"{name} must have 2 dimensions, got shape {array.shape}")
        self.name, self.shape = name, (int(array.shape[0]), int(array.shape[1]))
        self.dtype = array.dtype.str
        self._array = array

    def read(self, first: int, count: int) -> npt.NDArray[Any]:
        return np.array(self._array[first : first + count])


def _computed_in(shard: _Shard) -> np.dtype[Any]:
    if shard.dtype == "bfloat16":
        return np.dtype(np.float32)
    return as_matrix(np.zeros((1, 1), shard.dtype), shard.name).dtype


def open_rows(X: Any) -> MemoryRows | StreamedRows:
    """Rows of whatever a user brings; those of files and of mapped arrays stay where they are.

    Parameters
    ----------
    X : array_like, path, or list of paths and arrays
        Files are ``.npy``, or ``.safetensors`` with one matrix in it; a list holds shards, one
        after the other.

    Raises
    ------
    TypeError, ValueError
        As :func:`zoorank.engine.arrays.as_matrix`; for a file of another kind, in Fortran order
        or cut short, or shards of different widths.
    FileNotFoundError
        For a file that is not there.
    """
    if not is_streamed(X):
        return MemoryRows(as_matrix(X))
    parts = X if isinstance(X, (list, tuple)) else [X]
    shards: list[_Shard] = []
    for i, part in enumerate(parts):
        if isinstance(part, (str, os.PathLike)):
            shards.append(_open_file(Path(part)))
        else:
            name = "X" if part is X else f"X[{i}]"
            shards.append(_mapped_shard(part) or _ArrayShard(part, name))
    return StreamedRows(shards)


def _mapped_shard(array: npt.NDArray[Any]) -> _Shard | None:
    root = mapping_of(array) if isinstance(array, np.memmap) else None
    if root is None or array.ndim != 2 or not array.flags.c_contiguous:
        return None
    if root.flags.writeable:
        root.flush()
    offset = root.offset + array.ctypes.data - root.ctypes.data
    shape = (int(array.shape[0]), int(array.shape[1]))
    return _FileShard(Path(cast("str", root.filename)), offset, shape, array.dtype.str)


def _open_file(path: Path) -> _Shard:
    with path.open("rb") as file:
        if path.suffix == ".safetensors":
            return _safetensors_shard(path, file)
        magic = file.read(6)
        file.seek(0)
        if magic == b"\x93NUMPY":
            return _npy_shard(path, file)
    raise ValueError(f"{path} is neither a .npy nor a .safetensors file")


def _npy_shard(path: Path, file: IO[bytes]) -> _Shard:
    version = np.lib.format.read_magic(file)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran_order, dtype = read_header(file)
    if len(shape) != 2:
        raise ValueError(f"{path} must have 2 dimensions, its shape is {shape}")
    if fortran_order and 1 not in shape:
        raise ValueError(f"{path} is in Fortran order; save numpy.ascontiguousarray(X)")
    if dtype.hasobject:
        raise TypeError(f"{path} holds Python objects; use float32 or float64")
    return _FileShard(path, file.tell(), (int(shape[0]), int(shape[1])), dtype.str)


def _safetensors_shard(path: Path, file: IO[bytes]) -> _Shard:
    try:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError("its header is longer than the file")
        header = json.loads(file.read(length))
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        matrices = [
            (entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0])
            for entry in entries.values()
            if len(entry["shape"]) == 2
        ]
    except KeyError as error:
        raise ValueError(f"{path} is not a safetensors file: an entry lacks {error}") from None
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from None
    if len(matrices) != 1:
        raise ValueError(f"{path} must hold one matrix, it holds {', '.join(entries) or 'nothing'}")
    ((dtype, shape, offset),) = matrices
    if dtype not in _SAFETENSORS_DTYPES:
        raise TypeError(f"{path} holds {dtype}; use F32 or F64")
    return _FileShard(path, offset, shape, _SAFETENSORS_DTYPES[dtype])
