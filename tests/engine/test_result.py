"""The summary of a score, and many scores at once."""

import numpy as np
import pytest
from tests.engine.problems import make
from tests.reference import silhouettes as reference

import zoorank


def test_summary_holds_means_by_class_in_order_of_labels():
    problem = make("plain", 300, 5, 4, np.float64, seed=1)
    names = np.array(["d", "a", "c", "b"])[problem.labels]
    result = zoorank.silhouette(problem.X, names, metric="cosine")
    samples = zoorank.silhouette_samples(problem.X, names, metric="cosine")
    assert result.classes.tolist() == ["a", "b", "c", "d"]
    assert (
        result.score
        == samples.mean()
        == zoorank.silhouette_score(problem.X, names, metric="cosine")
    )
    assert float(result) == result.score
    for name, mean in zip(result.classes, result.per_class, strict=True):
        assert mean == pytest.approx(samples[names == name].mean(), abs=1e-15)
    assert (result.half_width, result.method, result.metric) == (0.0, "exact", "cosine")
    assert result.n_samples == 300
    assert result.seconds > 0


@pytest.mark.parametrize("metric", reference.VECTOR_METRICS)
def test_batch_equals_single_calls_bit_for_bit(metric):
    labels = make("plain", 150, 1, 6, np.float64, seed=0).labels
    rng = np.random.default_rng(0)
    Xs = [
        rng.standard_normal((150, d)).astype(dtype)
        for d, dtype in [(3, np.float32), (40, np.float64), (130, np.float32), (2, np.float64)]
    ]
    for n_threads in (1, 3):
        batch = zoorank.silhouette_batch(iter(Xs), labels, metric=metric, n_threads=n_threads)
        for X, result in zip(Xs, batch, strict=True):
            alone = zoorank.silhouette(X, labels, metric=metric)
            assert result.score == alone.score
            np.testing.assert_array_equal(result.per_class, alone.per_class)


def test_batch_mixes_large_and_small_problems():
    labels = make("plain", 2000, 1, 5, np.float64, seed=0).labels
    rng = np.random.default_rng(0)
    Xs = [rng.standard_normal((2000, d), dtype=np.float32) for d in (2, 600, 3)]
    scores = [result.score for result in zoorank.silhouette_batch(Xs, labels)]
    assert scores == [zoorank.silhouette_score(X, labels) for X in Xs]


def test_an_empty_batch_is_empty():
    assert zoorank.silhouette_batch([], [0, 1, 1]) == []


@pytest.mark.parametrize(
    ("Xs", "message"),
    [
        ([np.ones((3, 2)), np.ones((4, 2))], r"Xs\[1\] has 4 rows and Xs\[0\] has 3"),
        ([np.ones((3, 2)), np.ones(3)], r"Xs\[1\] must have 2 dimensions"),
        ([np.ones((3, 2)), np.full((3, 2), np.nan)], "the first bad row is 0"),
    ],
)
def test_a_bad_member_of_a_batch_is_named(Xs, message):
    with pytest.raises(ValueError, match=message):
        zoorank.silhouette_batch(Xs, [0, 1, 1])
