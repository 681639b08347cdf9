"""Exact silhouettes of needed pairs: the definition's, on inputs made to defeat bounds."""

import numpy as np
import pytest
from tests.engine.problems import KINDS, make
from tests.reference import silhouettes as reference

import zoorank
from zoorank import _core

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def needed(X, labels, threads=1, pairs="needed", progress=None):
    codes = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return _core.exact_silhouettes(X, codes, "euclidean", threads, progress, "auto", pairs)


def assert_exact(X, labels):
    samples, pairs = needed(X, labels)
    expected = reference.silhouette_samples(X, labels, "euclidean")
    tolerance = reference.tolerance(X, "euclidean")
    np.testing.assert_allclose(samples, expected, rtol=0, atol=tolerance)
    return pairs / (len(X) * (len(X) - 1) / 2)


def heavy_tails(rng, X, y):
    return X * rng.standard_t(1.5, len(X))[:, None]


def one_far_row(rng, X, y):
    return np.where(np.arange(len(X))[:, None] == 7, 1e6, X)


def equal_classes(rng, X, y):
    """Every class the same rows: no bound may rule any out."""
    return X[np.argsort(np.argsort(y, kind="stable")) % np.bincount(y).min()]


def on_a_sphere(rng, X, y):
    """All rows as far from their mean: the variance of squared distances is that of directions."""
    centres = 0.7 * rng.standard_normal((y.max() + 1, X.shape[1]))
    return centres[y] + X / np.linalg.norm(X, axis=1, keepdims=True)


def opposite_rows(rng, X, y):
    """Pairs x and -x: class means of nothing, and third moments of nothing."""
    return X * np.where(np.arange(len(X)) % 2, 1, -1)[:, None]


def two_lumps(rng, X, y):
    """Each class half near, half far: distances as far from their mean square as can be."""
    return 0.05 * X + 4 * (rng.random((len(X), 1)) < 0.5) * (1 + y % 3)[:, None]


def around_a_bound(rng, X, y):
    """Means on a ring around the rows of class 0: all mean distances are the same but for 1e-6."""
    d = X.shape[1]
    centres = np.linalg.qr(rng.standard_normal((d, d)))[0]
    centres = centres[np.arange(y.max() + 1) % d] * (2 + 1e-6 * np.arange(y.max() + 1)[:, None])
    return X / np.sqrt(d) * 0.5 + np.where(y[:, None] == 0, 0, centres[y])


def constant_columns(rng, X, y):
    return np.where(np.arange(X.shape[1]) % 2, 3.25, X)


def one_direction(rng, X, y):
    return rng.standard_normal((len(X), 1)) * np.ones(X.shape[1]) + 0.01 * y[:, None]


def subnormal(rng, X, y):
    return X * 1e-40


def far_and_wide(rng, X, y):
    return X * 10.0 ** rng.integers(-3, 4, y.max() + 1)[y][:, None]


NASTY = [
    heavy_tails,
    one_far_row,
    equal_classes,
    on_a_sphere,
    opposite_rows,
    two_lumps,
    around_a_bound,
    constant_columns,
    one_direction,
    subnormal,
    far_and_wide,
]


@DTYPES
@pytest.mark.parametrize("build", NASTY)
def test_agrees_with_the_definition_on_inputs_against_bounds(build, dtype):
    for n, d, classes in ((900, 40, 9), (1500, 24, 6), (700, 5, 25)):
        rng = np.random.default_rng(n)
        y = np.arange(n) % classes
        X = build(rng, rng.standard_normal((n, d)), y)
        assert_exact(np.ascontiguousarray(X, dtype=dtype), y)


@DTYPES
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_the_definition_on_every_kind_of_trouble(kind, dtype):
    for n, d, classes in ((120, 5, 4), (700, 17, 3), (530, 33, 200), (1200, 64, 5)):
        problem = make(kind, n, d, classes, dtype, seed=n)
        assert_exact(problem.X, problem.labels)


@DTYPES
def test_classes_of_one_and_two_rows_stand_beside_large_ones(dtype):
    rng = np.random.default_rng(3)
    y = rng.permutation(np.repeat(np.arange(60), [700, 260, 241, 240] + [1] * 20 + [2] * 36))
    X = rng.standard_normal((len(y), 30)) + rng.standard_normal((60, 30))[y]
    assert_exact(X.astype(dtype), y)


@DTYPES
def test_classes_apart_need_few_pairs(dtype):
    rng = np.random.default_rng(0)
    y = np.arange(4000) % 40
    X = (rng.standard_normal((4000, 32)) + 4 * rng.standard_normal((40, 32))[y]).astype(dtype)
    assert assert_exact(X, y) < 0.3


@DTYPES
def test_directions_rule_out_what_means_cannot(dtype):
    # Classes that are long in a direction of their own: mean squares alone say little.
    rng = np.random.default_rng(0)
    y = np.arange(3200) % 20
    X = 0.3 * rng.standard_normal((3200, 48)) + 0.6 * rng.standard_normal((20, 48))[y]
    X += 3 * rng.standard_normal((3200, 1)) * rng.standard_normal((20, 48))[y] / 7
    assert assert_exact(X.astype(dtype), y) < 0.4


@DTYPES
def test_number_of_threads_changes_no_bit(dtype):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 17, 4000)
    X = (rng.standard_normal((4000, 40)) + rng.standard_normal((17, 40))[y]).astype(dtype)
    one, pairs = needed(X, y)
    for threads in (2, 3, 4):
        many, as_many = needed(X, y, threads)
        np.testing.assert_array_equal(one, many)
        assert pairs == as_many


def test_the_result_says_how_many_pairs_were_evaluated():
    rng = np.random.default_rng(0)
    y = np.arange(20_000) % 800
    X = rng.standard_normal((20_000, 32), dtype=np.float32)
    X += 2 * rng.standard_normal((800, 32), dtype=np.float32)[y]
    result = zoorank.silhouette(X, y, method="exact")
    assert result.pairs_evaluated < 0.2 * 20_000 * 19_999 / 2
    every, pairs = needed(X, y, pairs="all")
    assert pairs == 20_000 * 19_999 // 2
    assert result.score == pytest.approx(every.mean(), abs=5e-6)
    assert zoorank.silhouette(X, y, metric="cosine").pairs_evaluated == 0
    small = zoorank.silhouette(X[:900], y[:900], method="exact")
    assert small.pairs_evaluated == 900 * 899 // 2


def test_all_pairs_are_taken_where_nothing_can_be_ruled_out():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((9000, 120), dtype=np.float32)
    assert needed(X, np.arange(9000) % 12, pairs="auto")[1] == 9000 * 8999 // 2


def test_progress_rises_and_an_exception_out_of_it_ends_the_call():
    rng = np.random.default_rng(0)
    y = np.arange(20_000) % 50
    X = rng.standard_normal((20_000, 64), dtype=np.float32)
    seen = []
    needed(X, y, threads=2, progress=seen.append)
    assert seen == sorted(seen)
    assert 0 <= seen[0] <= seen[-1] <= 1
    assert len(seen) > 3

    def stop(fraction):
        if fraction > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        needed(X, y, threads=2, progress=stop)
