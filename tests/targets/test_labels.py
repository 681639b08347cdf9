"""Labels of every form become plain classes or numbers, or are refused with their row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from tests.targets.common import X, Y, refusal

from zoorank.targets import load_target
from zoorank.targets.labels import order_by_class, parse

BIG = 2**53


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (Y, Y.tolist()),
        (Y.astype(np.uint8), Y.tolist()),
        (Y.astype(float), Y.tolist()),
        (Y.astype(np.float16), Y.tolist()),
        (Y[:, None], Y.tolist()),
        (np.eye(3)[Y], Y.tolist()),
        (Y > 1, [False, False, False, False, True, True]),
        (list("aabbcc"), list("aabbcc")),
        (tuple("aabbcc"), list("aabbcc")),
        (np.array(list("aabbcc"), dtype=object), list("aabbcc")),
        (np.array(list("aabbcc"), dtype="S"), list("aabbcc")),
        ([b"a", b"a", b"b", b"b", "ü".encode(), "ü".encode()], list("aabbüü")),
        ([True, True, False, False, True, False], [True, True, False, False, True, False]),
        (np.array([1, 1, 2, 2, 3, 3], dtype=object), [1, 1, 2, 2, 3, 3]),
        ([1, 1.0, 2, 2.0, 3, 3], [1, 1, 2, 2, 3, 3]),
        (pd.Series(list("aabbcc")), list("aabbcc")),
        (pd.Series(list("aabbcc"), dtype="category"), list("aabbcc")),
        (pd.Categorical(list("aabbcc"), categories=list("cbad")), list("aabbcc")),
        (pd.Series([1, 1, 2, 2, 3, 3], dtype="Int64"), [1, 1, 2, 2, 3, 3]),
        (pd.Series(list("aabbcc"), dtype="string"), list("aabbcc")),
        (torch.tensor(Y), Y.tolist()),
        (np.ma.array(Y), Y.tolist()),
        # What would be one class if it were cast stays as many as it is.
        ([BIG, BIG + 1, BIG, BIG + 1, 0, 0], [BIG, BIG + 1, BIG, BIG + 1, 0, 0]),
        ([2**63, 2**63 + 1, 2**63, 0, 0, 0], [2**63, 2**63 + 1, 2**63, 0, 0, 0]),
        ([10**30, 10**30 + 1] * 3, [str(10**30), str(10**30 + 1)] * 3),
        (["1", "01"] * 3, ["1", "01"] * 3),
        (["a ", "a"] * 3, ["a ", "a"] * 3),
    ],
)
def test_forms_of_classes(labels, expected: list) -> None:
    target = load_target((X, labels))
    assert target.labels.tolist() == expected
    assert target.labels.dtype.kind in "iubU"
    assert target.task == "classes"


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([1, "a", 1, "a", 1, "a"], "labels are of several types: row 0 is an integer, row 1 a str"),
        ([1, True, 1, True, 0, 0], "row 0 is an integer, row 1 a boolean"),
        ([None] * 6, "the label of row 0 is missing"),
        (["a", "a", None, "b", "b", "b"], "the label of row 2 is missing"),
        ([1, 1, np.nan, 2, 2, 2], "the label of row 2 is missing"),
        (pd.Series([1, 1, None, 2, 2, 2], dtype="Int64"), "the label of row 2 is missing"),
        (pd.Series([1.0, 1, None, 2, 2, 2]), "the label of row 2 is missing"),
        (np.ma.masked_equal(Y, 1), "the label of row 2 is masked"),
        ([1.0, 2.0, np.inf, 1.0, 2.0, 2.0], "the label of row 2 is infinite"),
        ([1e19, 1.0] * 3, "label 1e+19 of row 0 is too large for an exact integer"),
        (np.array([BIG + 2.0, 1.0] * 3), "is too large for an exact integer; save labels as"),
        ([["a", "b"], ["a"]] * 3, "each sample has several labels (multi-label); one label"),
        ([{"a", "b"}, {"a"}] * 3, "each sample has several labels (multi-label)"),
        (np.eye(3)[Y] + np.eye(3)[Y[::-1]], "labels have shape (6, 3)"),
        (np.clip(np.eye(3)[Y] + np.eye(3)[Y[::-1]], 0, 1), "several labels (multi-label)"),
        (np.zeros((6, 2, 2)), "labels have shape (6, 2, 2); one label a sample is allowed"),
        (5, "labels have shape ()"),
        (np.array([1j, 2] * 3), "labels of type complex128; integers and strings are allowed"),
        (np.array(["2020-01-01"] * 6, "datetime64[D]"), "labels of type datetime64[D]"),
        ([object()] * 6, "the label of row 0 is of type object"),
        ([b"\xff", b"a"] * 3, "the label of row 0 is no UTF-8"),
        (["a\0", "a"] * 3, "the label of row 0 ends with a NUL character"),
        (["x" * 2**25, "y"] * 3, "labels of up to 33,554,432 characters are no names of classes"),
        (torch.zeros(6, requires_grad=True), "labels are no array: Can't call numpy()"),
    ],
)
def test_labels_that_are_refused(labels, reason: str) -> None:
    assert reason in refusal((X, labels))


def test_real_numbers_are_to_be_predicted() -> None:
    target = load_target((X, Y + 0.5))
    assert (target.task, target.labels.tolist()) == ("numbers", (Y + 0.5).tolist())
    asked = load_target((X, np.arange(6)), task="numbers")
    assert (asked.task, asked.labels.dtype) == ("numbers", np.float64)
    assert load_target((X, np.arange(6.0) + 0.1), limit=4).labels.shape == (4,)
    assert "label 0.5 of row 0 is neither an integer nor a string; task = 'numbers'" in refusal(
        (X, Y + 0.5), task="classes"
    )
    assert "labels are strings; numbers are needed" in refusal((X, list("aabbcc")), task="numbers")
    assert "all labels are 1.0; there is nothing to predict" in refusal(
        (X, np.ones(6)), task="numbers"
    )
    assert "the label of row 1 is missing" in refusal((X, [1.5, np.nan] * 3))


def test_class_names_that_look_alike_are_said() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    target = load_target((X, [composed, decomposed] * 3))
    assert len(target.classes) == 2
    assert target.notes == ("classes 'cafe\\u0301' and 'caf\\xe9' look alike and are kept apart",)
    (note,) = load_target((X, ["A", "a", "B", "b", "A", "c "])).notes
    assert note == "classes 'A' and 'a' look alike and are kept apart, and 1 more such pairs"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["1", "2"], [1, 2]),
        (["1.0000000e+00", "2.0000000e+00"], [1, 2]),
        (["-1", "1"], [-1, 1]),
        (["1", "01"], ["1", "01"]),
        (["1", "1.0"], ["1", "1.0"]),
        (["0.5", "2"], [0.5, 2.0]),
        (["nan", "inf"], ["nan", "inf"]),
        (["1_0", "2"], ["1_0", "2"]),
        (["\u0661", "1"], ["\u0661", "1"]),
        ([str(BIG), str(BIG + 1)], [BIG, BIG + 1]),
        ([f"{BIG}.0", f"{BIG + 1}.0"], [f"{BIG}.0", f"{BIG + 1}.0"]),
        ([str(10**30), "1"], [str(10**30), "1"]),
        ([str(2**63), "-1"], [str(2**63), "-1"]),
        (["1e999", "1"], ["1e999", "1"]),
    ],
)
def test_words_of_a_file_stand_for_numbers_where_none_of_them_merge(words, expected) -> None:
    assert parse(words).tolist() == expected


def test_fifty_thousand_classes_are_drawn_from_at_once() -> None:
    codes = np.repeat(np.arange(50_000), 4)
    places = order_by_class(codes)
    assert len(places) == 200_000
    by_class = places.reshape(-1, 4)
    assert np.array_equal(np.sort(by_class, axis=1)[0], [0.125, 0.375, 0.625, 0.875])
    target = load_target((np.arange(200_000.0)[:, None], codes), limit=100_000)
    assert np.bincount(target.labels).tolist() == [2] * 50_000
