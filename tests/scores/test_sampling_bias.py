"""What silhouettes of a sample are off by on average: against draws, and where it must be 0."""

from __future__ import annotations

import numpy as np
import pytest

from zoorank.scores.sampled import sampled_silhouette
from zoorank.scores.sampling_bias import row_biases


def silhouettes(distances, own):
    """Of drawn mean distances, shape (n_draws, n_classes)."""
    others = np.delete(distances, own, axis=1).min(axis=1)
    a = distances[:, own]
    return (others - a) / np.maximum(a, others)


@pytest.mark.parametrize("means", [(2.0, 2.1, 2.2, 2.15), (2.5, 2.1, 2.2, 2.15), (1.0, 3.0, 3, 9)])
def test_a_bias_is_that_of_normal_distances(means):
    means = np.array([means])
    deviations = np.array([[0.1, 0.12, 0.08, 0.1]])
    rng = np.random.default_rng(0)
    drawn = silhouettes(means + deviations * rng.normal(size=(200_000, 4)), 0)
    expected = drawn.mean() - silhouettes(means, 0)[0]
    (found,) = row_biases(means, deviations**2, np.array([0]))
    assert found == pytest.approx(expected, rel=0.1, abs=5e-4)


def test_classes_that_are_surely_farther_do_not_count():
    near = np.array([[1.0, 2.0, 2.0]])
    far = np.hstack([near, np.full((1, 20), 50.0)])
    noise = np.full(far.shape, 0.01)
    own = np.array([0])
    assert row_biases(far, noise, own) == pytest.approx(row_biases(near, noise[:, :3], own))


def test_without_noise_there_is_none():
    means = np.array([[1.0, 2.0, 2.0], [3.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
    assert (row_biases(means, np.zeros((3, 3)), np.array([0, 0, 1])) == 0).all()


def test_two_classes_have_no_doubt_which_one_is_nearer():
    """All that is left is that 1 / b bends: E(1 / b) = (1 + noise / b^2) / b."""
    found = row_biases(np.array([[1.0, 2.0]]), np.array([[0.0, 0.04]]), np.array([0]))
    assert found == pytest.approx([-0.5 * 0.01])


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "manhattan"])
def test_the_bias_of_a_sample_is_what_samples_are_off_by(metric):
    """Ten classes on top of each other, of which 8 rows each are drawn."""
    rng = np.random.default_rng(1)
    y = np.repeat(np.arange(10), 60)
    X = rng.normal(size=(600, 8)) + 0.5 * rng.normal(size=(10, 8))[y]
    sizes = np.full(10, 60)
    truth = sampled_silhouette(X, y, sizes, metric=metric)
    assert truth.bias == pytest.approx(0, abs=1e-12)  # all rows are drawn
    said, off = [], []
    for _ in range(60):
        rows = np.concatenate([rng.choice(np.flatnonzero(y == c), 8, False) for c in range(10)])
        found = sampled_silhouette(X[rows], y[rows], sizes, metric=metric)
        said.append(found.bias)
        off.append(found.value - truth.value)
        assert found.bias == pytest.approx(np.mean(found.class_biases))
    assert np.mean(off) < -0.03
    assert np.mean(said) == pytest.approx(np.mean(off), rel=0.35)


def test_biases_weigh_as_classes_do():
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1, 2], 10)
    X = rng.normal(size=(30, 3))
    sizes = np.array([700, 200, 100])
    found = sampled_silhouette(X, y, sizes, metric="euclidean")
    assert found.bias == pytest.approx(sizes / 1000 @ found.class_biases)
    macro = sampled_silhouette(X, y, sizes, metric="euclidean", macro=True)
    assert macro.bias == pytest.approx(np.mean(found.class_biases))
    assert macro.value == pytest.approx(np.mean(found.per_class))
    many = sampled_silhouette(X, y, metric="euclidean")
    assert many.bias < macro.bias < 0  # nothing is left to chance of a row that was drawn
