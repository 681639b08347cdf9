"""Files that are there whole or not at all: written under another name, sealed, reported."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoorank.errors import StoreError

if TYPE_CHECKING:
    from typing_extensions import Self

# Without file locks (Windows) the leftovers of killed runs stay, and do no harm.
CAN_LOCK = importlib.util.find_spec("fcntl") is not None

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LARGEST_RECORD = 2**24
_SEAL = "seal"
_OURS = re.compile(r"\..+\.zoorank-[0-9a-f]{16}\.partial")


class Partial:
    """A file under a temporary name, which its publication replaces by ``path``.

    A context that discards what was not published. The file is locked for as long as
    its owner lives, so that whoever can take the lock may remove it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        while True:
            name = f".{path.name}.zoorank-{secrets.token_hex(8)}.partial"
            self.temporary = path.with_name(name)
            self.stream = self.temporary.open("x+b")
            if not CAN_LOCK or self._lock():
                break
            self.stream.close()

    def _lock(self) -> bool:
        import fcntl

        fcntl.flock(self.stream, fcntl.LOCK_EX)
        # Somebody may have taken it for a leftover between its creation and its lock.
        return self.temporary.exists()

    def publish(self, *, durable: bool = True) -> None:
        """Let the file appear, once it is on the disk if it has to be ``durable``."""
        self.stream.flush()
        if durable:
            os.fsync(self.stream.fileno())
        self.temporary.replace(self.path)
        self.stream.close()

    def discard(self) -> None:
        """Remove the file."""
        self.temporary.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the disk may be full for what is still buffered
            self.stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.stream.closed:
            self.discard()


class SizedPartial(Partial):
    """A file whose size is known before it is written, by place, and that is sealed in the end.

    Space for all of it is reserved at the start, so that a full disk shows before the
    hours of work and not after them.

    Parameters
    ----------
    path : Path
    head : bytes
        What it begins with.
    size : int
        Bytes that follow.

    Raises
    ------
    StoreError
        By every method, when the disk is full or cannot be written to.
    """

    def __init__(self, path: Path, head: bytes, size: int) -> None:
        self._head, self._size = len(head), size
        with reported(path.parent, size):
            super().__init__(path)
            try:
                self._reserve()
                self._write(memoryview(head), 0)
            except BaseException:
                self.discard()
                raise

    def _reserve(self) -> None:
        if not hasattr(os, "posix_fallocate"):
            return
        try:
            os.posix_fallocate(self.stream.fileno(), 0, self._head + self._size)
        except OSError as error:
            if error.errno in FULL:
                raise
            # Some file systems cannot reserve; a full disk then shows while writing.

    def write_at(self, parts: Iterable[tuple[int, memoryview]]) -> None:
        """Write all of some bytes at their places behind the head."""
        with reported(self.path.parent, self._size):
            for place, data in parts:
                self._write(data, self._head + place)

    def _write(self, data: memoryview, offset: int) -> None:
        while data:
            written = os.pwrite(self.stream.fileno(), data, offset)
            data, offset = data[written:], offset + written

    def publish_sealed(self, record: Mapping[str, Any]) -> None:
        """Let the file appear, and then, sealed, what is to be known of it."""
        with reported(self.path.parent, self._size):
            self.publish()
        write_whole(self.path.with_suffix(".json"), sealed(record).encode(), durable=False)


def write_whole(
    path: Path, content: bytes | memoryview, *, durable: bool = True, anew: bool = True
) -> None:
    """Write a file that is there whole or not at all.

    Parameters
    ----------
    path : Path
    content : bytes or memoryview
    durable : bool
        Whether it has to be on the disk before it appears.
    anew : bool
        Whether a file that holds the same already is replaced.

    Raises
    ------
    StoreError
        When the disk is full or cannot be written to.
    """
    if not anew:
        with contextlib.suppress(OSError), open_regular(path) as stream:
            if stream.read() == content:
                return
    with reported(path.parent, len(content)), Partial(path) as partial:
        partial.stream.write(content)
        partial.publish(durable=durable)


def sealed(record: Mapping[str, Any]) -> str:
    """Write a record as JSON that tells later whether anything in it was changed."""
    plain = json.loads(json.dumps(record, default=str))
    return json.dumps({**plain, _SEAL: _seal_of(plain)}, sort_keys=True)


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Read a record; None where there is none, or not as it was written."""
    try:
        with open_regular(path) as stream:
            text = stream.read(_LARGEST_RECORD + 1)
        if len(text) > _LARGEST_RECORD:
            return None
        found = json.loads(text)
        seal = found.pop(_SEAL)
        return found if seal == _seal_of(found) else None
    # A RecursionError comes of brackets without end, the others of any other content.
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _seal_of(content: Mapping[str, Any]) -> str:
    """Digest of a record, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def open_sealed(path: Path) -> Iterator[tuple[Any, dict[str, Any] | None]]:
    """Open a file for reading, with the record that was published with it, if it is there."""
    with open_regular(path) as stream:
        yield stream, read_sealed(path.with_suffix(".json"))


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


def make_directory(path: Path) -> None:
    """Make a directory for such files, and remove what killed runs were writing there.

    Files of others and of the living stay.

    Raises
    ------
    StoreError
        When it cannot be made or written to.
    """
    with reported(path, 0):
        path.mkdir(parents=True, exist_ok=True)
        if not CAN_LOCK:
            return
        import fcntl

        for left in partials(path):
            with contextlib.suppress(OSError), open_regular(left) as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()


def partials(directory: Path) -> list[Path]:
    """Files of ours that are being written, or were when a run was killed."""
    names = (path for path in directory.iterdir() if _OURS.fullmatch(path.name))
    return [path for path in names if not path.is_symlink()]


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
