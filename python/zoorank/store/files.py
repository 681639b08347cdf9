"""Files of a store: whole or not there, sealed, and known from everybody else's."""

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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoorank.errors import StoreError

if TYPE_CHECKING:
    from typing_extensions import Self

# Without file locks (Windows) the leftovers of killed runs stay, and do no harm.
_CAN_LOCK = importlib.util.find_spec("fcntl") is not None

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LARGEST_RECORD = 2**24
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
            if not _CAN_LOCK or self._lock():
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


def remove_leftovers(directory: Path) -> None:
    """Remove what killed runs were writing; files of others and of the living stay."""
    if not _CAN_LOCK:
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
