"""What passes where an encoder is trained with a new head: plain records; no framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from zoorank.targets.base import Target

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TrainingSplit:
    """Rows of a target to train on, to stop early by, and to test on."""

    train: NDArray[np.int64]
    stop: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class TrainingOptions:
    """How to train a cut source with a new head.

    Attributes
    ----------
    seed : int
        Of the head and the order of the samples.
    epochs : int
        At most, with what is kept of the source trained too.
    patience : int
        Epochs without a smaller loss on the stopping rows after which to stop.
    batch_size : int
    rate : float
        Learning rate of the head and of the layers next to the cut.
    deadline : float
        Time of ``time.monotonic`` after which no further batch is begun.
    """

    seed: int
    epochs: int
    patience: int = 2
    batch_size: int = 32
    rate: float = 2e-4
    deadline: float = float("inf")


@dataclass(frozen=True)
class Training:
    """What became of one training; where numbers are predicted, R² stands for accuracy.

    Attributes
    ----------
    frozen_accuracy : float
        On the test rows, of the head on the frozen prefix.
    accuracy : float
        On the test rows, after the prefix was trained too.
    curve : tuple of float
        Accuracy on the stopping rows, with the prefix frozen and then after every epoch.
    best_epoch : int
        Whose state was tested; 0 where training the prefix did not help.
    seconds : float
    complete : bool
        Whether it ended by itself and not at the deadline.
    """

    frozen_accuracy: float
    accuracy: float
    curve: tuple[float, ...]
    best_epoch: int
    seconds: float
    complete: bool


@runtime_checkable
class Trainable(Protocol):
    """An encoder whose prefix can be trained with a new head."""

    def train(
        self,
        target: Target,
        cut: str,
        split: TrainingSplit,
        options: TrainingOptions,
        on_epoch: Callable[[int, float], None],
    ) -> Training:
        """Train a head with the prefix frozen, then the prefix too.

        Raises
        ------
        SourceError
            When the source cannot be cut, fed or trained.
        """
