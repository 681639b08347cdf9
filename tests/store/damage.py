"""What can become of the files of a store: cut off, exchanged, edited, decayed, replaced."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

Files = list[Path]  # arrays of encodings, each with its JSON beside it
Damage = Callable[[Files], None]


def _record(path: Path) -> Path:
    return path.with_suffix(".json")


def _body(path: Path) -> int:
    return path.stat().st_size - np.load(path, mmap_mode="r").nbytes


def _flip(at: Callable[[Path], int]) -> Damage:
    def damage(files: Files) -> None:
        for path in files:
            content = bytearray(path.read_bytes())
            content[at(path)] ^= 1
            path.write_bytes(content)

    return damage


def _rewrite(make: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """Other numbers, in a file that is as good as the one before."""

    def damage(files: Files) -> None:
        for path in files:
            X = np.load(path)
            path.unlink()
            np.save(path, make(X))

    return damage


def _edit(change: Callable[[dict], object]) -> Damage:
    def damage(files: Files) -> None:
        for path in files:
            record = json.loads(_record(path).read_text())
            changed = change(record)
            _record(path).write_text(json.dumps(record if changed is None else changed))

    return damage


def _say(content: bytes) -> Damage:
    return lambda files: [_record(path).write_bytes(content) for path in files] and None


def _exchange(*kinds: Callable[[Path], Path]) -> Damage:
    def damage(files: Files) -> None:
        for one, other in zip(files[::2], files[1::2], strict=False):
            for kind in kinds:
                aside = kind(one).with_name("aside")
                kind(one).rename(aside)
                kind(other).rename(kind(one))
                aside.rename(kind(other))

    return damage


def _copy(*kinds: Callable[[Path], Path]) -> Damage:
    """One encoding under the name of every other."""

    def damage(files: Files) -> None:
        for other in files[1:]:
            for kind in kinds:
                kind(other).write_bytes(kind(files[0]).read_bytes())

    return damage


def _instead(make: Callable[[Path], None], kind: Callable[[Path], Path]) -> Damage:
    def damage(files: Files) -> None:
        for path in files:
            kind(path).unlink()
            make(kind(path))

    return damage


def _with_time_kept(files: Files) -> None:
    for path in files:
        status = path.stat()
        with path.open("r+b") as stream:
            stream.seek(-4, os.SEEK_END)
            stream.write(b"\0\0\x80\x3f")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _digest_too(files: Files) -> None:
    """Other numbers, and a record that names their digest."""
    import hashlib

    for path in files:
        X = np.load(path)[::-1].copy()
        np.save(path, X)
        record = json.loads(_record(path).read_text())
        record["sha256"] = hashlib.sha256(X.tobytes()).hexdigest()
        _record(path).write_text(json.dumps(record))


def _version_2(files: Files) -> None:
    for path in files:
        X = np.load(path)
        with path.open("wb") as stream:
            np.lib.format.write_array(stream, X, version=(2, 0))


def _pickled(files: Files) -> None:
    for path in files:
        np.save(path, np.load(path).astype(object), allow_pickle=True)


def _append(files: Files) -> None:
    for path in files:
        with path.open("ab") as stream:
            stream.write(b"\0" * 16)


def array(path: Path) -> Path:
    return path


record = _record


DAMAGES: dict[str, Damage] = {
    # the array
    "no array": lambda files: [path.unlink() for path in files] and None,
    "empty array": lambda files: [path.write_bytes(b"") for path in files] and None,
    "cut off": lambda files: (
        [os.truncate(path, path.stat().st_size - 4) for path in files] and None
    ),
    "cut off in the header": lambda files: [os.truncate(path, 40) for path in files] and None,
    "longer": _append,
    "a bit of the first number": _flip(_body),
    "a bit of the last number": _flip(lambda path: -1),
    "a bit of the header": _flip(lambda path: 20),
    "a bit of the magic": _flip(lambda path: 1),
    "rows in another order": _rewrite(lambda X: X[::-1].copy()),
    "zeros": _rewrite(np.zeros_like),
    "a scale": _rewrite(lambda X: X * 2),
    "float64": _rewrite(lambda X: X.astype(np.float64)),
    "big-endian": _rewrite(lambda X: X.astype(">f4")),
    "integers of its width": _rewrite(lambda X: X.view(np.int32)),
    "columns first": _rewrite(np.asfortranarray),
    "transposed": _rewrite(lambda X: X.T.copy()),
    "flat": _rewrite(np.ravel),
    "one more axis": _rewrite(lambda X: X[None]),
    "fewer rows": _rewrite(lambda X: X[:-1]),
    "another version of the format": _version_2,
    "Python objects": _pickled,
    "a pickle": _instead(lambda path: path.write_bytes(pickle.dumps([1])) and None, array),
    "a change of one number at the same time of change": _with_time_kept,
    # both
    "arrays exchanged": _exchange(array),
    "records exchanged": _exchange(record),
    "whole encodings exchanged": _exchange(array, record),
    "one encoding under every name": _copy(array, record),
    "one array under every name": _copy(array),
    "the digest too": _digest_too,
    # the record
    "no record": lambda files: [_record(path).unlink() for path in files] and None,
    "empty record": _say(b""),
    "a list": _say(b"[]"),
    "null": _say(b"null"),
    "a number": _say(b"1"),
    "half a record": lambda files: [os.truncate(_record(path), 80) for path in files] and None,
    "no text": _say(b"\xff\xfe\x00{}"),
    "brackets without end": _say(b"[" * 100_000),
    "digits without end": _say(b'{"dim": ' + b"9" * 100_000 + b"}"),
    "an empty object": _say(b"{}"),
    "a width": _edit(lambda record: record.update(dim=record["dim"] - 1)),
    "a width as text": _edit(lambda record: record.update(dim=str(record["dim"]))),
    "a width as a list": _edit(lambda record: record.update(dim=[record["dim"]])),
    "rows as a fraction": _edit(lambda record: record.update(n_samples=record["n_samples"] + 0.5)),
    "more rows than there can be": _edit(lambda record: record.update(n_samples=2**70)),
    "true for a size": _edit(lambda record: record.update(bytes=True)),
    "no digest": _edit(lambda record: record.pop("sha256") and None),
    "no seal": _edit(lambda record: record.pop("seal") and None),
    "a seal of another type": _edit(lambda record: record.update(seal=1)),
    "another cut": _edit(lambda record: record.update(cut="other")),
    "seconds": _edit(lambda record: record.update(seconds=-1)),
    "in a list": _edit(lambda record: [record]),
    # what is no file
    "a directory for a record": _instead(Path.mkdir, record),
    "a pipe for an array": _instead(os.mkfifo, array),
    "a pipe for a record": _instead(os.mkfifo, record),
    "a loop of links": _instead(lambda path: path.symlink_to(path.name), array),
    "a link to nowhere": _instead(lambda path: path.symlink_to("nowhere"), record),
    "a device": _instead(lambda path: path.symlink_to("/dev/zero"), array),
    "an endless record": _instead(lambda path: path.symlink_to("/dev/zero"), record),
}
