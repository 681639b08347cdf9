"""The nearest rows, against all distances in float64."""

import numpy as np
import pytest
from tests.reference.scores import distances_to_others

from zoorank.scores.computing import Team
from zoorank.scores.knn import nearest
from zoorank.scores.shared import CentredRows

rng = np.random.default_rng(0)


def encoding(kind):
    X = rng.standard_normal((120, 6)) * np.array([1, 10, 0.1, 1, 1, 1]) + 5
    return {
        "float64": X,
        "float32": X.astype(np.float32),
        "far from 0": (X + 1e5),
        "a constant feature": np.hstack([X, np.full((120, 2), 3.7)]),
        "wide": rng.standard_normal((50, 3000)).astype(np.float32),
        "pairs that differ in the last bits": np.repeat(X, 2, axis=0)
        * (1 + 1e-9 * rng.random((240, 1))),
        "an outlier": np.vstack([X, np.full((1, 6), 1e6)]),
        "copies": X[rng.integers(0, 10, 120)],
        "a lattice": rng.integers(0, 3, (120, 3)).astype(np.float64),
        "equal rows": np.ones((40, 3)),
        "two rows": X[:2],
    }[kind]


KINDS = ["float64", "float32", "far from 0", "a constant feature", "wide"]
KINDS += ["pairs that differ in the last bits", "an outlier", "copies", "a lattice"]
KINDS += ["equal rows", "two rows"]


@pytest.mark.parametrize("block", [None, 700])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_are_those_of_all_distances(kind, k, grouped, block, monkeypatch):
    if block:
        monkeypatch.setattr("zoorank.scores.knn.WHOLE", 0)
        monkeypatch.setattr("zoorank.scores.knn.BLOCK", block)
    X = encoding(kind)
    groups = np.arange(len(X)) // 2 * 2 // 3 if grouped and len(X) > 2 else None
    if kind == "equal rows":
        D = np.zeros((40, 40))
        same = np.eye(40, dtype=bool) if groups is None else groups[:, None] == groups
        D[same] = np.inf
    else:
        D = distances_to_others(X, groups)
    found = nearest(CentredRows.of(X), k, groups, Team(2))
    assert found.shape == (len(X), k)
    for line, neighbours in zip(D, found, strict=True):
        there = neighbours[neighbours >= 0]
        assert len(there) == min(k, np.isfinite(line).sum()) == len(set(there))
        expected = np.sort(line)[: len(there)]
        # Differences of standardised numbers round in another way where they are small.
        np.testing.assert_allclose(np.sort(line[there]), expected, rtol=1e-6, atol=1e-11)


def test_of_some_rows_are_those_of_all(monkeypatch):
    monkeypatch.setattr("zoorank.scores.knn.WHOLE", 0)
    monkeypatch.setattr("zoorank.scores.knn.BLOCK", 700)
    for kind in ("float32", "copies"):
        rows, asked = CentredRows.of(encoding(kind)), np.array([3, 4, 50, 51, 119])
        every = nearest(rows, 2, None, Team())
        assert (nearest(rows, 2, None, Team(), asked) == every[asked]).all()


def test_of_copies_the_first_ones_count():
    X = np.array([[1.0, 0], [0, 0], [0, 0], [0, 0], [9, 4]])
    assert nearest(CentredRows.of(X), 1, None, Team()).ravel().tolist() == [1, 2, 1, 1, 0]
    many = np.tile(X, (40, 1))
    found = nearest(CentredRows.of(many), 3, None, Team())
    assert found[1].tolist() == [2, 3, 6]
