"""A database of one table that processes share, and that damage or a full disk does not end."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from zoorank.errors import StoreError

T = TypeVar("T")

_WAIT = 30.0  # seconds, for another process to end its change
_PAUSE = 0.02


class Database:
    """A file of SQLite with one table; any number of processes may use it at once.

    What was changed survives the end of the process at any moment. A file that cannot be read
    is set aside, and a new one begun.

    Parameters
    ----------
    path : Path
        It is opened when it is first asked. Where nothing may be written it can be asked.
    table : str
        The statement that makes its table.
    say : callable or None
        Told in a line when a damaged file was set aside.
    """

    def __init__(self, path: Path, table: str, say: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._table, self._say = table, say
        self._lock = threading.RLock()
        self._opened: _Opened | None = None

    def open(self) -> None:
        """Open the file, if there is one, so that it is known to be whole."""
        self.ask(lambda database: database.execute("PRAGMA schema_version"), None)

    def close(self) -> None:
        """Close the file; it is opened again when it is asked."""
        with self._lock:
            if self._opened is not None and self._opened.process == os.getpid():
                self._opened.database.close()
            self._opened = None

    def ask(self, action: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Return what an action reads; ``otherwise`` where there is no database yet."""
        return self._try(action, otherwise, writes=False)

    def change(self, action: Callable[[sqlite3.Connection], object]) -> None:
        """Do something all or not at all.

        Raises
        ------
        StoreError
            When the disk is full or the database cannot be written to.
        """

        def changed(database: sqlite3.Connection) -> None:
            with database:
                action(database)

        self._try(changed, None, writes=True)

    def _try(self, action: Callable[[sqlite3.Connection], T], otherwise: T, *, writes: bool) -> T:
        """Do something with the database, with a new one if this one is damaged."""
        with self._lock:
            try:
                return self._asked(action, otherwise, writes)
            except sqlite3.DatabaseError as error:
                self.close()
                raise StoreError(f"cannot use {self.path}: {error}") from None

    def _asked(self, action: Callable[[sqlite3.Connection], T], otherwise: T, writes: bool) -> T:
        database = self._database(writes)
        try:
            with _readable():
                return otherwise if database is None else action(database)
        except sqlite3.DatabaseError as error:
            if _is_of_the_system(error):
                raise
            self._set_aside(str(error))
        database = self._database(writes)
        return otherwise if database is None else action(database)

    def _database(self, writes: bool) -> sqlite3.Connection | None:
        """The open database; None where there is nothing to be asked."""
        if self._opened is not None and self._opened.process != os.getpid():
            _inherited.append(self._opened.database)
            self._opened = None
        if self._opened is not None and self._opened.file != _file(self.path):
            self.close()  # another process has set it aside, or somebody has removed it
        if self._opened is not None and (self._opened.writable or not writes):
            return self._opened.database
        self.close()
        if not writes and not os.path.lexists(self.path):
            return None
        try:
            database, writable = _open(self.path, self._table), True
        except sqlite3.DatabaseError as error:
            if not _is_of_the_system(error):
                self._set_aside(str(error))
                database, writable = _open(self.path, self._table), True
            elif writes or not self.path.is_file():
                raise
            else:
                # Where nothing may be written its journal cannot be looked at.
                database, writable = _connect(self.path, "mode=ro&immutable=1"), False
        self._opened = _Opened(self.path, database, writable=writable)
        return database

    def _set_aside(self, reason: str) -> None:
        """Give another name to a damaged database, unless somebody else has done so."""
        damaged = None if self._opened is None else self._opened.file
        self.close()
        with _locked(self.path.parent):
            if damaged is not None and damaged != _file(self.path):
                return
            aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
            with contextlib.suppress(FileNotFoundError):
                self.path.rename(aside)
            for suffix in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    self.path.with_name(self.path.name + suffix).rename(f"{aside}{suffix}")
        if self._say is not None:
            self._say(
                f"{self.path.name} is damaged ({reason}): what it held is found out again, "
                f"and the file is kept as {aside.name}"
            )


class _Opened:
    """A connection, the process that may use it, and the file that it is of."""

    def __init__(self, path: Path, database: sqlite3.Connection, *, writable: bool) -> None:
        self.process, self.database, self.writable = os.getpid(), database, writable
        self.file = _file(path)


# Connections that a forked process has from its parent: to close one is as wrong as to use it.
_inherited: list[sqlite3.Connection] = []


def _is_of_the_system(error: sqlite3.DatabaseError) -> bool:
    """Whether it is no fault of the database."""
    signs = ("locked", "full", "readonly", "unable to open", "disk I/O")
    return isinstance(error, sqlite3.OperationalError) and any(each in str(error) for each in signs)


def _open(path: Path, table: str) -> sqlite3.Connection:
    """Open the database, or make it.

    Raises
    ------
    sqlite3.DatabaseError
        When it holds something else, or the system does not let it.
    """
    if os.path.lexists(path) and not path.is_file():
        raise sqlite3.DatabaseError("not a file")
    database = _connect(path, "mode=rwc")
    try:
        with _readable():
            # One synchronisation with the disk for many changes; none of them is lost but by a
            # power cut, and then the last ones alone.
            _to_wal(database)
            database.execute("PRAGMA synchronous = NORMAL")
            with database:
                database.execute(table.replace("TABLE", "TABLE IF NOT EXISTS", 1))
            found = database.execute("SELECT sql FROM sqlite_master WHERE sql NOTNULL").fetchall()
        if found != [(table.encode(),)]:
            raise sqlite3.DatabaseError("it holds something else")
    except BaseException:
        database.close()
        raise
    return database


def _to_wal(database: sqlite3.Connection) -> None:
    """Have changes written ahead; SQLite refuses at once, and waits for nobody, where two do so."""
    end = time.monotonic() + _WAIT
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:  # noqa: PERF203 - waiting is what it is for
            if "locked" not in str(error) or time.monotonic() >= end:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _connect(path: Path, how: str) -> sqlite3.Connection:
    place = quote(os.fsencode(path.absolute()))
    database = sqlite3.connect(f"file:{place}?{how}", _WAIT, uri=True, check_same_thread=False)
    database.text_factory = bytes  # what is no text is not there; it is no error
    return database


def _file(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Take for damage what sqlite3 cannot say, for it quotes bytes of the file that are no text."""
    try:
        yield
    except UnicodeDecodeError:
        raise sqlite3.DatabaseError("what it says of its table is no text") from None


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
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
