"""Rows are written by their place, in any order, and each of them once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoorank.errors import SourceError
from zoorank.store.encodings import EncodingStore

X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


@settings(deadline=None)
@given(st.permutations(range(50)), st.lists(st.integers(1, 20), min_size=50, max_size=50))
def test_any_order_in_any_batches(tmp_path_factory, order, sizes):
    store = EncodingStore(tmp_path_factory.mktemp("store"))
    rows = np.array(order)
    with store.writer("k", *X.shape) as writer:
        start = 0
        for size in sizes:
            batch = rows[start : start + size]
            writer.write(batch, X[batch])
            start += size
        record = writer.commit({})
    assert np.array_equal(store.load("k"), X)
    with store.writer("other", *X.shape) as writer:
        writer.append(X)
        assert writer.commit({})["sha256"] == record["sha256"]


@pytest.mark.parametrize("first", [0, 1, 49])
def test_the_digest_is_that_of_the_file_wherever_the_order_ends(tmp_path: Path, first) -> None:
    store = EncodingStore(tmp_path)
    with store.writer("k", *X.shape) as writer:
        writer.append(X[:first])
        writer.write(np.arange(first, 50)[::-1], X[first:][::-1])
        writer.commit({})
    assert store.metadata("k") is not None
    assert np.array_equal(np.load(store.path("k")), X)


@pytest.mark.parametrize(
    ("rows", "block", "message"),
    [
        ([0, 0], X[:2], "written twice"),
        ([3], X[:1], "written twice"),
        ([-1], X[:1], "rows -1 to -1 of 50"),
        ([50], X[:1], "rows 50 to 50 of 50"),
        ([1, 2], X[:3], r"shape \(3, 3\), not \(2, 3\)"),
        ([1], X[:1, :2], r"shape \(1, 2\), not \(1, 3\)"),
        ([1], X[0], r"shape \(3,\), not \(1, 3\)"),
    ],
)
def test_what_is_no_place(tmp_path: Path, rows, block, message) -> None:
    with EncodingStore(tmp_path).writer("k", *X.shape) as writer:
        writer.write(np.array([3, 2]), X[[3, 2]])
        with pytest.raises(ValueError, match=message):
            writer.write(np.array(rows), block)
        with pytest.raises(ValueError, match="2 of 50 rows were written"):
            writer.commit({})


def _put(store: EncodingStore, number: int, rows: int = 1000) -> str:
    key = f"{number:032x}"
    with store.writer(key, rows, 3) as writer:
        writer.append(np.full((rows, 3), number, np.float32))
        writer.commit({})
    return key


class TestQuota:
    ONE = 12_128  # bytes of 1000 rows and their header

    def test_the_longest_unused_go(self, tmp_path: Path) -> None:
        others = [".somebody.partial", "their.npy", f"{1:032x}.txt", f"{2:031x}.npy"]
        for name in others:
            (tmp_path / name).write_bytes(b"x" * 2 * self.ONE)
        store = EncodingStore(tmp_path, quota=4 * self.ONE)
        keys = [_put(store, number) for number in range(4)]
        assert store.metadata(keys[0]) is not None  # used last, now
        keys.append(_put(store, 4))
        kept = [store.metadata(key) is not None for key in keys]
        assert kept == [True, False, False, True, True]
        assert not store.path(keys[1]).exists()
        assert all((tmp_path / name).exists() for name in others)

    def test_what_other_runs_have_written_counts(self, tmp_path: Path) -> None:
        one, other = (EncodingStore(tmp_path, quota=4 * self.ONE) for _ in range(2))
        for number in range(300):
            _put(one, number)
            _put(other, 1000 + number)
        assert sum(path.stat().st_size for path in tmp_path.glob("*.npy")) <= 8 * self.ONE

    def test_what_is_mapped_stays_readable(self, tmp_path: Path) -> None:
        store = EncodingStore(tmp_path, quota=self.ONE)
        mapped = store.load(_put(store, 1))
        _put(store, 2)
        assert (mapped == 1).all()

    def test_what_cannot_fit_fails_alone(self, tmp_path: Path) -> None:
        store = EncodingStore(tmp_path, quota=2 * self.ONE)
        kept = _put(store, 1)
        with pytest.raises(SourceError, match=r"takes 36,128 bytes, more than the store's quota"):
            store.writer("k", 3000, 3)
        assert store.metadata(kept) is not None
        with (
            store.writer("a", 1000, 3),
            store.writer("b", 1000, 3),
            pytest.raises(SourceError, match="beside others that are being written"),
        ):
            store.writer("c", 1000, 3)
