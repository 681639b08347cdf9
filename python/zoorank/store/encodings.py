"""Encodings on disk: found by what they are made of, whole and unchanged or not there at all.

An encoding is ``<key>.npy`` with ``<key>.json`` beside it. Both are written under a
temporary name and renamed when complete, the JSON last. The JSON names the key, the shape
and the digest of the numbers, and is sealed itself: what was cut off, exchanged, edited or
decayed since is not there. That also makes up for what a power cut takes away, so that one
synchronisation with the disk an encoding is enough.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zoorank.errors import SourceError, StoreError
from zoorank.partial import (
    SizedPartial,
    make_directory,
    open_sealed,
    reported,
    write_whole,
)
from zoorank.store.space import Space

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

_LARGEST_HEADER = 4096
_BLOCK = 2**20

# Arrays of which this process knows that they are as they were written: their digest by the
# identity of the file, which any change to it changes.
_Identity = tuple[int, int, int, int, int]
_verified: dict[_Identity, str] = {}


def store_directory(
    out: str | os.PathLike[str] | None = None, store: str | os.PathLike[str] | None = None
) -> Path:
    """Where a run keeps its encodings.

    ``store`` if given, else ``encodings`` beside the results in ``out``, else
    ``zoorank/encodings`` in the user's cache. Encodings are keyed by content, so
    several zoos and targets share a store safely.
    """
    if store is not None:
        return Path(store)
    if out is not None:
        return Path(out) / "encodings"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "zoorank" / "encodings"


def key_of(parts: Mapping[str, Any]) -> str:
    """Hash what an encoding depends on into the name of its files.

    Examples
    --------
    >>> key_of({"cut": "a", "data": "d"}) == key_of({"data": "d", "cut": "a"})
    True
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class EncodingStore:
    """A directory of encodings. Any number of runs may share it at the same time.

    It can be pickled: another process gets a store of the same directory.

    Parameters
    ----------
    directory : path-like
        Made when it does not exist.
    quota : int or None
        Bytes that encodings may take there. The encodings that were not used for longest are
        removed for new ones.

    Raises
    ------
    StoreError
        When it cannot be made or written to.
    """

    def __init__(self, directory: str | os.PathLike[str], quota: int | None = None) -> None:
        self.directory = Path(directory)
        self.quota = quota
        self._space = None if quota is None else Space(self.directory, quota)
        make_directory(self.directory)

    def path(self, key: str) -> Path:
        """Return where the array of ``key`` is, or will be."""
        return self.directory / f"{key}.npy"

    def metadata(self, key: str) -> dict[str, Any] | None:
        """Return what was recorded with an encoding; None where there is none to rely on."""
        with contextlib.suppress(OSError), self._opened(key) as found:
            if found is not None:
                return found.record
        return None

    def load(self, key: str) -> NDArray[np.float32]:
        """Map an encoding from its file, read-only.

        Returns
        -------
        ndarray of shape (n_samples, dim)
            float32

        Raises
        ------
        StoreError
            When it is not there any more, or was changed.
        SourceError
            When it has made room for others, as a small quota asks for.
        """
        path = self.path(key)
        try:
            with self._opened(key) as found:
                if found is not None:
                    # Of the file that was checked, whatever has its name by now.
                    mapped: NDArray[np.float32] = np.memmap(
                        found.stream, dtype="<f4", mode="r", offset=found.offset, shape=found.shape
                    )
                    return mapped
            reason = f"{path} was changed while it was in use; run again"
        except OSError as error:
            reason = f"cannot read {path}: {error.strerror}"
        if self.quota is not None and not path.with_suffix(".json").exists():
            raise SourceError(
                f"its encodings made room for others before they were used: the store's quota of "
                f"{self.quota:,} is too small for what runs at once"
            )
        raise StoreError(reason)

    def writer(self, key: str, n_samples: int, dim: int) -> EncodingWriter:
        """Begin an encoding of ``n_samples`` rows; nothing shows before it is committed.

        Raises
        ------
        SourceError
            When it is larger than the quota.
        StoreError
            When the disk is full or cannot be written to.
        """
        make_room = None if self._space is None else self._space.make
        return EncodingWriter(self.path(key), n_samples, dim, make_room)

    @classmethod
    def of(
        cls,
        out: str | os.PathLike[str] | None,
        store: str | os.PathLike[str] | None,
        quota: int | None,
    ) -> Self:
        """Make the store of a run that was asked for in these words."""
        return cls(store_directory(out, store), quota)

    @contextlib.contextmanager
    def writing(
        self, keys: Mapping[str, str], n_samples: int, dims: Mapping[str, int]
    ) -> Iterator[CutFiles]:
        """Begin encodings of several cuts; those not committed in the end are not kept."""
        with contextlib.ExitStack() as opened:
            writers = {
                name: opened.enter_context(self.writer(key, n_samples, dims[name]))
                for name, key in keys.items()
            }
            yield CutFiles(self, writers)

    def save_labels(self, fingerprint: str, labels: NDArray[Any]) -> Path:
        """Keep the labels of a target beside its encodings."""
        path = self.directory / f"labels-{fingerprint[:32]}.npy"
        content = io.BytesIO()
        np.save(content, labels, allow_pickle=False)
        write_whole(path, content.getbuffer(), durable=False, anew=False)
        return path

    @contextlib.contextmanager
    def _opened(self, key: str) -> Iterator[_Array | None]:
        """The array that was committed under a key, open; None for whatever else is there."""
        with open_sealed(self.path(key)) as (stream, record):
            found = _checked(key, stream, record)
            if found is not None and self._space is not None:
                self._space.used(key)
            yield found

    def __reduce__(self) -> tuple[Any, ...]:
        return EncodingStore, (self.directory, self.quota)


class EncodingWriter:
    """Writes one encoding block by block, as float32; a context that discards on failure.

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
        self._partial = SizedPartial(path, header.getvalue(), 4 * n_samples * dim)

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
        self._partial.write_at(
            (width * int(rows[start]), data[start:stop].data.cast("B"))
            for start, stop in pairwise(starts)
        )
        self._written[rows] = True
        if rows[0] == self._next and len(starts) == 2:
            self._digest.update(data.data)
            self._next = int(rows[-1]) + 1

    def commit(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Make the encoding appear, with what is to be known about it."""
        if not self._written.all():
            raise ValueError(f"{self._written.sum()} of {len(self._written)} rows were written")
        if self._next < self.shape[0]:
            place = self._offset + 4 * self.shape[1] * self._next
            with reported(self.path.parent, self._bytes - self._offset):
                _hash_from(self._digest, self._partial.stream.fileno(), place)
        record = {
            **metadata,
            "key": self.path.stem,
            "n_samples": self.shape[0],
            "dim": self.shape[1],
            "bytes": self._bytes,
            "sha256": self._digest.hexdigest(),
        }
        self._partial.publish_sealed(record)
        return record

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._partial.stream.closed:
            self._partial.discard()


@dataclass(frozen=True)
class CutFiles:
    """Encodings that are being written, by name of their cuts."""

    store: EncodingStore
    writers: Mapping[str, EncodingWriter]

    def write(self, rows: NDArray[np.int64], blocks: Mapping[str, NDArray[Any]]) -> None:
        """Write rows of every cut by their place."""
        for name, writer in self.writers.items():
            writer.write(rows, blocks[name])

    def commit(
        self, facts: Mapping[str, Mapping[str, Any]], labels: Mapping[str, NDArray[Any]]
    ) -> dict[str, str]:
        """Make them appear, with what is to be known of each, and give their digests.

        Labels are kept beside them by the fingerprint of their target.
        """
        found = {name: writer.commit(facts[name]) for name, writer in self.writers.items()}
        for fingerprint, values in labels.items():
            self.store.save_labels(fingerprint, values)
        return {name: str(record["sha256"]) for name, record in found.items()}


class _Array(NamedTuple):
    stream: io.FileIO
    record: dict[str, Any]
    shape: tuple[int, int]
    offset: int


def _checked(key: str, stream: io.FileIO, record: dict[str, Any] | None) -> _Array | None:
    """The array of an open file, if it is the one that was committed under the key."""
    if record is None or record.get("key") != key:
        return None
    try:
        shape = record["n_samples"], record["dim"]
        offset = _offset(stream, shape)
        size = offset + 4 * shape[0] * shape[1]
        whole = os.fstat(stream.fileno()).st_size == size == record["bytes"]
    except (LookupError, TypeError):
        return None
    if not whole or _digest(stream, offset) != record["sha256"]:
        return None
    return _Array(stream, record, shape, offset)


def _offset(stream: io.FileIO, shape: tuple[int, int]) -> int:
    """Where the numbers of an array of this shape begin; -1 if it is another array."""
    head = io.BytesIO(os.pread(stream.fileno(), _LARGEST_HEADER, 0))
    try:
        if np.lib.format.read_magic(head) != (1, 0):
            return -1
        found = np.lib.format.read_array_header_1_0(head)
    except Exception:  # noqa: BLE001 - whatever NumPy makes of a header that is none
        return -1
    return head.tell() if found == (shape, False, np.dtype("<f4")) else -1


def _digest(stream: io.FileIO, offset: int) -> str:
    """SHA-256 of what comes after the header, found out once a process."""
    identity = _identity(stream)
    known = _verified.get(identity)
    if known is None:
        digest = hashlib.sha256()
        _hash_from(digest, stream.fileno(), offset)
        known = digest.hexdigest()
        if identity == _identity(stream):  # nobody has written meanwhile
            _verified[identity] = known
    return known


def _identity(stream: io.FileIO) -> _Identity:
    status = os.fstat(stream.fileno())
    # The time of the last change of its content can be set; that of its state cannot.
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _hash_from(digest: hashlib._Hash, file: int, offset: int) -> None:
    """Hash what a file holds from a place on."""
    buffer = memoryview(bytearray(_BLOCK))
    while count := os.preadv(file, [buffer], offset):
        digest.update(buffer[:count])
        offset += count


def _ascends(order: NDArray[np.intp]) -> bool:
    return bool((order[1:] > order[:-1]).all())
