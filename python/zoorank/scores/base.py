"""What a score is, what it may look at, and what several make of one encoding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt

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
    key : str
        What its values are called in a row: unique among all scores. This and what follows is
        made of the others.
    needs_head : bool
        Whether it looks at what the source's own classifier says.
    needs_source_data : bool
        Whether it looks at the data that the source was trained on.
    varies_with_cut : bool
        Whether the cuts of one source can differ in it.
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

    key: str = field(init=False, repr=False, compare=False)
    needs_head: bool = field(init=False, repr=False, compare=False)
    needs_source_data: bool = field(init=False, repr=False, compare=False)
    varies_with_cut: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        heads = {"source_probabilities", "source_labels"}
        derived = {
            "key": self.identity or "_".join(filter(None, (self.name, self.metric))),
            "needs_head": not heads.isdisjoint(self.needs),
            "needs_source_data": "source_prototypes" in self.needs,
            "varies_with_cut": "encoding" in self.needs,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of a source, cut somewhere, and of a target.

    Attributes
    ----------
    labels : array_like of shape (n_samples,)
        Of the target: classes, or the numbers to predict.
    encoding : array_like of shape (n_samples, n_features), optional
        In host memory or on a CUDA device. Scores that do not compute there get a copy in host
        memory, one for all.
    task : {"classes", "numbers"}
        What the labels are.
    groups : array_like of shape (n_samples,), optional
        Samples that belong together, such as the pictures of one patient. Heads are tested on
        groups that they were not trained on, and no neighbour is of the sample's own group. The
        other scores do not look at them.
    source_probabilities, source_labels, prototypes, source_prototypes : ndarray, optional
        As under ``needs`` of a :class:`zoorank.scores.Score`.
    """

    labels: Any
    encoding: Any = None
    task: Task = "classes"
    groups: Any = None
    source_probabilities: Array | None = None
    source_labels: Array | None = None
    prototypes: Array | None = None
    source_prototypes: Array | None = None


@dataclass(frozen=True)
class Refused:
    """Why a score has no value.

    Attributes
    ----------
    reason : str
        In one line.
    traceback : str
        Where it was raised; empty where the score was not computed at all.
    """

    reason: str
    traceback: str = ""


@dataclass(frozen=True)
class Computed:
    """The scores of one encoding.

    Attributes
    ----------
    values : mapping of str to ScoreValue
        By :attr:`zoorank.scores.Score.key`, in the order of the scores, all finite.
    refused : mapping of str to Refused
        The others.
    copied : tuple of str
        Keys of those that got a copy of an encoding that lies on a device.
    """

    values: Mapping[str, ScoreValue]
    refused: Mapping[str, Refused] = field(default_factory=dict)
    copied: tuple[str, ...] = ()
