"""Files of a store: whole or not there, sealed, and known from everybody else's; their writing."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import StoreError
from zoorank.partial import CAN_LOCK, Partial

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LARGEST_RECORD = 2**24
_BLOCK = 2**20
_SEAL = "seal"
_OURS = re.compile(r"\..+\.zoorank-[0-9a-f]{16}\.partial")


def seal_of(content: Mapping[str, Any]) -> str:
    """Digest of a record, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(record: Mapping[str, Any]) -> str:
    """Write a record as JSON that tells later whether anything in it was changed."""
    plain = json.loads(json.dumps(record, default=str))
    return json.dumps({**plain, _SEAL: seal_of(plain)}, sort_keys=True)


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Read a record; None where there is none, or not as it was written."""
    try:
        with open_regular(path) as stream:
            text = stream.read(_LARGEST_RECORD + 1)
        if len(text) > _LARGEST_RECORD:
            return None
        found = json.loads(text)
        seal = found.pop(_SEAL)
        return found if seal == seal_of(found) else None
    # A RecursionError comes of brackets without end, the others of any other content.
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def open_regular(path: Path) -> Any:
    """Open a file for reading, unbuffered; whatever else lies there is refused.

    Raises
    ------
    OSError
        Also for a directory, a device or a pipe, for which nobody waits.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a file", os.fspath(path))
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def write_whole(path: Path, content: bytes | memoryview, *, durable: bool = True) -> None:
    """Write a file that is there whole or not at all.

    Raises
    ------
    StoreError
        When the disk is full or cannot be written to.
    """
    with reported(path.parent, len(content)), Partial(path) as partial:
        partial.stream.write(content)
        partial.publish(durable=durable)


class EncodingWriter:
    """Writes one encoding block by block, as float32; a context that discards on failure.

    Space for all of it is reserved at the start, so that a full disk shows before the
    hours of work and not after them.

    Parameters
    ----------
    path : Path
        Of the array; its record is written beside it.
    n_samples, dim : int
    make_room : callable or None
        Told how many bytes are about to be taken.
    """

    def __init__(
        self,
        path: Path,
        n_samples: int,
        dim: int,
        make_room: Callable[[int], None] | None = None,
    ) -> None:
        if n_samples < 1 or dim < 1:
            raise ValueError(f"an encoding of shape ({n_samples}, {dim})")
        self.path, self.shape = path, (n_samples, dim)
        self._written = np.zeros(n_samples, dtype=bool)
        # Of the rows before this one, which came in their order; of all in the end.
        self._next, self._digest = 0, hashlib.sha256()
        header = io.BytesIO()
        facts = {"descr": "<f4", "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(header, facts)
        self._offset = header.tell()
        self._bytes = self._offset + 4 * n_samples * dim
        if make_room is not None:
            make_room(self._bytes)
        with self._reported():
            self._partial = Partial(path)
            try:
                self._file = self._partial.stream.fileno()
                reserve(self._file, self._bytes)
                write_at(self._file, header.getbuffer(), 0)
            except BaseException:
                self._partial.discard()
                raise

    def append(self, block: NDArray[np.floating[Any]]) -> None:
        """Write the rows that follow the last ones that were appended."""
        self.write(np.arange(self._next, self._next + len(block)), block)

    def write(self, rows: NDArray[np.int64], block: NDArray[np.floating[Any]]) -> None:
        """Write rows by their place, in any order, each of them once.

        Parameters
        ----------
        rows : ndarray of int64 of shape (n,)
        block : ndarray of shape (n, dim)

        Raises
        ------
        ValueError
            When the block is not of this shape, or a row does not exist or is there already.
        StoreError
            When the disk is full.
        """
        if block.shape != (len(rows), self.shape[1]):
            expected = (len(rows), self.shape[1])
            raise ValueError(f"a block of shape {block.shape}, not {expected}")
        if len(rows) == 0:
            return
        if rows.min() < 0 or rows.max() >= self.shape[0]:
            raise ValueError(f"rows {rows.min()} to {rows.max()} of {self.shape[0]}")
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        if self._written[rows].any() or (rows[1:] == rows[:-1]).any():
            raise ValueError("a row was written twice")
        data = np.ascontiguousarray(block if _ascends(order) else block[order], dtype="<f4")
        starts = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1), len(rows)]
        width = 4 * self.shape[1]
        with self._reported():
            for start, stop in pairwise(starts):
                place = self._offset + width * int(rows[start])
                write_at(self._file, data[start:stop].data.cast("B"), place)
        self._written[rows] = True
        if rows[0] == self._next and len(starts) == 2:
            self._digest.update(data.data)
            self._next = int(rows[-1]) + 1

    def commit(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Make the encoding appear, with what is to be known about it."""
        if not self._written.all():
            raise ValueError(f"{self._written.sum()} of {len(self._written)} rows were written")
        with self._reported():
            if self._next < self.shape[0]:
                hash_from(self._digest, self._file, self._offset + 4 * self.shape[1] * self._next)
            record = {
                **metadata,
                "key": self.path.stem,
                "n_samples": self.shape[0],
                "dim": self.shape[1],
                "bytes": self._bytes,
                "sha256": self._digest.hexdigest(),
            }
            with Partial(self.path.with_suffix(".json")) as partial:
                partial.stream.write(sealed(record).encode())
                self._partial.publish()
                partial.publish(durable=False)
        return record

    def _reported(self) -> contextlib.AbstractContextManager[None]:
        return reported(self.path.parent, 4 * self.shape[0] * self.shape[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._partial.discard()


def remove_leftovers(directory: Path) -> None:
    """Remove what killed runs were writing; files of others and of the living stay."""
    if not CAN_LOCK:
        return
    import fcntl

    for path in partials(directory):
        with contextlib.suppress(OSError), open_regular(path) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def partials(directory: Path) -> list[Path]:
    """Files of ours that are being written, or were when a run was killed."""
    names = (path for path in directory.iterdir() if _OURS.fullmatch(path.name))
    return [path for path in names if not path.is_symlink()]


def reserve(descriptor: int, size: int) -> None:
    """Have the disk keep room for a file, where it can."""
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in FULL:
            raise
        # Some file systems cannot reserve; a full disk then shows while writing.


def write_at(descriptor: int, data: memoryview, offset: int) -> None:
    """Write all of some bytes at a place of a file."""
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


@contextlib.contextmanager
def reported(directory: Path, needed: int) -> Iterator[None]:
    """Turn what the system says about the disk into a StoreError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StoreError(
                f"no space left in {directory}: {needed:,} bytes are needed "
                f"({error.strerror}); nothing was left half-written"
            ) from None
        raise StoreError(f"cannot write to {directory}: {error.strerror}") from None


def hash_from(digest: hashlib._Hash, file: int, offset: int) -> None:
    """Hash what a file holds from a place on."""
    buffer = memoryview(bytearray(_BLOCK))
    while count := os.preadv(file, [buffer], offset):
        digest.update(buffer[:count])
        offset += count


def _ascends(order: NDArray[np.intp]) -> bool:
    return bool((order[1:] > order[:-1]).all())
