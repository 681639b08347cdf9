"""What is the same for nearly all samples is no encoding; little that differs is one."""

from __future__ import annotations

import numpy as np
import pytest

from zoorank.ranking.job import sameness

RNG = np.random.default_rng(0)
ALL = "its encoding is the same for all samples, which is no encoding"


def alive(rows: int, n: int = 400, features: int = 5) -> np.ndarray:
    """Dead but for some rows of the end, as where a unit answers to one class alone."""
    X = np.zeros((n, features), np.float32)
    X[n - rows :] = RNG.normal(size=(rows, features))
    return X


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((40, 3)),
        np.full((40, 3), 0.1) + 1e-7 * RNG.normal(size=(40, 3)),
        np.full((40, 3), -5e30, np.float32),
        np.full((9000, 2), 7.0),
        np.array([[1e6, 0.1]] * 30) + 0.5 * RNG.random((30, 2)),
    ],
)
def test_all_the_same(X: np.ndarray) -> None:
    assert sameness(X) == ALL
    assert sameness(X.astype(np.float32)) == ALL


@pytest.mark.parametrize("rows", [1, 5, 20])
def test_nearly_all_the_same(rows: int) -> None:
    said = f"its encoding is the same for {400 - rows} of 400 samples, which is no encoding"
    assert sameness(alive(rows)) == said
    assert sameness(alive(rows)[RNG.permutation(400)]) == said


@pytest.mark.parametrize(
    "X",
    [
        alive(21),
        alive(200),
        np.eye(3),
        RNG.normal(size=(4, 1)),
        # What is large and the same for all does not hide what differs.
        np.hstack([np.full((40, 1), 1e4), RNG.normal(size=(40, 3))]),
        0.1 + 1e-4 * RNG.normal(size=(40, 3)),
        1e-30 * RNG.normal(size=(40, 3)).astype(np.float32),
        np.repeat([[0.0, 1.0], [1.0, 0.0]], 20, axis=0),
    ],
)
def test_an_encoding(X: np.ndarray) -> None:
    assert sameness(X) == ""


def test_of_torch() -> None:
    torch = pytest.importorskip("torch")
    assert sameness(torch.full((9, 2), 0.1)) == ALL
    assert sameness(torch.from_numpy(alive(3))).startswith("its encoding is the same for 397 of")
    assert sameness(torch.eye(4)) == ""
