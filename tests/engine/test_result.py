"""The summary of a score."""

import numpy as np
import pytest
from tests.engine.problems import make

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
