"""Some rows of a target are encoded as they are with all others, and none of them twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.encoding.test_encode import after_trial

from zoorank.encoding.encode import encode_source
from zoorank.errors import SourceError
from zoorank.store.encodings import EncodingStore
from zoorank.targets.base import Target

ALL = ("1", "3", "penultimate")
FEW = np.array([0, 7, 8, 30, 41, 59])
MORE = np.union1d(FEW, np.arange(1, 58, 4))


@pytest.fixture
def store(tmp_path: Path) -> EncodingStore:
    return EncodingStore(tmp_path / "store")


@pytest.fixture
def whole(make_spec, table: Target, tmp_path: Path) -> dict[str, np.ndarray]:
    other = EncodingStore(tmp_path / "whole")
    encoded = encode_source(make_spec("TinyMLP"), table, cuts=ALL, store=other)
    return {each.record.cut: np.array(each.load()) for each in encoded.encodings}


def encode(spec, target, store, told=None, **settings):
    return encode_source(
        spec,
        target,
        store=store,
        batch_size=7,
        on_batch=None if told is None else lambda *done: told.append(done),
        **settings,
    ).encodings


def test_a_subset_is_those_rows_of_the_whole(make_spec, table, store, whole) -> None:
    told: list[tuple[int, int]] = []
    for each in encode(make_spec("TinyMLP"), table, store, told, cuts=ALL, rows=FEW):
        assert not each.reused
        np.testing.assert_allclose(each.load(), whole[each.record.cut][FEW], atol=1e-6)
    assert told == [(6, 6)]


def test_a_subset_grows_by_its_new_rows_alone(make_spec, table, store, whole) -> None:
    spec, told = make_spec("TinyMLP"), []
    encode(spec, table, store, told, cuts=ALL, rows=FEW)
    encode(spec, table, store, told, cuts=ALL, rows=MORE, earlier=FEW)
    found = encode(spec, table, store, told, cuts=ALL, earlier=MORE)
    assert [total for done, total in told if done == total] == [6, len(MORE) - 6, 60 - len(MORE)]
    for each in found:
        np.testing.assert_allclose(each.load(), whole[each.record.cut], atol=1e-6)
        assert not each.reused
    again = encode(spec, table, store, told, cuts=ALL)
    assert [each.path for each in again] == [each.path for each in found]
    assert all(each.reused for each in again)


def test_seconds_of_a_grown_subset_are_those_of_all_its_rows(make_spec, table, store) -> None:
    spec = make_spec("TinyMLP")
    (few,) = encode(spec, table, store, rows=FEW)
    (more,) = encode(spec, table, store, rows=MORE, earlier=FEW)
    assert more.record.seconds > few.record.seconds


def test_rows_of_a_whole_encoding_are_not_run_again(
    make_spec, table, store, whole, monkeypatch
) -> None:
    spec = make_spec("TinyMLP")
    encode(spec, table, store, cuts=ALL)
    monkeypatch.setattr(type(spec), "open", None)  # not even loaded
    for each in encode(spec, table, store, cuts=ALL, rows=FEW):
        assert each.reused
        np.testing.assert_allclose(each.load(), whole[each.record.cut][FEW], atol=1e-6)


def test_a_cut_that_joins_later_starts_anew(make_spec, table, store, whole) -> None:
    spec, told = make_spec("TinyMLP"), []
    encode(spec, table, store, cuts=["1"], rows=FEW)
    found = encode(spec, table, store, told, cuts=["1", "3"], rows=MORE, earlier=FEW)
    assert told[-1] == (len(MORE), len(MORE))
    for each in found:
        np.testing.assert_allclose(each.load(), whole[each.record.cut][MORE], atol=1e-6)


def test_rows_before_and_after_the_new_ones_are_kept(make_spec, table, store, whole) -> None:
    spec = make_spec("TinyMLP")
    outer = np.r_[0:20, 25:60]
    encode(spec, table, store, rows=outer)
    (found,) = encode(spec, table, store, earlier=outer)
    np.testing.assert_allclose(found.load(), whole["penultimate"], atol=1e-6)


def test_a_subset_that_is_stopped_leaves_nothing_and_goes_on(make_spec, table, store) -> None:
    spec = make_spec("TinyMLP")
    encode(spec, table, store, rows=FEW)
    before = sorted(store.directory.iterdir())

    def impatient(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_source(
            spec, table, store=store, batch_size=7, on_batch=impatient, rows=MORE, earlier=FEW
        )
    assert sorted(store.directory.iterdir()) == before


def test_scattered_rows_that_fail_are_named(make_spec, table, store, monkeypatch) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("kernel failed")

    after_trial(monkeypatch, broken)
    with pytest.raises(SourceError, match="failed on 6 of the rows 0 to 59: kernel failed"):
        encode(make_spec("TinyMLP"), table, store, rows=FEW)


def test_a_row_that_is_no_number_is_named_by_its_place_in_the_target(
    make_spec, table, store
) -> None:
    row = int(np.argmax(np.asarray(table.X)[:, 0]))
    limit = 1.0  # of the standardised column; the largest is above
    spec = make_spec("Bad", arguments={"value": "nan", "limit": limit})
    rows = np.unique([0, 1, row])
    with pytest.raises(SourceError, match=rf"for row {row}$"):
        encode(spec, table, store, rows=rows)
