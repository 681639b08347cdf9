"""IDS against dynamic time warping and barycentres by their definition."""

import sys
import warnings

import numpy as np
import pytest
from tests.reference import series as reference

from zoorank.scores import find_score
from zoorank.scores import ids as module
from zoorank.scores.ids import class_prototypes, inter_dataset_distance


def make(n, length, classes, seed=0, bumps=1):
    """Noisy series, each class with bumps of its own that come early or late."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    where = np.linspace(0.2, 0.8, classes)[y] + rng.uniform(-0.1, 0.1, n)
    time = np.linspace(0, bumps, length)
    bump = np.exp(-(((time % 1)[None, :] - where[:, None]) ** 2) / 0.005)
    return (3 * bump + 0.3 * rng.standard_normal((n, length))).astype(np.float32), y


def ids(X, y, X_source, y_source):
    return inter_dataset_distance(class_prototypes(X, y), class_prototypes(X_source, y_source))


@pytest.mark.parametrize("lengths", [(24, 24), (17, 31)])
def test_agrees_with_the_definition(lengths):
    target, source = make(15, lengths[0], 3, seed=1), make(14, lengths[1], 2, seed=2, bumps=2)
    direct = [reference.prototypes(*data) for data in (target, source)]
    for data, expected in zip((target, source), direct, strict=True):
        found = class_prototypes(*data)[:, 0]
        np.testing.assert_allclose(found, np.array(expected)[:, :, 0], atol=1e-9)
    value = ids(*target, *source)
    nearest = [min(reference.dtw(p, q) for q in direct[1]) for p in direct[0]]
    np.testing.assert_allclose(value.per_class, nearest, atol=1e-9)
    assert value.value == min(value.per_class)
    assert value.value == pytest.approx(reference.inter_dataset_distance(*target, *source))


def test_is_a_distance_of_data_sets():
    near, far = make(20, 30, 2, seed=3), make(20, 30, 2, seed=4, bumps=3)
    assert ids(*near, *near).value == 0
    assert ids(*near, *far).value == pytest.approx(ids(*far, *near).value)
    assert ids(*near, *make(20, 40, 2, seed=5)).value < ids(*near, *far).value


@pytest.mark.parametrize("trouble", ["labels", "scale", "rows", "variables apart"])
def test_invariants(trouble):
    X, y = make(18, 20, 3, seed=6)
    before = class_prototypes(X, y)
    if trouble == "labels":
        after = class_prototypes(X, np.array(["a", "b", "c"])[y])
    elif trouble == "scale":
        after = class_prototypes(5.0 * X.astype(float) - 7.0, y)
    elif trouble == "rows":
        order = np.random.default_rng(0).permutation(len(y))
        after = class_prototypes(X[order], y[order])
    else:
        after = class_prototypes(X[:, None, :], y)
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_several_variables_are_warped_together():
    X, y = make(12, 15, 2, seed=7)
    both = class_prototypes(np.stack([X, np.roll(X, 3, axis=1)], axis=1), y)
    assert both.shape == (2, 2, 15)
    stacked = np.stack([X, np.roll(X, 3, axis=1)], axis=1)
    direct = reference.standardise(stacked).transpose(0, 2, 1)
    expected = [reference.barycentre(direct[y == label]) for label in range(2)]
    np.testing.assert_allclose(both.transpose(0, 2, 1), expected, atol=1e-6)
    with pytest.raises(ValueError, match="2 variables at each step, the source's data 1"):
        inter_dataset_distance(both, class_prototypes(X, y))


def test_large_classes_are_drawn_from_and_the_draw_is_the_same_each_time(monkeypatch):
    X, y = make(40, 12, 2, seed=8)
    whole = class_prototypes(X, y)
    monkeypatch.setattr(module, "MOST_SERIES", 5)
    np.testing.assert_array_equal(class_prototypes(X, y), class_prototypes(X, y))
    assert np.abs(class_prototypes(X, y) - whole).max() > 1e-3


def test_constant_series_and_single_ones_are_no_trouble():
    X, _ = make(5, 12, 2, seed=9)
    X[4] = 7
    found = class_prototypes(X, np.array([0, 0, 0, 1, 2]))
    np.testing.assert_allclose(found[1, 0], reference.standardise(X[3]), atol=1e-6)
    np.testing.assert_array_equal(found[2], 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X[:, :, None, None], r"X has shape \(6, 10, 1, 1\); series of shape"),
        (lambda X: np.where(np.arange(6)[:, None] == 4, np.nan, X), "row 4 of X holds NaN"),
        (lambda X: np.where(np.arange(6)[:, None] == 2, np.inf, X), "row 2 of X holds infinity"),
        (lambda X: X[:, :0], r"X holds no values: its shape is \(6, 0\)"),
        (lambda X: X[:0], r"X holds no values: its shape is \(0, 10\)"),
        (lambda X: np.zeros((6, 5000)), "series of 5000 steps; at most 4096"),
    ],
)
def test_says_what_is_wrong_with_the_series(change, message):
    X, y = make(6, 10, 2)
    with pytest.raises(ValueError, match=message):
        class_prototypes(change(X), y)


def test_is_declared_as_a_distance_that_no_cut_changes():
    score = find_score("ids")
    assert not score.higher_is_better
    assert score.needs_source_data
    assert not score.varies_with_cut
    assert not score.needs_head


def test_says_what_to_install(monkeypatch):
    X, y = make(6, 10, 2)
    monkeypatch.setitem(sys.modules, "tslearn", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'zoorank\[ids\]'"):
        class_prototypes(X, y)


def test_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        class_prototypes(*make(6, 10, 2))
