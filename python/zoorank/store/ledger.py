"""What came of every source, cut and score on every target, in a database beside the encodings."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union

from zoorank.store.database import Database

if TYPE_CHECKING:
    from typing_extensions import Self

Kind = Literal["", "error", "crash", "timeout", "memory"]
Json = Union[None, bool, int, float, str, "Sequence[Json]", "Mapping[str, Json]"]
_Rows = list[tuple[Any, Any]]

_NAME = "ledger-1.sqlite"  # another number when the table changes
_TABLE = """CREATE TABLE outcomes (
  job BLOB NOT NULL, part BLOB NOT NULL, content BLOB NOT NULL, seal BLOB NOT NULL,
  PRIMARY KEY (job, part)
) WITHOUT ROWID"""


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
    versions : mapping of str to str
        Of the packages that had a part in it.
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
    versions: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Json] = field(default_factory=dict)


class Ledger:
    """The outcomes of all runs that share a store; any number of processes may use it at once.

    What is recorded survives the end of the process at any moment. What was changed by
    another hand is not there; a database that cannot be read is set aside.

    Parameters
    ----------
    directory : path-like
        Of the store, which exists.
    say : callable or None
        Told in a line when a damaged database was set aside.

    Notes
    -----
    A context manager. It is opened when it is first asked, and can be pickled: another
    process opens it for itself, and says nothing. In a directory that may only be read it can
    be asked.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, Ledger(folder) as ledger:
    ...     key = Key("source", "target", "layer4", "logme")
    ...     ledger.record({key: LedgerEntry(0.5)})
    ...     ledger.outcome(key).value, ledger.outcome(Key("other", "target"))
    (0.5, None)
    """

    def __init__(
        self, directory: str | os.PathLike[str], say: Callable[[str], None] | None = None
    ) -> None:
        self.path = Path(directory) / _NAME
        self._database = Database(self.path, _TABLE, say)

    def outcome(self, key: Key) -> LedgerEntry | None:
        """Return what is known; None where nothing is."""
        sql = "SELECT content, seal FROM outcomes WHERE job = ? AND part = ?"
        wanted = _job(key), _part(key)
        rows: _Rows = self._database.ask(
            lambda database: database.execute(sql, wanted).fetchall(), []
        )
        return dict(_read(key.source, key.target, rows)).get(key)

    def outcomes(self, source: str, target: str) -> dict[Key, LedgerEntry]:
        """Return all that is known of a source on a target."""
        job = _job(Key(source, target))
        sql = "SELECT content, seal FROM outcomes WHERE job = ?"
        rows: _Rows = self._database.ask(
            lambda database: database.execute(sql, (job,)).fetchall(), []
        )
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
            # A damaged tree takes rows that it does not find again.
            asked = "SELECT seal FROM outcomes WHERE job = ? AND part = ?"
            for job, part, _, seal in rows:
                if database.execute(asked, (job, part)).fetchone() != (seal,):
                    raise sqlite3.DatabaseError("it does not keep what it is given")

        self._database.change(keep)

    def forget(self, source: str, target: str) -> None:
        """Remove all that is known of a source on a target."""
        job = _job(Key(source, target))
        self._database.change(
            lambda database: database.execute("DELETE FROM outcomes WHERE job = ?", (job,))
        )

    def open(self) -> None:
        """Open the database, if there is one, so that it is known to be whole."""
        self._database.open()

    def close(self) -> None:
        """Close the database; it is opened again when it is asked."""
        self._database.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Ledger, (self.path.parent,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
