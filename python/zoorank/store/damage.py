"""What to do with a database that cannot be used."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path


def is_of_the_system(error: sqlite3.DatabaseError) -> bool:
    """Whether it is no fault of the database."""
    signs = ("locked", "full", "readonly", "unable to open", "disk I/O")
    return isinstance(error, sqlite3.OperationalError) and any(each in str(error) for each in signs)


def moved_aside(path: Path) -> Path:
    """Give another name to a damaged database, with what SQLite has written beside it."""
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    with contextlib.suppress(FileNotFoundError):
        path.rename(aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(f"{aside}{suffix}")
    return aside


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Be the only process here that sets something aside."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
