"""Silhouettes against the float64 definition, and what must not change them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.problems import KINDS, make, problems
from tests.reference import silhouettes as reference

import zoorank

EXAMPLES = int(os.environ.get("ZOORANK_TEST_EXAMPLES", "150"))
METRICS = st.sampled_from(reference.VECTOR_METRICS)
several_examples = settings(max_examples=EXAMPLES, deadline=None)

# Kinds whose answer is well conditioned: moving the rows moves s by no more than its own error.
CALM = ("plain", "duplicates", "integers")


def assert_agrees(problem, metric):
    s = zoorank.silhouette_samples(problem.X, problem.labels, metric=metric)
    expected = reference.silhouette_samples(problem.X, problem.labels, metric)
    np.testing.assert_allclose(s, expected, rtol=0, atol=reference.tolerance(problem.X, metric))


@several_examples
@given(problem=problems(), metric=METRICS)
def test_agrees_with_the_definition(problem, metric):
    assert_agrees(problem, metric)


@pytest.mark.parametrize("metric", reference.VECTOR_METRICS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_on_every_kind_of_trouble(kind, dtype, metric):
    for n, d, classes in ((120, 5, 4), (700, 17, 3), (530, 33, 200)):
        assert_agrees(make(kind, n, d, classes, dtype, seed=n), metric)


@pytest.mark.parametrize("metric", reference.VECTOR_METRICS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [511, 512, 513, 1100])
def test_agrees_when_features_are_taken_in_several_blocks(d, dtype, metric):
    assert_agrees(make("plain", 260, d, 3, dtype, seed=d), metric)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_when_classes_are_cut_into_stripes(dtype):
    # One class of several stripes, one of a single block, and a group of small ones.
    rng = np.random.default_rng(5)
    y = rng.permutation(np.repeat(np.arange(23), [1500, 200] + [3] * 21))
    X = rng.standard_normal((len(y), 6)).astype(dtype) + 0.3 * y[:, None].astype(dtype)
    s = zoorank.silhouette_samples(X, y)
    np.testing.assert_allclose(
        s,
        reference.silhouette_samples(X, y, "euclidean"),
        rtol=0,
        atol=reference.TOLERANCE[X.dtype],
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["plain", "offset", "tight far apart", "integers", "outliers"])
def test_manhattan_agrees_where_features_are_sorted(kind, dtype):
    # Large enough for the sorted way; 33 classes are swept in two parts.
    problem = make(kind, 8500, 3, 33, dtype, seed=7)
    s = zoorank.silhouette_samples(problem.X, problem.labels, metric="manhattan")
    rows = np.random.default_rng(0).choice(8500, 200, replace=False)
    D = reference.distances(problem.X[rows], problem.X, "manhattan")
    expected = reference.silhouette_of_rows(D, rows, problem.labels)
    tolerance = reference.TOLERANCE[problem.X.dtype]
    np.testing.assert_allclose(s[rows], expected, rtol=0, atol=tolerance)
    many = zoorank.silhouette_samples(problem.X, problem.labels, metric="manhattan", n_threads=3)
    np.testing.assert_array_equal(s, many)


# Between equal rows scikit-learn's distances are rounding, and its silhouettes anything.
DISTINCT = tuple(kind for kind in CALM if kind != "duplicates")


@several_examples
@given(problem=problems(kinds=DISTINCT, dtypes=(np.float64,)), metric=METRICS)
def test_agrees_with_scikit_learn(problem, metric):
    if metric == "cosine" and problem.X.shape[1] < 7:
        return  # scikit-learn's 1 - x.y has lost all digits where few features make rows parallel
    expected = sklearn.metrics.silhouette_samples(
        sklearn.metrics.pairwise_distances(problem.X, metric=metric)
        - np.diag(np.diag(sklearn.metrics.pairwise_distances(problem.X, metric=metric))),
        problem.labels,
        metric="precomputed",
    )
    tolerance = (
        1e-12 if metric == "manhattan" else 1e-6
    )  # scikit-learn's own error, near duplicates
    s = zoorank.silhouette_samples(problem.X, problem.labels, metric=metric)
    np.testing.assert_allclose(s, expected, rtol=0, atol=tolerance)


@several_examples
@given(problem=problems(), metric=METRICS)
def test_precomputed_distances_give_the_same(problem, metric):
    D = reference.distances(problem.X, problem.X, metric)
    np.fill_diagonal(D, 0)
    for given_distances in (D, np.asfortranarray(D)):
        s = zoorank.silhouette_samples(given_distances, problem.labels, metric="precomputed")
        expected = sklearn.metrics.silhouette_samples(D, problem.labels, metric="precomputed")
        np.testing.assert_allclose(s, expected, rtol=0, atol=1e-12)


def test_precomputed_distances_need_not_be_symmetric():
    rng = np.random.default_rng(0)
    D = rng.random((30, 30))
    np.fill_diagonal(D, 0)
    y = rng.integers(0, 3, 30)
    np.testing.assert_allclose(
        zoorank.silhouette_samples(D, y, metric="precomputed"),
        sklearn.metrics.silhouette_samples(D, y, metric="precomputed"),
        rtol=0,
        atol=1e-14,
    )


@several_examples
@given(problem=problems(), metric=METRICS, threads=st.sampled_from([2, 3, 4]))
def test_number_of_threads_changes_no_bit(problem, metric, threads):
    one = zoorank.silhouette_samples(problem.X, problem.labels, metric=metric, n_threads=1)
    many = zoorank.silhouette_samples(problem.X, problem.labels, metric=metric, n_threads=threads)
    np.testing.assert_array_equal(one, many)


@pytest.mark.parametrize("metric", reference.VECTOR_METRICS)
@pytest.mark.parametrize("classes", [2, 7, 300])
def test_number_of_threads_changes_no_bit_of_a_large_problem(metric, classes):
    problem = make("plain", 3000, 20, classes, np.float32, seed=classes)
    results = [
        zoorank.silhouette_samples(problem.X, problem.labels, metric=metric, n_threads=threads)
        for threads in (1, 2, 4)
    ]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@several_examples
@given(problem=problems(kinds=CALM), metric=METRICS, seed=st.integers(0, 99))
def test_order_of_rows_does_not_matter(problem, metric, seed):
    order = np.random.default_rng(seed).permutation(len(problem.X))
    s = zoorank.silhouette_samples(problem.X, problem.labels, metric=metric)
    moved = zoorank.silhouette_samples(problem.X[order], problem.labels[order], metric=metric)
    np.testing.assert_allclose(
        moved, s[order], rtol=0, atol=2 * reference.tolerance(problem.X, metric)
    )


@several_examples
@given(problem=problems(), metric=METRICS)
def test_names_of_classes_do_not_matter(problem, metric):
    s = zoorank.silhouette_samples(problem.X, problem.labels, metric=metric)
    ordered_names = np.array([f"class {c:04d}" for c in range(problem.labels.max() + 1)])
    for labels in (
        problem.labels.astype(np.uint16),
        problem.labels * 10**15 - 3,
        problem.labels.astype(float),
        ordered_names[problem.labels],
        ordered_names[problem.labels].astype(object),
        ordered_names[problem.labels].tolist(),
        problem.labels[:, None],
    ):
        np.testing.assert_array_equal(
            zoorank.silhouette_samples(problem.X, labels, metric=metric), s
        )


@several_examples
@given(
    problem=problems(kinds=("plain", "duplicates", "outliers")),
    metric=METRICS,
    power=st.integers(-60, 60),
)
def test_a_power_of_two_changes_no_bit(problem, metric, power):
    s = zoorank.silhouette_samples(problem.X, problem.labels, metric=metric)
    scaled = np.ldexp(problem.X, power)
    np.testing.assert_array_equal(
        zoorank.silhouette_samples(scaled, problem.labels, metric=metric), s
    )


@several_examples
@given(
    problem=problems(kinds=("integers",)),
    metric=st.sampled_from(["euclidean", "manhattan", "sqeuclidean"]),
)
def test_translation_does_not_matter(problem, metric):
    s = zoorank.silhouette_samples(problem.X, problem.labels, metric=metric)
    moved = zoorank.silhouette_samples(problem.X + 4096, problem.labels, metric=metric)
    np.testing.assert_allclose(moved, s, rtol=0, atol=2 * reference.TOLERANCE[problem.X.dtype])


def test_rousseeuws_bounds_and_extremes():
    X = np.repeat([[0.0, 0.0], [5.0, 0.0]], 10, axis=0)
    y = np.repeat([0, 1], 10)
    np.testing.assert_array_equal(zoorank.silhouette_samples(X, y), 1)
    mixed = zoorank.silhouette_samples(X, np.tile([0, 1], 10))  # a = 25/9, b = 5/2
    np.testing.assert_allclose(mixed, -0.1, rtol=1e-14)


@pytest.mark.parametrize("metric", reference.VECTOR_METRICS)
def test_a_class_of_one_and_zero_over_zero_score_zero(metric):
    X = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [2.0, 3.0]])
    s = zoorank.silhouette_samples(X, [0, 0, 1, 2], metric=metric)
    assert s[2] == 0
    assert s[3] == 0
    np.testing.assert_array_equal(s[:2], 0)


@pytest.mark.parametrize("isa", zoorank.build_info()["supported_instruction_sets"])
def test_every_instruction_set_passes(isa):
    if isa == zoorank.build_info()["instruction_set"]:
        pytest.skip(f"{isa} is what the other tests of this file run on")
    environment = os.environ | {"ZOORANK_ISA": isa, "ZOORANK_TEST_EXAMPLES": "30"}
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            __file__,
            "-k",
            "not instruction_set",
        ],
        env=environment,
        cwd=Path.cwd(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout


def test_an_unknown_instruction_set_is_named_with_the_valid_ones():
    run = subprocess.run(
        [sys.executable, "-c", "import zoorank; zoorank.build_info()"],
        env=os.environ | {"ZOORANK_ISA": "avx3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert "ZOORANK_ISA is 'avx3'" in run.stderr
    assert "baseline" in run.stderr
