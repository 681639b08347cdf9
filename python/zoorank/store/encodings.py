"""Encodings on disk: found by what they are made of, whole or not there at all.

An encoding is ``<key>.npy`` with ``<key>.json`` beside it. Both are written under a
temporary name and renamed when complete, the JSON last: an encoding counts once it has
its JSON, so a run killed at any moment leaves nothing that looks finished. Of encodings that
are not kept, ``<key>.results.json`` holds what was found out about them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import StoreError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

# Without file locks (Windows) the leftovers of killed runs stay, and do no harm.
_CAN_LOCK = importlib.util.find_spec("fcntl") is not None

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PARTIAL = ".partial"


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

    Parameters
    ----------
    directory : path-like
        Made when it does not exist.

    Raises
    ------
    StoreError
        When it cannot be made or written to.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        with self.reported(0):
            self.directory.mkdir(parents=True, exist_ok=True)
        self._remove_leftovers()

    def path(self, key: str) -> Path:
        """Return where the array of ``key`` is, or will be."""
        return self.directory / f"{key}.npy"

    def metadata(self, key: str) -> dict[str, Any] | None:
        """Return what was recorded with a whole encoding; None where there is none."""
        try:
            found = json.loads((self.directory / f"{key}.json").read_text(encoding="utf-8"))
            whole = self.path(key).stat().st_size == found["bytes"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if whole else None

    def writer(self, key: str, n_samples: int, dim: int) -> EncodingWriter:
        """Begin an encoding of ``n_samples`` rows; nothing shows before it is committed."""
        return EncodingWriter(self, key, n_samples, dim)

    def results(self, key: str) -> dict[str, Any] | None:
        """Return what :meth:`save_results` kept under ``key``; None where there is nothing."""
        try:
            found = json.loads((self.directory / f"{key}.results.json").read_text("utf-8"))
            return {"record": dict(found["record"]), "results": dict(found["results"])}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save_results(self, key: str, found: Mapping[str, Any]) -> None:
        """Keep what was found out about an encoding without the encoding, beside what was before.

        ``found`` has a ``record``, what is to be known about the encoding, and ``results``.
        """
        earlier = self.results(key)
        results = {**(earlier["results"] if earlier else {}), **found["results"]}
        text = json.dumps(
            {"record": found["record"], "results": results}, indent=1, sort_keys=True, default=str
        )
        path = self.directory / f"{key}.results.json"
        with self.reported(len(text)), Partial(path) as partial:
            partial.stream.write(text.encode())
            partial.publish()

    def save_labels(self, fingerprint: str, labels: NDArray[Any]) -> Path:
        """Keep the labels of a target beside its encodings, once."""
        path = self.directory / f"labels-{fingerprint[:32]}.npy"
        if not path.is_file():
            with self.reported(labels.nbytes), Partial(path) as partial:
                np.save(partial.stream, labels, allow_pickle=False)
                partial.publish()
        return path

    def _remove_leftovers(self) -> None:
        if not _CAN_LOCK:
            return
        import fcntl

        for path in self.directory.glob(f".*{_PARTIAL}"):
            with contextlib.suppress(OSError), path.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()

    @contextlib.contextmanager
    def reported(self, needed: int) -> Iterator[None]:
        """Turn what the system says about the disk into a StoreError."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise StoreError(
                    f"no space left in {self.directory}: {needed:,} bytes are needed "
                    f"({error.strerror}); nothing was left half-written"
                ) from None
            raise StoreError(f"cannot write to {self.directory}: {error.strerror}") from None


class EncodingWriter:
    """Writes one encoding block by block, as float32; a context that discards on failure.

    Space for all of it is reserved at the start, so that a full disk shows before the
    hours of work and not after them.
    """

    def __init__(self, store: EncodingStore, key: str, n_samples: int, dim: int) -> None:
        self.store, self.key, self.shape = store, key, (n_samples, dim)
        self.rows = 0
        header = {"descr": "<f4", "fortran_order": False, "shape": self.shape}
        with self._reported():
            self._partial = Partial(store.path(key))
            try:
                np.lib.format.write_array_header_1_0(self._partial.stream, header)
                self._partial.stream.flush()
                self._start = self._partial.stream.tell()
                self._bytes = self._start + 4 * n_samples * dim
                _reserve(self._partial.stream, self._bytes)
            except BaseException:
                self._partial.discard()
                raise

    def write(self, places: NDArray[np.int64], block: NDArray[np.float32]) -> None:
        """Put rows in their places, in any order."""
        data = np.ascontiguousarray(block, dtype="<f4")
        row, file = 4 * self.shape[1], self._partial.stream.fileno()
        ends = np.flatnonzero(np.diff(places) != 1) + 1
        with self._reported():
            for part, where in zip(np.split(data, ends), np.split(places, ends), strict=True):
                if len(where):
                    _write_all(file, part, self._start + row * int(where[0]))
        self.rows += len(block)

    def commit(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Make the encoding appear, with what is to be known about it."""
        if self.rows != self.shape[0]:
            raise ValueError(f"{self.rows} of {self.shape[0]} rows were written")
        record = {
            **metadata,
            "n_samples": self.shape[0],
            "dim": self.shape[1],
            "bytes": self._bytes,
            "sha256": self._sha256(),
        }
        text = json.dumps(record, indent=1, sort_keys=True, default=str)
        with self._reported(), Partial(self.store.directory / f"{self.key}.json") as partial:
            partial.stream.write(text.encode())
            self._partial.publish()
            partial.publish()
        return record

    def _sha256(self) -> str:
        digest = hashlib.sha256()
        with self._partial.temporary.open("rb") as stream:
            stream.seek(self._start)
            while block := stream.read(2**20):
                digest.update(block)
        return digest.hexdigest()

    def _reported(self) -> contextlib.AbstractContextManager[None]:
        return self.store.reported(4 * self.shape[0] * self.shape[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._partial.discard()


class Partial:
    """A file under a temporary name, which its publication replaces by ``path``.

    A context that discards what was not published. The file is locked for as long as
    its owner lives, so that whoever can take the lock may remove it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        while True:
            name = f".{path.name}.{secrets.token_hex(8)}{_PARTIAL}"
            self.temporary = path.with_name(name)
            self.stream = self.temporary.open("xb")
            if not _CAN_LOCK or self._lock():
                break
            self.stream.close()

    def _lock(self) -> bool:
        import fcntl

        fcntl.flock(self.stream, fcntl.LOCK_EX)
        # Somebody may have taken it for a leftover between its creation and its lock.
        return self.temporary.exists()

    def publish(self) -> None:
        """Let the file appear, once it is on the disk."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.temporary.replace(self.path)
        self.stream.close()
        with contextlib.suppress(OSError):  # not every file system can open a directory
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        """Remove the file unless it was published."""
        if self.stream.closed:
            return
        self.temporary.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the disk may be full for what is still buffered
            self.stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


def _write_all(file: int, data: NDArray[np.float32], offset: int) -> None:
    rest = data.reshape(-1).view(np.uint8).data
    while len(rest):
        written = os.pwrite(file, rest, offset)
        rest, offset = rest[written:], offset + written


def _reserve(stream: IO[bytes], size: int) -> None:
    if not hasattr(os, "posix_fallocate"):
        return
    stream.flush()
    try:
        os.posix_fallocate(stream.fileno(), 0, size)
    except OSError as error:
        if error.errno in _FULL:
            raise
        # Some file systems cannot reserve; a full disk then shows while writing.
