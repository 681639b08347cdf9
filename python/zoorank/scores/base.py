"""What a score is: one number for how well an encoding separates the classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from zoorank.engine.arrays import as_matrix
from zoorank.engine.labels import number_classes

Array = npt.NDArray[Any]
Need = Literal["encoding", "source_probabilities", "source_labels", "labels"]


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

    @classmethod
    def of(cls, kept: Sequence[Any]) -> ScoreValue:
        """Make the value of which ``kept`` is :func:`dataclasses.astuple`, or its JSON."""
        value, half_width, per_class = kept
        return cls(value, half_width, tuple(per_class))


@dataclass(frozen=True, eq=False)
class SampleScore:
    """What a sample of rows, stratified by class, says about the score of all.

    Attributes
    ----------
    value : float
        The estimate.
    per_class : tuple of float
        Estimates of the score of each class, in the order of the sorted class labels.
    influence : ndarray of shape (n_drawn,)
        How ``value`` moves as the weight of a row within its class grows, up to a constant
        for each class: the variance of ``value`` is the sum over classes of the variance of
        their influences over the number of their rows drawn.
    """

    value: float
    per_class: tuple[float, ...]
    influence: Array


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
        ``compute(first, labels) -> ScoreValue``, where ``needs`` says what comes
        first, and labels have shape ``(n_samples,)``. Raises ValueError where the
        score is undefined.
    higher_is_better : bool
        Direction of the ranking.
    needs : tuple of Need
        What of a source and of the target it looks at, in the order of
        ``compute``: an ``"encoding"`` of shape ``(n_samples, n_features)``,
        ``"source_probabilities"`` of shape ``(n_samples, n_source_classes)``, which
        the source gives its own classes on the target's samples, or
        ``"source_labels"`` of shape ``(n_samples,)``, the likeliest of them; then
        ``"labels"``.
    cost : str
        Work for n samples, d features, K classes and Z classes of the source.
    on_device : bool
        Whether ``compute`` takes encodings that lie on a CUDA device, and computes there.
    identity : str
        Key of its values in a row; by default the metric, else the name.
    of_sample : callable or None
        ``of_sample(X, labels, shares) -> SampleScore`` for the encodings of some rows, where
        ``shares`` is what part of all rows each class is. None for a score whose value
        depends on the number of rows, or that was not shown not to: it cannot race.
    """

    name: str
    metric: str | None
    label: str
    compute: Callable[[Array, Array], ScoreValue]
    higher_is_better: bool = True
    needs: tuple[Need, ...] = ("encoding", "labels")
    cost: str = ""
    identity: str = ""
    of_sample: Callable[[Array, Array, Array], SampleScore] | None = None
    on_device: bool = False

    @property
    def key(self) -> str:
        """What its values are called in a row: unique among all scores."""
        return self.identity or self.metric or self.name

    @property
    def needs_head(self) -> bool:
        """Whether it looks at what the source's own classifier says."""
        return self.needs[0] != "encoding"


def checked(X: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Array, Array, int]:
    """An encoding and its labels, ready for arithmetic.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features)
    labels : array_like of shape (n_samples,)

    Returns
    -------
    X : ndarray of float64
    codes : ndarray of int64
        Classes numbered from 0.
    n_classes : int

    Raises
    ------
    ValueError
        If X holds NaN or infinity, naming the first bad row, or there are fewer
        than 2 classes.
    """
    matrix = np.asarray(as_matrix(X), dtype=np.float64)
    classes, codes = number_classes(labels, len(matrix))
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        what = "NaN" if np.isnan(matrix[row]).any() else "infinity"
        raise ValueError(f"row {row} of X holds {what}")
    if len(classes) < 2:
        raise ValueError(f"labels have {len(classes)} class; a score needs at least 2")
    return matrix, codes, len(classes)


def as_floats(values: npt.ArrayLike) -> tuple[float, ...]:
    """Plain Python floats, so that a frozen value compares and serialises."""
    return tuple(float(value) for value in np.asarray(values, dtype=np.float64))
