"""A random subset of the rows, the same one that scikit-learn draws for the same seed."""

from __future__ import annotations

import numbers
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from zoorank.engine.arrays import Matrix, number_classes, to_host
from zoorank.engine.options import check_integer
from zoorank.engine.rows import MemoryRows, open_rows
from zoorank.messages import bad_row

RandomState = int | np.random.RandomState | np.random.Generator | None

_Integers = npt.NDArray[np.int64]

_CHECKED_AT_ONCE = 1 << 24  # numbers


def check_size(sample_size: SupportsIndex | None) -> int | None:
    """How many rows to draw, or None for all without a draw."""
    if sample_size is None:
        return None
    size = check_integer(sample_size, "sample_size", "an integer of at least 2 or None")
    if size < 2:
        raise ValueError(f"sample_size must be at least 2 or None (all rows), got {size}")
    return size


def check_legacy_state(random_state: Any) -> np.random.RandomState | np.random.Generator:
    """What :func:`sklearn.utils.check_random_state` makes of a seed; a Generator stays one.

    None is NumPy's global state, which ``numpy.random.seed`` sets.
    """
    if random_state is None or random_state is np.random:
        return np.random.mtrand._rand  # noqa: SLF001  scikit-learn's way to it
    if isinstance(random_state, np.random.RandomState | np.random.Generator):
        return random_state
    allowed = (
        "random_state must be None, an integer from 0 to 2**32 - 1, a numpy.random.RandomState "
        f"or a numpy.random.Generator, got {random_state!r}"
    )
    if not isinstance(random_state, numbers.Integral):
        raise TypeError(allowed)
    seed = int(random_state)
    if not 0 <= seed < 2**32:
        raise ValueError(allowed)
    return np.random.RandomState(seed)


def draw_subset(
    X: Any,
    labels: Any,
    metric: str,
    size: int,
    state: np.random.RandomState | np.random.Generator,
) -> tuple[Matrix, _Integers, _Integers]:
    """Draw rows and their classes, for silhouettes within the draw.

    Parameters
    ----------
    X : array_like, path or list of shards
        Of a file the drawn rows alone are looked at; of an array all, as scikit-learn does.
        An array on a device is copied to the host for it.
    labels : array_like of shape (n,)
    metric : str
        Distances of ``"precomputed"`` are cut on both axes.
    size : int
        More than there are rows draws all of them, in random order.
    state : numpy.random.RandomState or numpy.random.Generator

    Returns
    -------
    rows : ndarray of shape (m, d), or (m, m) for ``metric="precomputed"``
    codes : ndarray of shape (m,)
    drawn : ndarray of shape (m,)
        Which rows of `X` they are.

    Raises
    ------
    ValueError
        For a row of NaN or infinity, or a draw of too few classes or of too many.
    """
    rows = open_rows(to_host(X))
    n, width = rows.shape
    _, codes = number_classes(labels, n)
    if metric == "precomputed" and n != width:
        raise ValueError(f"a precomputed distance matrix must be square, got {n} x {width}")
    if isinstance(rows, MemoryRows):
        _refuse_bad(rows.matrix)
    drawn: _Integers = state.permutation(n)[:size].astype(np.int64, copy=False)
    codes = codes[drawn]
    classes = len(np.unique(codes))
    if not 2 <= classes < len(drawn):
        mend = "; draw more" if len(drawn) < n else ""
        raise ValueError(
            f"silhouettes need 2 to n_samples - 1 classes, and the {len(drawn)} rows that were "
            f"drawn of {n} have {classes}{mend}"
        )
    taken = rows.take(drawn)
    return taken[:, drawn] if metric == "precomputed" else taken, codes, drawn


@contextmanager
def rows_named(drawn: _Integers) -> Iterator[None]:
    """Let an error about a row of a subset name the row of the whole."""
    try:
        yield
    except ValueError as error:
        text = re.sub(
            r"(?<=\brow )\d+$|(?<=\brow is )\d+$", lambda m: str(drawn[int(m[0])]), str(error)
        )
        raise ValueError(text) from None


def _refuse_bad(matrix: Matrix) -> None:
    step = max(1, _CHECKED_AT_ONCE // matrix.shape[1])
    for first in range(0, len(matrix), step):
        if found := bad_row(matrix[first : first + step]):
            raise ValueError(f"X holds NaN or infinity; the first bad row is {first + found[0]}")
