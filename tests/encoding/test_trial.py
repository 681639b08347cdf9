"""Two samples tell what a source does to a batch, and every later batch is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.encoding.numpy_source import Model, NumpySource, Rows, refuses_one

from zoorank.encoding import trial
from zoorank.encoding.encode import encode_source
from zoorank.encoding.trial import MIXED, NEEDS_TWO, RANDOM
from zoorank.errors import SourceError
from zoorank.sources.base import ModelFacts
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target


@pytest.fixture
def target():
    X = np.random.default_rng(1).normal(size=(61, 4)).astype(np.float32)
    return load_target((X, np.arange(61) % 3))


@pytest.fixture
def store(tmp_path) -> EncodingStore:
    return EncodingStore(tmp_path / "store")


def encoded(fault, target, store, cuts=("two",), **settings):
    model = Model(fault)
    found = encode_source(NumpySource(model), target, cuts=cuts, store=store, **settings)
    return found, model


def expected(target) -> np.ndarray:
    weights = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    return np.maximum(np.asarray(target.X) @ weights, 0)


def test_a_source_without_faults_has_no_notes(target, store) -> None:
    found, _ = encoded(None, target, store)
    assert found.note == ""
    assert np.allclose(found.encodings[0].load(), expected(target), atol=1e-6)


def test_numbers_drawn_at_random_are_marked(target, store) -> None:
    rng = np.random.default_rng(3)
    found, _ = encoded(lambda X, two: two + rng.normal(size=two.shape), target, store)
    assert found.note == RANDOM
    again, _ = encoded(None, target, store)
    assert again.note == RANDOM, "the note is kept with the encoding"


def test_statistics_of_a_batch_are_marked(target, store) -> None:
    found, _ = encoded(lambda X, two: two - two.mean(axis=0), target, store)
    assert found.note == MIXED


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda X, two: two[::-1], "it mixes up the samples of a batch"),
        (lambda X, two: two[:-1], "cut 'two' gives 1 rows for 2 samples"),
        (lambda X, two: np.vstack([two, two]), "cut 'two' gives 4 rows for 2 samples"),
        (lambda X, two: two.T.copy(), "cut 'two' gives 5 rows for 2 samples"),
        (lambda X, two: two[:, None], "cut 'two' gives 2 rows for 2 samples"),
    ],
)
def test_samples_that_are_mixed_up_are_refused(target, store, fault, reason) -> None:
    with pytest.raises(SourceError, match=reason):
        encoded(fault, target, store)
    assert list(store.directory.iterdir()) == []


def test_rows_that_go_missing_in_a_later_batch_are_refused(target, store) -> None:
    with pytest.raises(SourceError, match="rows 0 to 6: cut 'two' gives 6 rows for 7 samples"):
        encoded(lambda X, two: two[:6], target, store, batch_size=7)
    assert list(store.directory.iterdir()) == []


def test_a_source_that_cannot_take_one_sample_never_gets_one(target, store) -> None:
    found, model = encoded(refuses_one, target, store, batch_size=20)
    assert found.note == NEEDS_TWO
    assert min(model.sizes[3:]) > 1
    assert np.allclose(found.encodings[0].load(), expected(target), atol=1e-6)
    other = EncodingStore(store.directory / "other")
    found, model = encoded(refuses_one, target, other, batch_size=1, rows=np.array([5]))
    (alone,) = found.encodings
    assert min(model.sizes[3:]) > 1
    assert np.allclose(alone.load(), expected(target)[[5]], atol=1e-6)


def test_thousands_of_classes_are_calibrated_on_a_batch_of_some() -> None:
    names = np.random.default_rng(0).permutation(20_000)
    rows = trial._drawn(np.tile(names, 3), 64)
    assert len(rows) == len(set(names[rows % 20_000])) == 256
    assert np.array_equal(trial._drawn(np.tile(names[::-1], 3), 64), rows)
    few = trial._drawn(np.repeat([1, 0], [90, 30]), 64)
    assert (few < 90).sum() == 48
    assert len(few) == 64


@pytest.mark.parametrize(("batch_size", "sizes"), [(20, [20, 20, 19, 2]), (60, [59, 2])])
def test_no_last_batch_of_one(target, store, batch_size, sizes) -> None:
    _, model = encoded(None, target, store, batch_size=batch_size)
    passes = model.sizes[4 : 4 + len(sizes)]  # after the trial
    assert passes == sizes
    assert model.sizes[4 + len(sizes) :] == [2, 2], "pairs of the first and the last large batch"


@pytest.mark.parametrize("size", [1, 2, 8])
def test_a_fixed_batch_is_filled_up(target, store, size) -> None:
    model = Model()
    model.facts = ModelFacts("numpy", 30, 120, batch_size=size)
    found = encode_source(NumpySource(model), target, cuts=["two"], store=store)
    assert set(model.sizes) == {size}
    assert found.note == ""
    assert np.allclose(found.encodings[0].load(), expected(target), atol=1e-6)


def test_samples_of_like_length_share_a_batch(target, store) -> None:
    model = Model(transform=Rows(lengths=True))
    seen = []

    def fault(X, two):
        seen.append(np.ptp(np.abs(X[:, 0])))
        return two

    model.fault = fault
    found = encode_source(NumpySource(model), target, cuts=["two"], store=store, batch_size=8)
    assert np.allclose(found.encodings[0].load(), expected(target), atol=1e-6)
    rng = np.abs(np.asarray(target.X)[:, 0])
    in_order = np.mean([np.ptp(rng[start : start + 8]) for start in range(0, 61, 8)])
    # The first window is one batch, for nobody knows the lengths before.
    assert np.mean(seen[5:]) < 0.5 * in_order


def test_a_refused_cut_costs_no_other(target, store) -> None:
    found, _ = encoded(None, target, store, cuts=("one", "odd", "two"))
    assert [each.record.cut for each in found.encodings] == ["one", "two"]
    assert found.refused == {"odd": "its axes could be read two ways"}
    with pytest.raises(SourceError, match="cut 'odd': its axes could be read two ways"):
        encoded(None, target, store, cuts=("odd",))


def test_memory_that_runs_out_halves_the_batch(target, store) -> None:
    def hungry(X, two):
        if len(X) > 10:
            raise MemoryError
        return two

    found, _ = encoded(hungry, target, store, batch_size=40)
    assert found.note == "batch halved to 10 after out of memory"
    assert np.allclose(found.encodings[0].load(), expected(target), atol=1e-6)


@pytest.mark.parametrize(
    "error", [KeyError("x"), AttributeError("x"), StopIteration(), SystemExit(3), OSError("x")]
)
def test_any_exception_in_a_batch_is_the_sources(target, store, error) -> None:
    def fault(X, two):
        if len(X) > 2:
            raise error
        return two

    with pytest.raises(SourceError, match=f"failed on rows 0 to 31: {type(error).__name__}") as got:
        encoded(fault, target, store)
    assert got.value.__cause__ is error


def test_records_of_another_form_are_no_records(target, store) -> None:
    (first,) = encoded(None, target, store)[0].encodings
    path = first.path.with_suffix(".json")
    whole = path.read_text()
    for broken in ("[]", "null", "7", '{"bytes": 1}', whole.replace('"order": 2', '"order": "2"')):
        path.write_text(broken)
        (again,) = encoded(None, target, store)[0].encodings
        assert not again.reused
        measured = {"seconds": 0.0, "memory": None}
        assert replace(again.record, **measured) == replace(first.record, **measured)
