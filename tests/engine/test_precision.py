"""How float32 is computed: within the tolerance in every precision, and as asked."""

import numpy as np
import pytest
from hypothesis import given, settings
from tests.engine.problems import KINDS, make, problems
from tests.reference import silhouettes as reference

import zoorank

HAS_TILES = zoorank.build_info()["instruction_set"] == "amx"
needs_tiles = pytest.mark.skipif(not HAS_TILES, reason="the instruction set in use is not amx")
TOLERANCE = reference.TOLERANCE[np.dtype(np.float32)]
WIDE = (32, 33, 63, 100, 257, 513, 1100)


def score(problem, precision):
    return zoorank.silhouette(problem.X, problem.labels, method="exact", precision=precision).score


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", WIDE)
def test_auto_agrees_with_the_definition_on_wide_rows(kind, d):
    for n, classes in ((9, 3), (512, 4), (620, 100)):
        problem = make(kind, n, d, classes, np.float32, seed=n + d)
        s = zoorank.silhouette_samples(problem.X, problem.labels)
        expected = reference.silhouette_samples(problem.X, problem.labels, "euclidean")
        np.testing.assert_allclose(s, expected, rtol=0, atol=TOLERANCE)


# Nothing for errors to cancel against: few numbers a row, or one direction for all rows, and
# distances that are small beside rows.
CONSPIRING = {
    "one value": lambda rng, n, d: np.repeat(rng.standard_normal((n, 1)), d, axis=1),
    "four values": lambda rng, n, d: np.tile(rng.standard_normal((n, 4)), (1, d // 4 + 1))[:, :d],
    "one direction": lambda rng, n, d: rng.standard_normal((n, 1)) * rng.standard_normal((1, d)),
    "brightness": lambda rng, n, d: (
        rng.standard_normal((n, 1)) + 0.01 * rng.standard_normal((n, d))
    ),
    "one feature": lambda rng, n, d: (
        rng.standard_normal((n, d)) * np.where(np.arange(d) == d // 2, 1e4, 1)
    ),
}


@pytest.mark.parametrize("kind", CONSPIRING)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [8, 31, 64, 256, 4096])
def test_auto_agrees_where_rounding_errors_conspire(kind, dtype, d):
    for seed in range(3):
        x = CONSPIRING[kind](np.random.default_rng(seed), 520, d).astype(dtype)
        for n_classes in (4, 100):
            y = np.arange(520) % n_classes
            s = zoorank.silhouette_samples(x, y)
            expected = reference.silhouette_samples(x, y, "euclidean")
            np.testing.assert_allclose(
                s, expected, rtol=0, atol=reference.TOLERANCE[np.dtype(dtype)]
            )


@pytest.mark.parametrize("n_classes", [2, 20, 200])
@pytest.mark.parametrize("separation", [1, 2])
@pytest.mark.parametrize("d", [32, 48])
def test_auto_agrees_where_few_rows_make_a_mean(d, separation, n_classes):
    # Classes of two rows have no mean to even errors out; sparse rows have fewer to begin with.
    y = np.arange(520) % n_classes
    for seed in range(12):
        for threshold in (-np.inf, 0, 1):
            rng = np.random.default_rng(seed)
            rows = np.maximum(rng.standard_normal((520, d)), threshold)
            x = (rows + separation * rng.standard_normal((n_classes, d))[y]).astype(np.float32)
            s = zoorank.silhouette_samples(x, y)
            expected = reference.silhouette_samples(x, y, "euclidean")
            np.testing.assert_allclose(s, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("metric", reference.VECTOR_METRICS)
def test_float32_is_what_single_distances_get(metric):
    x = np.random.default_rng(1).standard_normal((70, 40)).astype(np.float32)
    np.testing.assert_array_equal(
        zoorank.pairwise_distances(x, metric=metric),
        zoorank.pairwise_distances(x, metric=metric, precision="float32"),
    )


@needs_tiles
@settings(max_examples=60, deadline=None)
@given(problem=problems(kinds=("plain", "offset", "outliers"), dtypes=(np.float32,)))
def test_bf16x3_stays_near_the_definition_for_any_shape(problem):
    result = zoorank.silhouette(problem.X, problem.labels, precision="bf16x3", method="exact")
    expected = reference.silhouette_samples(problem.X, problem.labels, "euclidean")
    assert abs(result.score - expected.mean()) < 2e-5


@needs_tiles
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
def test_bf16x3_distances_have_seventeen_bits(metric):
    rng = np.random.default_rng(2)
    x, y = (rng.standard_normal((n, 100)).astype(np.float32) for n in (70, 300))
    D = zoorank.pairwise_distances(x, y, metric=metric, precision="bf16x3")
    np.testing.assert_allclose(D, reference.distances(x, y, metric), rtol=1e-5)
    assert not np.array_equal(D, zoorank.pairwise_distances(x, y, metric=metric))


@needs_tiles
def test_precisions_are_what_they_say():
    problem = make("plain", 300, 256, 5, np.float32, seed=3)
    auto, tiles, vectors = (score(problem, p) for p in ("auto", "bf16x3", "float32"))
    assert tiles != vectors
    assert auto in (tiles, vectors)


@needs_tiles
def test_number_of_threads_changes_no_bit_of_tiles():
    problem = make("plain", 3000, 40, 7, np.float32, seed=4)
    one, three = (
        zoorank.silhouette(
            problem.X, problem.labels, method="exact", precision="bf16x3", n_threads=n
        )
        for n in (1, 3)
    )
    np.testing.assert_array_equal(one.per_class, three.per_class)
