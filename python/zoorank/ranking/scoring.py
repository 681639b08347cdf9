"""One encoding scored: what each score is given, and what is kept of its values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from zoorank.encoding.plan import Encoding
from zoorank.engine import cuda
from zoorank.engine.arrays import on_device
from zoorank.scores import Score, ScoreValue
from zoorank.scores.base import Array, Need

Facts = Mapping[Need, Array]

# Differences below this part of the largest number are rounding, not an encoding.
FLAT = 1e-6
_BLOCK = 4096


class View:
    """One encoding as each score looks at it: where it is, or on the host.

    One that is on a CUDA device is given to the scores that compute there; the others get one
    copy in host memory, made when the first of them asks.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self.cut = encoding.cut
        self.values = encoding.values
        self._is_there = on_device(self.values)
        self._host: Array | None = None
        self.copied: list[str] = []  # labels of the scores that got a copy

    def of(self, score: Score) -> Array:
        """The encoding as the score is given it."""
        if score.on_device and not (self._is_there and cuda.unavailable_reason()):
            there: Array = self.values
            return there
        if self._host is None:
            self._host = self._encoding.load()  # no copy where it is on the host
        if self._is_there and self._encoding.is_only_copy:
            self.copied.append(score.label)
        host: Array = self._host
        return host


def computed(
    scores: Sequence[Score],
    facts: Facts,
    encoding_for: Callable[[Score], Array],
    known: dict[str, ScoreValue],
) -> dict[str, ScoreValue]:
    """All scores that the facts allow.

    Parameters
    ----------
    scores : sequence of Score
    facts : mapping
        What there is to score beside the encoding.
    encoding_for : callable
        Gives the encoding as a score looks at it.
    known : dict
        Values that no cut of a source changes, kept here for its other cuts.

    Raises
    ------
    ValueError
        Where a score is undefined or not finite.
    """
    values = {}
    for score in scores:
        if not set(score.needs) <= {*facts, "encoding"}:
            continue
        value = known.get(score.key)
        if value is None:
            given = [
                encoding_for(score) if need == "encoding" else facts[need] for need in score.needs
            ]
            value = value_of(score, *given)
            if not score.varies_with_cut:
                known[score.key] = value
        values[score.key] = value
    return values


def value_of(score: Score, *arrays: Array) -> ScoreValue:
    """One score; ValueError where no order can be made of it."""
    value = score.compute(*arrays)
    check_finite(score, value.value)
    return value


def is_flat(X: Array) -> bool:
    """Whether all rows are the same but for rounding; block by block, wherever they are.

    Examples
    --------
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


def unscored_reason(error: BaseException) -> str:
    """Why there is no score, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def check_finite(score: Score, value: float) -> None:
    """Refuse a value that no order can be made of."""
    if not math.isfinite(value):
        raise ValueError(f"{score.label} is {value}")
