"""Data to measure with, and the definition that every answer is checked against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zoorank import _core

# Largest error in s that a computation in this type may make.
TOLERANCE = {np.dtype(np.float32): 5e-6, np.dtype(np.float64): 1e-12}

METRICS = _core.METRICS_OF_ROWS

_BLOCK_VALUES = 1 << 16  # differences at a time, so that they stay in second-level cache


@dataclass(frozen=True, eq=False)
class Problem:
    """Encodings with labels: `X`, a matrix (n, d) here or on a device, and `labels` (n,)."""

    X: Any
    labels: npt.NDArray[np.int64]

    @property
    def classes(self) -> int:
        """How many different labels there are."""
        return int(self.labels.max()) + 1


def make_problem(
    n: int, d: int, classes: int, dtype: npt.DTypeLike = np.float32, *, seed: int = 0
) -> Problem:
    """Normal classes, overlapping as the encodings of real models do.

    Parameters
    ----------
    n, d, classes : int
        Samples, features and classes; every class has a member.
    dtype : dtype
        float32 or float64.
    seed : int
        Of everything drawn: the same seed gives the same arrays.

    Returns
    -------
    Problem

    Examples
    --------
    >>> problem = make_problem(100, 8, 5)
    >>> problem.X.shape, problem.X.dtype, problem.classes
    ((100, 8), dtype('float32'), 5)
    """
    if not 2 <= classes < n:
        raise ValueError(f"classes must be at least 2 and less than n = {n}, got {classes}")
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % classes)
    X = rng.standard_normal((n, d), dtype=np.float32)
    X += 0.5 * rng.standard_normal((classes, d), dtype=np.float32)[labels]
    return Problem(X.astype(dtype, copy=False), labels)


def definition(
    problem: Problem, rows: npt.NDArray[np.int64], metric: str = "euclidean"
) -> npt.NDArray[np.float64]:
    """Silhouette coefficients of some rows by their definition, pair by pair in float64.

    Distances come from differences, never from products, so that nothing cancels.

    Parameters
    ----------
    problem : Problem
    rows : ndarray of int
        Which samples.
    metric : {"euclidean", "sqeuclidean", "cosine", "manhattan"}

    Returns
    -------
    ndarray of shape (len(rows),), float64

    Examples
    --------
    >>> problem = Problem(np.array([[0.0], [1.0], [10.0], [12.0]]), np.array([0, 0, 1, 1]))
    >>> definition(problem, np.arange(4)).round(3)
    array([0.909, 0.9  , 0.789, 0.826])
    """
    X = in_float64(problem.X, metric)
    size = np.bincount(problem.labels)
    samples = np.zeros(len(rows))
    for at, row in enumerate(rows):
        sums = np.bincount(problem.labels, weights=distances_to_row(X, X[row], metric))
        own = problem.labels[row]
        if size[own] == 1:
            continue
        a = sums[own] / (size[own] - 1)
        b = np.delete(sums / size, own).min()
        samples[at] = (b - a) / max(a, b) if max(a, b) > 0 else 0.0
    return samples


def sample_rows(problem: Problem, count: int, *, seed: int = 0) -> npt.NDArray[np.int64]:
    """`count` rows drawn without replacement, or all of them where there are fewer."""
    n = len(problem.X)
    return np.sort(np.random.default_rng(seed).choice(n, min(count, n), replace=False))


def largest_error(samples: Any, rows: npt.NDArray[np.int64], expected: Any) -> float:
    """The largest |Δs| over the rows that the definition was computed for."""
    return float(np.abs(np.asarray(samples)[rows] - expected).max())


def in_float64(X: npt.NDArray[Any], metric: str) -> npt.NDArray[np.float64]:
    """A copy in float64, its rows brought to length 1 for cosine."""
    copy: npt.NDArray[np.float64] = X.astype(np.float64)
    if metric == "cosine":
        copy /= np.linalg.norm(copy, axis=1, keepdims=True)
    return copy


def distances_to_row(
    X: npt.NDArray[np.float64], row: npt.NDArray[np.float64], metric: str
) -> npt.NDArray[np.float64]:
    """Distance of each row of `X` to one row, from differences; for cosine, of unit rows."""
    out = np.empty(len(X))
    step = max(1, _BLOCK_VALUES // X.shape[1])
    for begin in range(0, len(X), step):
        difference = X[begin : begin + step] - row
        if metric == "manhattan":
            out[begin : begin + step] = np.abs(difference).sum(axis=1)
        else:
            out[begin : begin + step] = np.einsum("ij,ij->i", difference, difference)
    if metric == "cosine":
        return out / 2
    return np.sqrt(out) if metric == "euclidean" else out
