"""What is moved from memory to a file is what is read from it, whatever became of the file."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target
from zoorank.targets.base import Target

Y = np.arange(6) % 2


class Pairs:
    """As a data set of torch."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.images = [rng.integers(0, 256, (8 + k, 9, 3), np.uint8) for k in range(6)]

    def __len__(self) -> int:
        return 6

    def __getitem__(self, row: int):
        if row >= 6:
            raise IndexError(row)
        return Image.fromarray(self.images[row]), int(Y[row])


def table(seed: int) -> Target:
    return load_target((np.random.default_rng(seed).normal(size=(6, 4)), Y))


def texts(seed: int) -> Target:
    return load_target(([f"text {seed} of {row}" for row in range(6)], Y))


def sounds(seed: int) -> Target:
    waves = np.random.default_rng(seed).normal(size=(6, 400)).astype(np.float32)
    return load_target(([(wave[: 300 + k], 8000) for k, wave in enumerate(waves)], Y))


def images(seed: int) -> Target:
    return load_target(Pairs(seed))


TARGETS: dict[str, Callable[[int], Target]] = {
    "table": table,
    "texts": texts,
    "sounds": sounds,
    "images": images,
}


def _flip(at: int) -> Callable[[Path, Path], None]:
    def damage(file: Path, _: Path) -> None:
        content = bytearray(file.read_bytes())
        content[at] ^= 1
        file.write_bytes(content)

    return damage


def _instead(make: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    def damage(file: Path, _: Path) -> None:
        file.unlink()
        make(file)

    return damage


def _exchanged(file: Path, other: Path) -> None:
    aside = file.with_name("aside")
    file.rename(aside)
    other.rename(file)
    aside.rename(other)


def _turned(file: Path, _: Path) -> None:
    X = np.load(file)[::-1].copy()
    np.save(file, X)


DAMAGES: dict[str, Callable[[Path, Path], None]] = {
    "a bit of the last number": _flip(-1),
    "a bit of the header": _flip(20),
    "exchanged with another target's": _exchanged,
    "in another order": _turned,
    "cut off": lambda file, _: os.truncate(file, file.stat().st_size - 4),
    "empty": lambda file, _: file.write_bytes(b"") and None,
    "longer": lambda file, _: np.save(file, np.append(np.load(file), np.load(file)[-1:], axis=0)),
    "another type": lambda file, _: np.save(file, np.load(file).astype(np.float16)),
    "pickled": lambda file, _: np.save(file, np.load(file).astype(object), allow_pickle=True),
    "a link to nowhere": _instead(lambda file: file.symlink_to("nowhere")),
    "a FIFO": _instead(os.mkfifo),
    "gone": _instead(lambda file: None),
}


def samples(target: Target) -> list[Any]:
    taken = target.take(range(6))
    return [each[0] if isinstance(each, tuple) else each for each in taken]


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("kind", TARGETS)
def test_a_damaged_file_is_written_again(tmp_path: Path, kind: str, name: str) -> None:
    target, other = TARGETS[kind](1), TARGETS[kind](2)
    for each in (target, other):
        each.spilled(tmp_path)
    DAMAGES[name](*(tmp_path / f"{each.fingerprint}.npy" for each in (target, other)))
    for each in (target, other):
        read = pickle.loads(pickle.dumps(each.spilled(tmp_path)))
        assert all(map(np.array_equal, samples(read), samples(each)))
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("kind", TARGETS)
def test_a_whole_file_stays(tmp_path: Path, kind: str) -> None:
    TARGETS[kind](1).spilled(tmp_path)
    (file,) = tmp_path.iterdir()
    first = file.stat().st_mtime_ns, file.stat().st_ino
    TARGETS[kind](1).spilled(tmp_path)
    assert list(tmp_path.iterdir()) == [file]
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == first


@pytest.mark.parametrize("kind", TARGETS)
def test_a_file_that_changes_while_it_is_in_use_is_noticed(tmp_path: Path, kind: str) -> None:
    spilled = TARGETS[kind](1).spilled(tmp_path)
    (file,) = tmp_path.iterdir()
    assert spilled.changed() is None
    status = file.stat()
    _flip(-1)(file, file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert spilled.changed() == pickle.loads(pickle.dumps(spilled)).changed() == str(file)


def test_what_a_killed_run_was_writing_goes(tmp_path: Path, monkeypatch) -> None:
    class Killed(BaseException):
        pass

    def pieces(_: object) -> Iterator[np.ndarray]:
        yield np.zeros((1, 8, 9, 3), np.uint8)
        raise Killed

    target = images(1)
    monkeypatch.setattr("zoorank.targets.items.Items.blocks", pieces)
    monkeypatch.setattr("zoorank.partial.Partial.discard", lambda self: self.stream.close())
    with pytest.raises(Killed):
        target.spilled(tmp_path)
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".partial")
    EncodingStore(tmp_path)
    assert list(tmp_path.iterdir()) == []
