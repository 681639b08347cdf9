"""What an encoding must have to be scored, and what becomes of scores that it cannot have."""

from __future__ import annotations

from collections.abc import Sequence

from zoorank.scores import Computed, Score, ScoreValue
from zoorank.scores.base import Array

# Differences below this part of the largest number are rounding, not an encoding.
FLAT = 1e-6
FLAT_ENCODING = "its encoding is the same for all samples, which is no encoding"
_BLOCK = 4096


def is_flat(X: Array) -> bool:
    """Whether all rows are the same but for rounding; block by block, wherever they are.

    Examples
    --------
    >>> import numpy as np
    >>> is_flat(np.full((3, 2), 0.1)), is_flat(np.eye(3))
    (True, False)
    """
    first, spread, largest = X[:1], 0.0, 0.0
    for start in range(0, len(X), _BLOCK):
        block = X[start : start + _BLOCK]
        spread = max(spread, float(abs(block - first).max()))
        largest = max(largest, float(abs(block).max()))
        if spread > FLAT * largest:
            return False
    return True


def needed_values(scores: Sequence[Score], computed: Computed) -> dict[str, ScoreValue]:
    """The values of scores that an encoding has.

    Scores of what is not there, such as what a classifier says that the source does not have,
    are left out of its row.

    Raises
    ------
    ValueError
        With the reason, where a score failed that looks at what is there.
    """
    for score in scores:
        refused = computed.refused.get(score.key)
        if refused is not None and refused.traceback:
            raise ValueError(refused.reason)
    return dict(computed.values)


def unscored_reason(error: BaseException) -> str:
    """Why there is no score, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
