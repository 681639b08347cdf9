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
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zoorank.errors import SourceError, StoreError
from zoorank.store.files import (
    EncodingWriter,
    hash_from,
    open_regular,
    read_sealed,
    remove_leftovers,
    reported,
    write_whole,
)
from zoorank.store.space import Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST_HEADER = 4096

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
        with self.reported(0):
            self.directory.mkdir(parents=True, exist_ok=True)
            remove_leftovers(self.directory)

    def path(self, key: str) -> Path:
        """Return where the array of ``key`` is, or will be."""
        return self.directory / f"{key}.npy"

    def metadata(self, key: str) -> dict[str, Any] | None:
        """Return what was recorded with an encoding; None where there is none to rely on."""
        with contextlib.suppress(OSError), open_regular(self.path(key)) as stream:
            found = self._checked(key, stream)
            if found is not None:
                self._used(key)
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
        try:
            with open_regular(self.path(key)) as stream:
                found = self._checked(key, stream)
                if found is None:
                    self._refuse_removed(key)
                    raise StoreError(f"{self.path(key)} was changed while it was in use; run again")
                self._used(key)
                # Of the file that was checked, whatever has its name by now.
                mapped: NDArray[np.float32] = np.memmap(
                    stream, dtype="<f4", mode="r", offset=found.offset, shape=found.shape
                )
                return mapped
        except OSError as error:
            self._refuse_removed(key)
            raise StoreError(f"cannot read {self.path(key)}: {error.strerror}") from None

    def _refuse_removed(self, key: str) -> None:
        if self.quota is not None and not (self.directory / f"{key}.json").exists():
            raise SourceError(
                f"its encodings made room for others before they were used: the store's quota of "
                f"{self.quota:,} is too small for what runs at once"
            )

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

    def save_labels(self, fingerprint: str, labels: NDArray[Any]) -> Path:
        """Keep the labels of a target beside its encodings."""
        path = self.directory / f"labels-{fingerprint[:32]}.npy"
        content = io.BytesIO()
        np.save(content, labels, allow_pickle=False)
        with contextlib.suppress(OSError), open_regular(path) as stream:
            if stream.read() == content.getvalue():
                return path
        write_whole(path, content.getbuffer(), durable=False)
        return path

    def reported(self, needed: int) -> contextlib.AbstractContextManager[None]:
        """Turn what the system says about the disk into a StoreError."""
        return reported(self.directory, needed)

    def _checked(self, key: str, stream: io.FileIO) -> _Array | None:
        """The array of an open file, if it is the one that was committed under the key."""
        record = read_sealed(self.directory / f"{key}.json")
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
        return _Array(record, shape, offset)

    def _used(self, key: str) -> None:
        if self._space is not None:
            self._space.used(key)

    def __reduce__(self) -> tuple[Any, ...]:
        return EncodingStore, (self.directory, self.quota)


class _Array(NamedTuple):
    record: dict[str, Any]
    shape: tuple[int, int]
    offset: int


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
        hash_from(digest, stream.fileno(), offset)
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
