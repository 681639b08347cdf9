"""Many encodings, and several metrics, in one call."""

import numpy as np
import pytest
from tests.engine.problems import make
from tests.reference import silhouettes as reference

import zoorank


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


@pytest.mark.parametrize("n_threads", [1, 3])
def test_several_metrics_equal_one_call_for_each(n_threads):
    labels = make("plain", 400, 1, 6, np.float64, seed=0).labels
    rng = np.random.default_rng(0)
    Xs = [
        rng.standard_normal((400, d)).astype(dtype)
        for d, dtype in [(3, np.float32), (40, np.float64), (900, np.float32)]
    ]
    metrics = ("cosine", "manhattan", "euclidean")
    batch = zoorank.silhouette_batch(Xs, labels, metric=metrics, n_threads=n_threads)
    assert [[result.metric for result in results] for results in batch] == [list(metrics)] * 3
    for X, results in zip(Xs, batch, strict=True):
        for result in results:
            assert result.score == zoorank.silhouette_score(X, labels, metric=result.metric)


def test_one_metric_in_a_list_still_gives_tuples():
    X = np.arange(4.0)[:, None]
    ((result,),) = zoorank.silhouette_batch([X], [0, 0, 1, 1], metric=["euclidean"])
    assert result.metric == "euclidean"


@pytest.mark.parametrize(
    ("metric", "message"),
    [((), "metric names no metric"), (("cosine", "cosin"), "unknown metric 'cosin'; did you mean")],
)
def test_a_bad_list_of_metrics_is_refused(metric, message):
    with pytest.raises(ValueError, match=message):
        zoorank.silhouette_batch([[[0.0], [1.0], [2.0]]], [0, 0, 1], metric=metric)
