"""Whatever became of its files, a store gives what was put into it or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tests.store.damage import DAMAGES

from zoorank.errors import StoreError
from zoorank.store.encodings import EncodingStore

KEYS = [f"{i:032x}" for i in range(2)]
ENCODINGS = {
    key: np.random.default_rng(i).normal(size=(6, 4)).astype(np.float32)
    for i, key in enumerate(KEYS)
}


@pytest.fixture
def store(tmp_path: Path) -> EncodingStore:
    made = EncodingStore(tmp_path)
    for key in KEYS:
        put(made, key)
    return made


def put(store: EncodingStore, key: str) -> None:
    with store.writer(key, 6, 4) as writer:
        writer.append(ENCODINGS[key])
        writer.commit({"cut": key, "seconds": 1.5})


@pytest.mark.parametrize("seen_before", [True, False])
@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_absence(tmp_path: Path, store: EncodingStore, name: str, seen_before) -> None:
    if seen_before:  # and so verified by this process
        assert all(store.metadata(key) for key in KEYS)
    DAMAGES[name]([store.path(key) for key in KEYS])
    store = EncodingStore(tmp_path)
    damaged = [key for key in KEYS if store.metadata(key) is None]
    assert damaged
    for key in KEYS:
        if key in damaged:
            with pytest.raises(StoreError):
                store.load(key)
        else:
            assert np.array_equal(store.load(key), ENCODINGS[key])
    for key in damaged:
        if (tmp_path / f"{key}.json").is_dir():  # it is somebody else's
            with pytest.raises(StoreError, match="Is a directory"):
                put(store, key)
            continue
        put(store, key)
        assert store.metadata(key) is not None
        assert np.array_equal(store.load(key), ENCODINGS[key])


def test_what_was_opened_stays_when_it_is_replaced(store: EncodingStore) -> None:
    mapped = store.load(KEYS[0])
    assert not mapped.flags.writeable
    store.path(KEYS[1]).replace(store.path(KEYS[0]))
    assert np.array_equal(mapped, ENCODINGS[KEYS[0]])
    with pytest.raises(StoreError, match=r"was changed while it was in use; run again"):
        store.load(KEYS[0])


def test_an_array_is_read_through_once(store: EncodingStore, monkeypatch) -> None:
    read: list[int] = []
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda *args: read.append(1) or preadv(*args))
    assert store.metadata(KEYS[0])
    assert len(read) == 2  # to its end
    assert EncodingStore(store.directory).metadata(KEYS[0])
    assert np.array_equal(store.load(KEYS[0]), ENCODINGS[KEYS[0]])
    assert len(read) == 2
    store.path(KEYS[0]).touch()
    assert store.metadata(KEYS[0])
    assert len(read) == 4


def test_labels_are_those_of_the_target(store: EncodingStore) -> None:
    labels = np.array(["a", "b", "a"])
    path = store.save_labels("f" * 64, labels)
    np.save(path, labels[::-1])
    assert store.save_labels("f" * 64, labels) == path
    assert np.load(path).tolist() == ["a", "b", "a"]
