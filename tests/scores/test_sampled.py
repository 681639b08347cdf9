"""Influences are derivatives of the mean silhouette, and estimates are of all rows."""

from __future__ import annotations

import numpy as np
import pytest
from tests.reference import silhouettes as reference

from zoorank.scores import TABLE, find_score
from zoorank.scores.sampled import sampled_silhouette

METRICS = ("euclidean", "cosine", "sqeuclidean", "manhattan")
SIZES = np.array([50, 30, 20])
SHARES = SIZES / 100


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(["a", "b", "c"], [6, 9, 5]))
    return rng.normal(size=(20, 3)) + np.unique(y, return_inverse=True)[1][:, None], y


def weighted_mean(X, codes, weights, metric):
    """Mean silhouette where a row counts as often as its weight says, but not for itself."""
    D = reference.distances(X, X, metric)
    total = 0.0
    for label, share in enumerate(SHARES):
        values = []
        for i in np.flatnonzero(codes == label):
            own = weights * (codes == label)
            own[i] = 0
            a = own @ D[i] / own.sum()
            others = [codes == other for other in range(len(SHARES)) if other != label]
            b = min((weights * D[i])[members].sum() / weights[members].sum() for members in others)
            values.append(weights[i] * (b - a) / max(a, b))
        total += share * sum(values) / weights[codes == label].sum()
    return total


@pytest.mark.parametrize("metric", METRICS)
def test_an_influence_is_the_derivative_by_the_weight_of_a_row(problem, metric):
    X, y = problem
    codes = np.unique(y, return_inverse=True)[1]
    found = sampled_silhouette(X, y, SIZES, metric=metric)
    assert found.value == pytest.approx(weighted_mean(X, codes, np.ones(20), metric), abs=1e-9)
    step = 1e-5
    for label in range(3):
        members = np.flatnonzero(codes == label)
        slopes = []
        for j in members:
            nudge = step * (np.arange(20) == j)
            high, low = (weighted_mean(X, codes, 1 + sign * nudge, metric) for sign in (1, -1))
            slopes.append((high - low) / (2 * step) * len(members))
        influence = found.influence[members]
        expected = np.array(slopes) - np.mean(slopes)
        np.testing.assert_allclose(influence - influence.mean(), expected, atol=1e-7)


def test_blocks_do_not_matter(problem, monkeypatch):
    X, y = problem
    whole = sampled_silhouette(X, y, SIZES, metric="euclidean")
    monkeypatch.setattr("zoorank.scores.sampled.BLOCK_BYTES", 8 * 20 * 3)
    blocks = sampled_silhouette(X, y, SIZES, metric="euclidean")
    assert blocks.value == whole.value
    np.testing.assert_allclose(blocks.influence, whole.influence, atol=1e-12)


def test_classes_weigh_what_their_shares_say(problem):
    X, y = problem
    found = sampled_silhouette(X, y, SIZES, metric="euclidean")
    assert found.value == pytest.approx(SHARES @ found.per_class, abs=1e-12)
    alike = sampled_silhouette(X, y, metric="euclidean")
    assert alike.value == pytest.approx(np.mean(found.per_class), abs=1e-12)


@pytest.mark.parametrize("name", ["silhouette", "macro_silhouette"])
def test_a_sample_of_all_rows_gives_the_score(problem, name):
    X, y = problem
    score = find_score(name, "euclidean")
    sizes = np.unique(y, return_counts=True)[1]
    assert score.of_sample(X, y, sizes).value == pytest.approx(score.compute(X, y).value, abs=1e-12)


def test_rows_that_coincide_are_no_division_by_zero():
    X = np.zeros((8, 2), dtype=np.float32)
    found = sampled_silhouette(X, np.arange(8) % 2, np.array([4, 4]), metric="euclidean")
    assert found.value == 0
    assert np.isfinite(found.influence).all()


def test_nan_is_an_error(problem):
    X, y = problem
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="first bad row is 3"):
        sampled_silhouette(X, y, SIZES, metric="cosine")


def test_silhouettes_alone_can_race():
    able = {score.name for score in TABLE if score.of_sample is not None}
    assert able == {"silhouette", "macro_silhouette"}
