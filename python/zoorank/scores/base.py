"""What a score is: one number for how well an encoding separates the classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Need = Literal["encoding", "labels"]


@dataclass(frozen=True)
class ScoreValue:
    """What one score says about one encoding.

    Attributes
    ----------
    value : float
        The score itself.
    half_width : float
        Half the width of its confidence interval; 0.0 when the value is exact.
    per_class : tuple of float
        The score of each class, in the order of the sorted class labels; empty
        for a score that has no such parts.
    """

    value: float
    half_width: float = 0.0
    per_class: tuple[float, ...] = ()


@dataclass(frozen=True)
class Score:
    """One way to score an encoding, and what a caller must know to use it.

    Attributes
    ----------
    name : str
        The family the user names, such as ``"silhouette"``.
    metric : str or None
        The distance it is built on; None for a score that uses none.
    label : str
        Heading of its column in a table.
    compute : callable
        ``compute(X, labels) -> ScoreValue`` for X of shape ``(n_samples,
        n_features)`` and labels of shape ``(n_samples,)``. Raises ValueError
        where the score is undefined.
    higher_is_better : bool
        Direction of the ranking.
    needs : tuple of {"encoding", "labels"}
        What of a source and a target it looks at.
    cost : str
        Work for n samples, d features and K classes.
    """

    name: str
    metric: str | None
    label: str
    compute: Callable[[Array, Array], ScoreValue]
    higher_is_better: bool = True
    needs: tuple[Need, ...] = ("encoding", "labels")
    cost: str = ""

    @property
    def key(self) -> str:
        """The metric, or the name of a score without one: unique within a table row."""
        return self.metric or self.name


def as_floats(values: npt.ArrayLike) -> tuple[float, ...]:
    """Plain Python floats, so that a frozen value compares and serialises."""
    return tuple(float(value) for value in np.asarray(values, dtype=np.float64))
