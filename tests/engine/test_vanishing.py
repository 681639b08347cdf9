"""Values so large that the squares of all other distances are no numbers beside them."""

import numpy as np
import pytest

import zoorank

LARGEST = {np.float32: 3e38, np.float64: 1e300}
TOLERANCE = {np.float32: 5e-6, np.float64: 1e-12}
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def problem(dtype, largest=None, n=90):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    X = (rng.standard_normal((n, 9)) + y[:, None]).astype(dtype)
    X[7] = LARGEST[dtype] if largest is None else largest
    return X, y


def wide_distances(X):
    """In the type with the widest range there is: 80 bits on x86."""
    wide = X.astype(np.longdouble)
    return np.sqrt(((wide[:, None] - wide) ** 2).sum(axis=2))


def by_definition(D, y):
    samples = []
    for i, own in enumerate(y):
        means = [
            D[i, y == c].sum() / (np.count_nonzero(y == c) - (c == own)) for c in range(y.max() + 1)
        ]
        a, b = means.pop(own), min(means)
        samples.append(float((b - a) / max(a, b)) if max(a, b) > 0 else 0.0)
    return np.array(samples)


needs_range = pytest.mark.skipif(
    np.finfo(np.longdouble).maxexp < 2048, reason="no type here has a wider range than float64"
)


@needs_range
@DTYPES
@pytest.mark.parametrize("share", [1, 1e-2, 1e-4, 1e-6, 1e-8])
def test_silhouettes_of_the_other_rows_are_theirs(dtype, share):
    X, y = problem(dtype, LARGEST[dtype] * share)
    found = zoorank.silhouette_samples(X, y)
    expected = by_definition(wide_distances(X), y)
    assert np.abs(found - expected).max() <= TOLERANCE[dtype]
    assert np.count_nonzero(np.abs(expected) > 0.01) > len(y) / 2  # of what would come out as 0


@needs_range
@DTYPES
def test_what_infinity_is_replaced_by_is_such_a_value(dtype):
    X, y = problem(dtype, np.inf)
    X = np.nan_to_num(X)
    found = zoorank.silhouette_samples(X, y)
    assert np.abs(found - by_definition(wide_distances(X), y)).max() <= TOLERANCE[dtype]


@needs_range
@DTYPES
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
def test_distances_between_the_other_rows_are_theirs(dtype, metric):
    X, _ = problem(dtype)
    expected = wide_distances(X) ** (1 if metric == "euclidean" else 2)
    with np.errstate(over="ignore"):
        expected = expected.astype(dtype)
    found = zoorank.pairwise_distances(X, metric=metric)
    assert found == pytest.approx(expected, rel=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("metric", ["cosine", "manhattan"])
@DTYPES
def test_metrics_without_squares_mind_no_size(dtype, metric):
    X, y = problem(dtype)
    found = zoorank.silhouette_samples(X, y, metric=metric)
    X[7] = np.float64(1e6)
    others = np.arange(len(y)) != 7
    assert found[others] == pytest.approx(
        zoorank.silhouette_samples(X, y, metric=metric)[others], abs=1e-3
    )


@DTYPES
def test_an_estimate_refuses_what_it_cannot_tell_apart(dtype):
    X, y = problem(dtype, n=9000)
    advice = "use float64, or replace" if dtype == np.float32 else "float64: replace"
    with pytest.raises(ValueError, match=rf"distances of row \d+ vanish .* {advice} those values"):
        zoorank.silhouette(X, y, method="estimate", tol=1e-2, random_state=0)
    with pytest.raises(ValueError, match=rf"distances of row \d+ vanish .* {advice} those values"):
        zoorank.silhouette_samples(X, y, method="estimate", references=8, random_state=0)


def test_squared_distances_that_vanish_in_float64_are_refused(tmp_path):
    X, y = problem(np.float64)
    np.save(tmp_path / "X.npy", X)
    for rows in (X, tmp_path / "X.npy"):
        with pytest.raises(ValueError, match=r"distances of row \d+ vanish beside them in float64"):
            zoorank.silhouette_samples(rows, y, metric="sqeuclidean")


@DTYPES
@pytest.mark.parametrize("value", [0, 1, 1e-30])
def test_equal_rows_are_not_taken_for_rows_whose_distances_vanish(dtype, value):
    X, y = np.full((9000, 5), value, dtype), np.arange(9000) % 3
    X[:, 1] = 0
    assert not zoorank.silhouette_samples(X[:90], y[:90]).any()
    assert zoorank.silhouette(X, y, method="estimate", tol=1e-2, random_state=0).score == 0
