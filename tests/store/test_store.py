"""An encoding is in the store whole or not at all, whatever happens to its writer."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from zoorank.errors import StoreError
from zoorank.store.encodings import EncodingStore, key_of, store_directory

X = np.arange(24, dtype=np.float32).reshape(6, 4)


@pytest.fixture
def store(tmp_path: Path) -> EncodingStore:
    return EncodingStore(tmp_path / "made" / "on the way")


def _put(store: EncodingStore, key: str = "k", X: np.ndarray = X) -> None:
    with store.writer(key, *X.shape) as writer:
        writer.append(X[:4])
        writer.append(X[4:])
        writer.commit({"cut": "c"})


def _files(store: EncodingStore) -> list[str]:
    return sorted(path.name for path in store.directory.iterdir())


def test_where_encodings_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store_directory() == tmp_path / "zoorank" / "encodings"
    assert store_directory(tmp_path / "out") == tmp_path / "out" / "encodings"
    assert store_directory(tmp_path / "out", tmp_path / "s") == tmp_path / "s"


def test_what_goes_in_comes_out(store: EncodingStore) -> None:
    assert store.metadata("k") is None
    _put(store)
    assert _files(store) == ["k.json", "k.npy"]
    assert np.array_equal(np.load(store.path("k")), X)
    record = store.metadata("k")
    assert record is not None
    assert (record["cut"], record["n_samples"], record["dim"]) == ("c", 6, 4)
    assert stat.S_IMODE(store.path("k").stat().st_mode) == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_nothing_shows_before_the_commit(store: EncodingStore) -> None:
    with store.writer("k", 6, 4) as writer:
        writer.append(X)
        assert store.metadata("k") is None
        assert not store.path("k").exists()
    assert _files(store) == []


def _put_two_rows(store: EncodingStore, then: Exception | None = None) -> None:
    with store.writer("k", 6, 4) as writer:
        writer.append(X[:2])
        if then is not None:
            raise then
        writer.commit({})


def test_an_exception_leaves_nothing(store: EncodingStore) -> None:
    with pytest.raises(RuntimeError, match="interrupted"):
        _put_two_rows(store, RuntimeError("interrupted"))
    assert _files(store) == []


def test_too_few_rows_cannot_be_committed(store: EncodingStore) -> None:
    with pytest.raises(ValueError, match="2 of 6 rows"):
        _put_two_rows(store)
    assert _files(store) == []


@pytest.mark.parametrize("damage", ["no array", "short array", "no json", "bad json", "other json"])
def test_half_an_encoding_does_not_count_and_is_replaced(store: EncodingStore, damage: str) -> None:
    _put(store)
    match damage:
        case "no array":
            store.path("k").unlink()
        case "short array":
            os.truncate(store.path("k"), 100)
        case "no json":
            (store.directory / "k.json").unlink()
        case "bad json":
            (store.directory / "k.json").write_text("{")
        case "other json":
            (store.directory / "k.json").write_text("[]")
    assert store.metadata("k") is None
    _put(store)
    assert store.metadata("k") is not None


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(store: EncodingStore) -> None:
    (store.directory / f".k.npy.zoorank-{0:016x}.partial").write_bytes(b"of a killed run")
    with store.writer("k", 6, 4) as writer:
        EncodingStore(store.directory)
        assert len(_files(store)) == 1
        writer.append(X)
        writer.commit({})
    assert _files(store) == ["k.json", "k.npy"]


def test_two_runs_at_once_do_no_harm(store: EncodingStore) -> None:
    other = EncodingStore(store.directory)
    with store.writer("k", 6, 4) as first, other.writer("k", 6, 4) as second:
        first.append(X[:3])
        second.append(X)
        second.commit({"by": "second"})
        mapped = np.load(store.path("k"), mmap_mode="r")
        first.append(X[3:])
        first.commit({"by": "first"})
    assert np.array_equal(mapped, X)
    assert np.array_equal(np.load(store.path("k")), X)
    assert _files(store) == ["k.json", "k.npy"]


@contextlib.contextmanager
def _full_disk(n_bytes: int) -> Iterator[None]:
    # The kernel refuses to let a file grow further, as it does on a full disk.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("can_reserve", [True, False])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    store: EncodingStore, monkeypatch: pytest.MonkeyPatch, can_reserve: bool
) -> None:
    if not can_reserve:
        monkeypatch.delattr(os, "posix_fallocate")
    big = np.zeros((1000, 100), np.float32)
    with _full_disk(100_000), pytest.raises(StoreError) as caught:
        _put(store, X=big)
    text = str(caught.value)
    assert text.startswith(f"no space left in {store.directory}: 400,000 bytes are needed")
    assert "\n" not in text
    assert _files(store) == []


def test_a_disk_that_fills_up_during_the_commit(
    store: EncodingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="no space left"):
        _put(store)
    assert _files(store) == []


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write to .*file"):
        EncodingStore(tmp_path / "file")
    with pytest.raises(StoreError, match=r"cannot write to .*/file/sub: Not a directory"):
        EncodingStore(tmp_path / "file" / "sub")


def test_labels_lie_beside(store: EncodingStore) -> None:
    labels = np.array(["a", "bb"])
    path = store.save_labels("f" * 64, labels)
    assert store.save_labels("f" * 64, labels) == path
    assert np.load(path, allow_pickle=False).tolist() == ["a", "bb"]


def test_key_depends_on_every_part() -> None:
    parts = {"cut": "a", "arguments": {"n": 1, "m": (1, 2)}}
    assert key_of(parts) == key_of(json.loads(json.dumps(parts)))
    assert key_of(parts) != key_of({**parts, "cut": "b"})
    assert key_of(parts) != key_of({**parts, "arguments": {"n": 2, "m": (1, 2)}})
