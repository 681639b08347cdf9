"""What came of every source, cut and score on every target, in a database beside the encodings."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, Union
from urllib.parse import quote

from zoorank.errors import StoreError
from zoorank.store.damage import is_of_the_system, locked, moved_aside

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")
Kind = Literal["", "error", "crash", "timeout", "memory"]
Json = Union[None, bool, int, float, str, "Sequence[Json]", "Mapping[str, Json]"]
_Rows = list[tuple[Any, Any]]

_NAME = "ledger-1.sqlite"  # another number when the table changes
_TABLE = """CREATE TABLE outcomes (
  job BLOB NOT NULL, part BLOB NOT NULL, content BLOB NOT NULL, seal BLOB NOT NULL,
  PRIMARY KEY (job, part)
) WITHOUT ROWID"""
_WAIT = 30.0  # seconds, for another process to end its change
_PAUSE = 0.02


_OF_JOB = "SELECT content, seal FROM outcomes WHERE job = ?"


@dataclass(frozen=True)
class Key:
    """What an outcome is of.

    Attributes
    ----------
    source : str
        Digest of all that the source's encodings depend on but the target.
    target : str
        Fingerprint of the target, with the rows of it that were taken.
    cut : str
        Empty for an outcome of the whole source.
    score : str
        With the version of what computes it; empty for an outcome of the cut.
    """

    source: str
    target: str
    cut: str = ""
    score: str = ""


@dataclass(frozen=True)
class LedgerEntry:
    """What came of it.

    Attributes
    ----------
    value : float or None
        The score; None where there is none.
    half_width : float
        Of the score's interval.
    per_class : tuple of float
        The score of every class.
    kind : {"", "error", "crash", "timeout", "memory"}
        How it failed; empty if it did not.
    reason : str
        Why it failed, in one line.
    traceback : str
    seconds : float
        That it took.
    at : float
        When it ended, in seconds since 1970.
    facts : mapping
        More to know of the source or the cut, such as its width.
    """

    value: float | None = None
    half_width: float = 0.0
    per_class: tuple[float, ...] = ()
    kind: Kind = ""
    reason: str = ""
    traceback: str = ""
    seconds: float = 0.0
    at: float = field(default_factory=time.time)
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Ledger:
    """The outcomes of all runs that share a store; any number of processes may use it at once.

    What is recorded survives the end of the process at any moment. What was changed by
    another hand is not there; a database that cannot be read is set aside.

    Attributes
    ----------
    directory : path-like
        Of the store, which exists.
    say : callable or None
        Told in a line when a damaged database was set aside.

    Notes
    -----
    A context manager, which opens it. It can be pickled: another process opens it for itself
    when it first asks, and says nothing. In a directory that may only be read it can be asked.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, Ledger(folder) as ledger:
    ...     key = Key("source", "target", "layer4", "logme")
    ...     ledger.record({key: LedgerEntry(0.5)})
    ...     ledger.outcome(key).value, ledger.outcome(Key("other", "target"))
    (0.5, None)
    """

    directory: str | os.PathLike[str]
    say: Callable[[str], None] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def path(self) -> Path:
        """The file of the database."""
        return Path(self.directory) / _NAME

    @cached_property
    def _database(self) -> _Database:
        return _Database(self.path, self.say)

    def outcome(self, key: Key) -> LedgerEntry | None:
        """Return what is known; None where nothing is."""
        return self.outcomes(key.source, key.target).get(key)

    def outcomes(self, source: str, target: str) -> dict[Key, LedgerEntry]:
        """Return all that is known of a source on a target."""
        rows = self._database.ask(_OF_JOB, (_job(Key(source, target)),))
        return dict(_read(source, target, rows))

    def record(self, outcomes: Mapping[Key, LedgerEntry]) -> None:
        """Keep outcomes, all or none; one of the same key is replaced.

        Raises
        ------
        StoreError
            When the disk is full or the database cannot be written to.
        """
        sql = "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?)"
        rows = [_row(key, outcome) for key, outcome in outcomes.items()]

        def keep(database: sqlite3.Connection) -> None:
            database.executemany(sql, rows)
            # A damaged tree takes rows that it does not find again, asked as they will be.
            for job in {row[0] for row in rows}:
                there = set(database.execute(_OF_JOB, (job,)))
                if any(row[0] == job and row[2:] not in there for row in rows):
                    raise sqlite3.DatabaseError("it does not keep what it is given")

        self._database.change(keep)

    def close(self) -> None:
        """Close the database; it is opened again when it is asked."""
        self._database.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Ledger, (self.directory,)

    def __enter__(self) -> Self:
        """Open the database, if there is one, so that it is known to be whole."""
        self._database.ask("PRAGMA schema_version")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Database:
    """The file of SQLite behind a ledger, which damage or a full disk does not end."""

    def __init__(self, path: Path, say: Callable[[str], None] | None) -> None:
        self.path, self._say = path, say
        self._lock = threading.RLock()
        self._opened: _Opened | None = None

    def close(self) -> None:
        """Close the file; it is opened again when it is asked."""
        with self._lock:
            if self._opened is not None and self._opened.process == os.getpid():
                self._opened.database.close()
            self._opened = None

    def ask(self, sql: str, parameters: Sequence[bytes] = ()) -> _Rows:
        """Return the rows that a statement reads; none where there is no database yet."""

        def asked(database: sqlite3.Connection) -> _Rows:
            return database.execute(sql, parameters).fetchall()

        return self._try(asked, [], writes=False)

    def change(self, action: Callable[[sqlite3.Connection], object]) -> None:
        """Do something all or not at all."""

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
            if is_of_the_system(error):
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
            database, writable = _open(self.path), True
        except sqlite3.DatabaseError as error:
            if not is_of_the_system(error):
                self._set_aside(str(error))
                database, writable = _open(self.path), True
            elif writes or not self.path.is_file():
                raise
            else:
                # Where nothing may be written its journal cannot be looked at.
                database, writable = _connect(self.path, "mode=ro&immutable=1"), False
        self._opened = _Opened(os.getpid(), database, _file(self.path), writable)
        return database

    def _set_aside(self, reason: str) -> None:
        """Give another name to a damaged file, unless somebody else has done so."""
        damaged = None if self._opened is None else self._opened.file
        self.close()
        with locked(self.path.parent):
            if damaged is not None and damaged != _file(self.path):
                return
            aside = moved_aside(self.path)
        if self._say is not None:
            self._say(
                f"{self.path.name} is damaged ({reason}): what it held is found out again, "
                f"and the file is kept as {aside.name}"
            )


def _job(key: Key) -> bytes:
    return _digest(key.source, key.target)


def _part(key: Key) -> bytes:
    return _digest(key.cut, key.score)


def _digest(*parts: str) -> bytes:
    text = json.dumps(parts)  # which says where one ends, and knows names that are no Unicode
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _seal(job: bytes, part: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(job + part + content, digest_size=16).digest()


def _row(key: Key, outcome: LedgerEntry) -> tuple[bytes, bytes, bytes, bytes]:
    facts = {name: value for name, value in vars(outcome).items() if value != _PLAIN[name]}
    content = json.dumps({"cut": key.cut, "score": key.score, **facts}).encode()
    job, part = _job(key), _part(key)
    return job, part, content, _seal(job, part, content)


def _read(source: str, target: str, rows: _Rows) -> Iterator[tuple[Key, LedgerEntry]]:
    """What is as it was written; the rest is not there."""
    job = _job(Key(source, target))
    for content, seal in rows:
        # A RecursionError comes of brackets without end, the others of any other content.
        with contextlib.suppress(
            ValueError, LookupError, TypeError, AttributeError, RecursionError
        ):
            facts = json.loads(content)
            key = Key(source, target, facts.pop("cut"), facts.pop("score"))
            if _seal(job, _part(key), content) == seal:
                per_class = tuple(facts.pop("per_class", ()))
                yield key, LedgerEntry(**facts, per_class=per_class)


_PLAIN = vars(LedgerEntry(at=0.0))


class _Opened(NamedTuple):
    """A connection, the process that may use it, and the file that it is of."""

    process: int
    database: sqlite3.Connection
    file: tuple[int, int] | None
    writable: bool


# Connections that a forked process has from its parent: to close one is as wrong as to use it.
_inherited: list[sqlite3.Connection] = []


def _open(path: Path) -> sqlite3.Connection:
    """Open the database, or make it; raise where it holds something else."""
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
                database.execute(_TABLE.replace("TABLE", "TABLE IF NOT EXISTS", 1))
            found = database.execute("SELECT sql FROM sqlite_master WHERE sql NOTNULL").fetchall()
        if found != [(_TABLE.encode(),)]:
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
