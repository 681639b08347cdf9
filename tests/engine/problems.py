"""Data on which silhouettes are easy to get wrong."""

import dataclasses

import numpy as np
from hypothesis import strategies as st

# Around the widths of vectors, register tiles and blocks of every instruction set.
FEATURES = (1, 2, 7, 8, 15, 16, 17, 31, 33, 100)
SAMPLES = (3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 47, 49, 100, 239, 241, 300)

KINDS = {
    "plain": lambda rng, X, y: X,
    "offset": lambda rng, X, y: X + 1e4,
    "tight far apart": lambda rng, X, y: (
        X + 1e4 * rng.standard_normal((y.max() + 1, X.shape[1]))[y]
    ),
    "tight and near": lambda rng, X, y: (
        1e-3 * X + rng.standard_normal((y.max() + 1, X.shape[1]))[y]
    ),
    "duplicates": lambda rng, X, y: X[rng.integers(0, max(1, len(X) // 4), len(X))],
    "outliers": lambda rng, X, y: np.where(np.arange(len(X))[:, None] < 2, 1e5, X),
    "integers": lambda rng, X, y: np.round(2 * X),
    "huge": lambda rng, X, y: 1e30 * X,
    "tiny": lambda rng, X, y: 1e-30 * X,
    "zero rows": lambda rng, X, y: np.where(rng.random((len(X), 1)) < 0.2, 0, X),
    "all equal": lambda rng, X, y: np.ones_like(X),
}


@dataclasses.dataclass
class Problem:
    X: np.ndarray
    labels: np.ndarray
    kind: str


def make(kind, n, d, classes, dtype, seed):
    """A problem with at least one sample in each of `classes` classes."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    rng.shuffle(y)
    X = KINDS[kind](rng, rng.standard_normal((n, d)), y)
    return Problem(np.ascontiguousarray(X, dtype=dtype), y, kind)


def overlapping(n, d, classes, dtype=np.float32):
    """Normal classes that overlap as those of real encodings do."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(n) % classes)
    X = rng.standard_normal((n, d), dtype=np.float32)
    X += 0.5 * rng.standard_normal((classes, d), dtype=np.float32)[labels]
    return Problem(X.astype(dtype), labels, "overlapping")


@st.composite
def problems(draw, kinds=tuple(KINDS), dtypes=(np.float32, np.float64)):
    n = draw(st.sampled_from(SAMPLES))
    classes = draw(st.one_of(st.sampled_from([2, n - 1]), st.integers(2, n - 1)))
    return make(
        draw(st.sampled_from(kinds)),
        n,
        draw(st.sampled_from(FEATURES)),
        classes,
        draw(st.sampled_from(dtypes)),
        draw(st.integers(0, 2**32 - 1)),
    )
