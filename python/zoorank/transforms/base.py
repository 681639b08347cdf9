"""What turns samples into batches, in two steps: one sample alone, then several together.

A sample is prepared once, ahead of the model and in any order, and what is prepared may be
shared by all sources whose transforms have the same key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from zoorank.targets.base import Sample, Target

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


ONLY = ""  # the name of an input where a model has only one


@dataclass(frozen=True)
class Prepared:
    """One sample, ready to be put into a batch.

    Attributes
    ----------
    value : object
        uint8 pixels at the model's size, token ids, a waveform: of NumPy, of no framework.
    length : int
        Samples of like length are put together: tokens of a text, 1 where all are alike.
    truncated : bool
        Whether the sample was longer than the model takes.
    """

    value: Any
    length: int = 1
    truncated: bool = False


@dataclass(frozen=True)
class Batch:
    """What a model is given at once.

    Attributes
    ----------
    inputs : mapping of str to ndarray
        By the name of the model's input, samples along the first axis; `ONLY` is the name
        where it has one.
    samples : int
    words : tuple of ndarray of int64, or None
        For samples whose words are rows of the encoding: of each sample the places of its
        words' tokens, as the transform and the encoder agree.
    rows : int
        Rows of the encodings that it gives: one a sample, or one a word.
    """

    inputs: Mapping[str, NDArray[Any]]
    samples: int
    words: tuple[NDArray[np.int64], ...] | None = None

    @property
    def rows(self) -> int:
        """Rows of the encodings that it gives."""
        return self.samples if self.words is None else sum(map(len, self.words))

    @property
    def only(self) -> NDArray[Any]:
        """The one input of a model that has one."""
        (value,) = self.inputs.values()
        return value


class Transform(Protocol):
    """Samples to batches as one model wants them."""

    @property
    def key(self) -> str:
        """Equal keys share prepared samples."""

    def fitted(self, target: Target) -> Transform:
        """The same with what it needs to know of the whole target, such as its mean.

        Raises
        ------
        SourceError
            When a model with this transform cannot be fed this target.
        """

    def prepare(self, sample: Sample) -> Prepared:
        """Prepare one sample; it comes out the same whichever others there are."""

    def collate(self, prepared: Sequence[Prepared]) -> Batch:
        """Put prepared samples into one batch."""
