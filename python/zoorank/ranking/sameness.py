"""Whether an encoding tells samples apart at all."""

from __future__ import annotations

from zoorank.encoding.feed import to_host
from zoorank.scores.base import Array

# What differs by less than this part of the number itself, or of the largest one, is rounding.
_OWN, _LARGEST = 1e-5, 1e-6
_SHARE = 0.95  # of samples that may not all be the same
_PICKED = 9
_BLOCK = 4096


def sameness(X: Array) -> str:
    """Say of an encoding that is the same for nearly all samples that it is none.

    A network whose units are dead gives one row for all samples, but for a few of one class
    perhaps: by most scores that row would be far from the few, and first of all encodings.

    Parameters
    ----------
    X : array of shape (n_rows, n_features)
        Wherever it is; it is read block by block.

    Returns
    -------
    str
        Empty for an encoding.

    Examples
    --------
    >>> import numpy as np
    >>> sameness(np.full((3, 2), 0.1))
    'its encoding is the same for all samples, which is no encoding'
    >>> sameness(np.eye(3))
    ''
    """
    common = _common_row(X)
    if common is None:
        return ""
    row, n_rows = X[common], len(X)
    largest, others = abs(row).max(), 0
    for start in range(0, n_rows, _BLOCK):
        block = X[start : start + _BLOCK]
        near = abs(block - row) <= _OWN * abs(row) + _LARGEST * largest
        others += len(block) - int(near.all(1).sum())
        if others > (1 - _SHARE) * n_rows:
            return ""
    which = f"{n_rows - others:,} of {n_rows:,}" if others else "all"
    return f"its encoding is the same for {which} samples, which is no encoding"


def _common_row(X: Array) -> int | None:
    """A row that others repeat, if any is repeated by most."""
    places = sorted({len(X) * k // _PICKED for k in range(_PICKED)})
    rows = to_host(X[places]).astype("f8")
    largest = abs(rows).max()
    counts = [
        (abs(rows - row) <= _OWN * abs(row) + _LARGEST * largest).all(axis=1).sum() for row in rows
    ]
    best = max(range(len(places)), key=lambda place: int(counts[place]))
    return places[best] if 2 * counts[best] > len(places) else None
