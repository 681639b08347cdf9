"""What a score is: one number for how well an encoding tells the labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from zoorank.engine.arrays import as_matrix, number_classes
from zoorank.messages import bad_row

if TYPE_CHECKING:
    from zoorank.scores.shared import Shared

Array = npt.NDArray[Any]
Task = Literal["classes", "numbers"]
Need = Literal[
    "encoding",
    "source_probabilities",
    "source_labels",
    "labels",
    "prototypes",
    "source_prototypes",
]
CLASSES: frozenset[Task] = frozenset({"classes"})
NUMBERS: frozenset[Task] = frozenset({"numbers"})


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
    bias : float
        How far ``value`` is expected to be off on average, whatever the rows drawn; 0 where
        nobody can tell. It is not taken off ``value``.
    class_biases : tuple of float
        The same of ``per_class``; empty where ``bias`` is all there is.
    """

    value: float
    per_class: tuple[float, ...]
    influence: Array
    bias: float = 0.0
    class_biases: tuple[float, ...] = ()


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
        Takes one array for each of ``needs``, in that order, and returns a ScoreValue.
        Raises ValueError where the score is undefined. Many scores at once are computed by
        :func:`zoorank.scores.compute`.
    higher_is_better : bool
        Direction of the ranking.
    needs : tuple of Need
        What of a source and of the target it looks at:

        - ``"encoding"`` of shape ``(n_samples, n_features)``;
        - ``"source_probabilities"`` of shape ``(n_samples, n_source_classes)``, which
          the source gives its own classes on the target's samples;
        - ``"source_labels"`` of shape ``(n_samples,)``, the likeliest of them;
        - ``"labels"`` of shape ``(n_samples,)``, those of the target: classes, or the
          numbers to predict;
        - ``"prototypes"`` of shape ``(n_classes, n_variables, length)``, a time series
          for each class of the target;
        - ``"source_prototypes"``, the same of the data that the source was trained on.
    cost : str
        Work for n samples, d features, K classes and Z classes of the source.
    tasks : frozenset of {"classes", "numbers"}
        Whether labels may be classes or numbers to predict.
    on_device : bool
        Whether ``compute`` takes encodings that lie on a CUDA device, and computes there.
    identity : str
        Key of its values in a row; by default the name, and the metric where it has one.
    of_sample : callable or None
        ``of_sample(X, labels, sizes) -> SampleScore`` for the encodings of some rows, where
        ``sizes`` is how many of all rows each class has. None for a score whose value
        depends on the number of rows, or that was not shown not to: it cannot race.
    of_shared : callable or None
        ``of_shared(shared) -> ScoreValue``, the same as ``compute`` from what the scores of one
        encoding share. A score with two tasks does here what its encoding's task is.
    draws_on : str
        The part of that which it takes longest to make, if any. Scores that draw on one part
        follow each other on one thread.
    """

    name: str
    metric: str | None
    label: str
    compute: Callable[..., ScoreValue]
    higher_is_better: bool = True
    needs: tuple[Need, ...] = ("encoding", "labels")
    cost: str = ""
    identity: str = ""
    of_sample: Callable[[Array, Array, Array], SampleScore] | None = None
    on_device: bool = False
    tasks: frozenset[Task] = CLASSES
    of_shared: Callable[[Shared], ScoreValue] | None = None
    draws_on: str = ""

    @cached_property
    def key(self) -> str:
        """What its values are called in a row: unique among all scores."""
        return self.identity or "_".join(filter(None, (self.name, self.metric)))

    @cached_property
    def needs_head(self) -> bool:
        """Whether it looks at what the source's own classifier says."""
        return not {"source_probabilities", "source_labels"}.isdisjoint(self.needs)

    @cached_property
    def needs_source_data(self) -> bool:
        """Whether it looks at the data that the source was trained on."""
        return "source_prototypes" in self.needs

    @cached_property
    def varies_with_cut(self) -> bool:
        """Whether the cuts of one source can differ in it."""
        return "encoding" in self.needs


def checked(X: npt.ArrayLike, labels: npt.ArrayLike, name: str = "X") -> tuple[Array, Array, int]:
    """An encoding and its labels, ready for arithmetic.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features)
    labels : array_like of shape (n_samples,)
    name : str
        What messages call X.

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
    matrix = np.asarray(as_matrix(X, name), dtype=np.float64)
    codes, n_classes = several_classes(labels, len(matrix))
    refuse_bad_rows(matrix, name)
    return matrix, codes, n_classes


def several_classes(labels: npt.ArrayLike, n_samples: int) -> tuple[Array, int]:
    """Labels numbered from 0, and how many there are; ValueError for fewer than 2."""
    classes, codes = number_classes(labels, n_samples)
    if len(classes) < 2:
        raise ValueError(f"labels have {len(classes)} class; a score needs at least 2")
    return codes, len(classes)


def refuse_bad_rows(X: Array, name: str = "X") -> None:
    """Raise ValueError where X holds NaN or infinity, naming the first bad row."""
    if not np.isfinite(X).all():
        row, what = bad_row(X)
        raise ValueError(f"row {row} of {name} holds {what}")


def standardised(values: Array, axis: int) -> Array:
    """Values of mean 0 and variance 1 along an axis; those that are all equal become 0."""
    centred = values - values.mean(axis=axis, keepdims=True)
    deviation = centred.std(axis=axis, keepdims=True)
    flat = deviation <= 1e-12 * np.abs(values).max(axis=axis, keepdims=True)
    scaled: Array = np.where(flat, 0.0, centred / np.where(flat, 1.0, deviation))
    return scaled
