"""Distances between rows against the float64 definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.problems import problems
from tests.reference import silhouettes as reference

import zoorank

RELATIVE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}


@settings(max_examples=150, deadline=None)
@given(problem=problems(), metric=st.sampled_from(["euclidean", "sqeuclidean", "manhattan"]))
def test_agrees_with_the_definition(problem, metric):
    scale = np.abs(problem.X).max()  # squares of 1e30 have no place in float32
    X = problem.X / (scale if scale > 0 else 1)
    Y = X[::3]
    D = zoorank.pairwise_distances(X, Y, metric=metric)
    assert D.dtype == X.dtype
    expected = reference.distances(X, Y, metric)
    tiny = 1e-30 if X.dtype == np.float32 else 1e-300
    np.testing.assert_allclose(D, expected, rtol=2 * RELATIVE[X.dtype], atol=tiny)


@settings(max_examples=100, deadline=None)
@given(problem=problems(kinds=("plain", "offset", "integers", "zero rows", "duplicates")))
def test_cosine_agrees_with_the_definition(problem):
    D = zoorank.pairwise_distances(problem.X, problem.X[::3], metric="cosine")
    expected = reference.distances(problem.X, problem.X[::3], "cosine")
    # Unit rows are rounded to eps, and distances are half squares of their differences.
    eps = np.finfo(problem.X.dtype).eps
    np.testing.assert_allclose(np.sqrt(D), np.sqrt(expected), rtol=1e-4, atol=8 * eps)


@settings(max_examples=100, deadline=None)
@given(problem=problems(), metric=st.sampled_from(reference.VECTOR_METRICS))
def test_against_itself_is_symmetric_with_a_zero_diagonal(problem, metric):
    D = zoorank.pairwise_distances(problem.X, metric=metric)
    np.testing.assert_array_equal(D, D.T)
    np.testing.assert_array_equal(np.diag(D), 0)
    np.testing.assert_array_equal(
        D, zoorank.pairwise_distances(problem.X, metric=metric, n_threads=3)
    )


def test_offset_of_ten_thousand_keeps_small_distances():
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((50, 20)) + 1e4).astype(np.float32)
    np.testing.assert_allclose(
        zoorank.pairwise_distances(X), reference.distances(X, X, "euclidean"), rtol=2e-6
    )


def test_two_types_meet_in_float64():
    D = zoorank.pairwise_distances(np.ones((2, 3), np.float32), np.zeros((1, 3)))
    assert D.dtype == np.float64
    np.testing.assert_allclose(D, np.sqrt(3))


def test_precomputed_distances_are_handed_back_checked():
    D = np.eye(3)
    np.testing.assert_array_equal(zoorank.pairwise_distances(D, metric="precomputed"), D)
    with pytest.raises(ValueError, match="must have 3 columns"):
        zoorank.pairwise_distances(np.ones((3, 2)), metric="precomputed")
    for value, message in ((-1.0, "a negative distance"), (np.nan, "NaN"), (np.inf, "infinity")):
        D[1, 2] = value
        with pytest.raises(ValueError, match=f"{message}.*; the first bad row is 1"):
            zoorank.pairwise_distances(D, metric="precomputed")


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "X has 3 features and Y has 4"),
        (
            np.ones((2, 3)),
            np.full((2, 3), np.nan),
            "Y holds NaN or infinity; the first bad row is 0",
        ),
        (np.array([[1.0], [np.inf]]), None, "X holds NaN or infinity; the first bad row is 1"),
    ],
)
def test_bad_input_is_named(X, Y, message):
    with pytest.raises(ValueError, match=message):
        zoorank.pairwise_distances(X, Y)


@pytest.mark.parametrize(("dtype", "large"), [(np.float32, 1e38), (np.float64, 1e300)])
def test_equal_rows_whose_squares_overflow_are_at_distance_zero(dtype, large):
    X = np.array([[large, 0], [large, 0], [0, large]], dtype=dtype)
    D = zoorank.pairwise_distances(X, X, metric="sqeuclidean")
    np.testing.assert_array_equal(D, [[0, 0, np.inf], [0, 0, np.inf], [np.inf, np.inf, 0]])
