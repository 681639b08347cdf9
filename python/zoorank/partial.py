"""A file that appears under its name once it is whole, and is known from others until then."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

# Without file locks (Windows) the leftovers of killed runs stay, and do no harm.
CAN_LOCK = importlib.util.find_spec("fcntl") is not None


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
