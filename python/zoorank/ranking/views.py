"""One encoding as each score looks at it: where it is, or on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

import numpy as np

import zoorank
from zoorank.engine import cuda
from zoorank.engine.arrays import on_device
from zoorank.scores import TABLE, Score, ScoreValue
from zoorank.scores.base import Array

if TYPE_CHECKING:
    from zoorank.encoding.plan import Encoding


class Views:
    """What the scores of one encoding are given.

    Parameters
    ----------
    encoding : Encoding or ndarray
        One that is on a CUDA device is given to the scores that compute there; the others
        get one copy in host memory, made when the first of them asks.

    Attributes
    ----------
    copied : list of str
        Labels of the scores that got the copy.
    results : dict
        Every value, once there are all, by :func:`result_names`.
    """

    def __init__(self, encoding: Encoding | Array) -> None:
        self._encoding = encoding
        self._values: Any = None
        self._host: Array | None = None
        self.copied: list[str] = []
        self.results: dict[str, Any] = {}

    def of(self, score: Score) -> Any:
        """The encoding as the score is given it."""
        if isinstance(self._encoding, np.ndarray):
            return self._encoding
        if self._values is None:
            self._values = self._encoding.values
        there = on_device(self._values)
        if score.on_device and not (there and cuda.unavailable_reason()):
            return self._values
        if self._host is None:
            self._host = self._encoding.load()  # no copy where it is on the host
        if there and self._encoding.is_only_copy:
            self.copied.append(score.label)
        return self._host


def result_names(scores: Sequence[Score]) -> list[str]:
    """Under what the results of scores are kept, or nothing if one of them may not be reused.

    A result belongs to the version of zoorank that computed it. Other packages' scores have
    versions that are not known here, and an encoding's key knows nothing of the data of sources.
    """
    if any(score not in TABLE or score.needs_source_data for score in scores):
        return []
    return [f"{score.key}, zoorank {zoorank.__version__}" for score in scores]


def results_of(scores: Sequence[Score], values: Mapping[str, ScoreValue]) -> dict[str, Any]:
    """What to keep of the values of some of the scores."""
    there = [score for score in scores if score.key in values]
    names = result_names(there)
    return {name: astuple(values[score.key]) for name, score in zip(names, there, strict=False)}
