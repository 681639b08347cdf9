"""Feature extractors of transformers: sounds as the models that they come with want them."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from zoorank.errors import SourceError
from zoorank.messages import one_line
from zoorank.sources.base import Entry
from zoorank.targets import audio
from zoorank.targets.base import Sample, Target
from zoorank.transforms.base import Batch, Prepared
from zoorank.transforms.specs import AudioPreprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASK, REAL = "attention_mask", "real_steps"

_TRIAL = (0.6, 0.9)  # seconds of two sounds that show what depends on the length
_KALDI = (0.025, 0.01)  # window and hop of extractors that do not say which frames are real
# The most that an extractor may say, for it makes room for it at once: samples of three minutes
# at 44.1 kHz, and less of what stands for many of them.
_SAMPLES = 2**23
_MOST = dict.fromkeys(("max_length", "nb_max_frames"), 2**16) | {"sampling_rate": 2**18}
_MOST |= dict.fromkeys(
    ("feature_size", "num_mel_bins", "n_fft", "fft_window_size", "fft_length", "win_length"), 2**13
)
_REPLACED = {"input", "seconds", "pooling", "batch_first", "scaling", "mean", "std"}


class Features(NamedTuple):
    """One sound as an extractor gives it.

    Attributes
    ----------
    values : ndarray of float32, shape (steps,), (steps, bands) or (bands, steps)
    real : int
        Steps that are sound; those behind are padding.
    """

    values: NDArray[np.float32]
    real: int


@dataclass(frozen=True)
class ExtractorTransform:
    """Sounds as a feature extractor prepares them.

    Attributes
    ----------
    extractor : transformers.SequenceFeatureExtractor
    seconds : float or None
        What is kept of a sound; None keeps what the extractor does.
    least : int
        Samples that the model needs; shorter sounds are filled up with silence.
    is_told : bool
        Whether the model takes a mask of what is padding.
    """

    extractor: Any = field(repr=False)
    seconds: float | None = None
    least: int = 1
    is_told: bool = False

    @cached_property
    def key(self) -> str:
        """The content of the extractor, and what is kept of a sound."""
        kind = type(self.extractor).__qualname__
        content = f"{kind} {self.extractor.to_json_string()} {self.least}"
        return f"extractor {hashlib.sha256(content.encode()).hexdigest()} {self.seconds}"

    @cached_property
    def trial(self) -> tuple[Features, Features]:
        """Two sounds of different length, prepared."""
        rate = self.extractor.sampling_rate
        waves = [np.sin(np.arange(round(rate * seconds)) / 9) for seconds in _TRIAL]
        first, second = (self._features(np.float32(wave)) for wave in waves)
        return first, second

    @property
    def name(self) -> str:
        """What the model calls the features."""
        return str(self.extractor.model_input_names[0])

    @property
    def is_fixed(self) -> bool:
        """Whether features are of one length, whatever that of the sound."""
        first, second = self.trial
        return first.values.shape == second.values.shape

    @cached_property
    def axis(self) -> int:
        """Which axis of the features is time: the one that grows, or else the longer one."""
        first, second = self.trial
        shapes = zip(first.values.shape, second.values.shape, strict=True)
        grown = [axis for axis, (one, other) in enumerate(shapes) if one != other]
        return grown[0] if grown else int(np.argmax(first.values.shape))

    def fitted(self, target: Target) -> ExtractorTransform:
        """Return the same, once the target holds sounds."""
        if target.modality != "audio":
            raise SourceError(f"needs sounds; the target holds {target.modality} samples")
        return self

    def prepare(self, sample: Sample) -> Prepared:
        """Make the features of one sound."""
        wave, rate = audio.decode(sample) if isinstance(sample, Path | bytes) else sample
        own = int(self.extractor.sampling_rate)
        wave = audio.resample(np.asarray(wave, dtype=np.float32), rate, own)
        kept = len(wave) if self.seconds is None else max(1, round(self.seconds * own))
        found = self._features(wave[:kept])
        longest = getattr(self.extractor, "n_samples", None)
        if longest is None and self.is_fixed:
            longest = round((found.values.shape[self.axis] * _KALDI[1] + _KALDI[0]) * own)
        truncated = len(wave) > min(kept, longest or kept)
        return Prepared(found, length=found.values.shape[self.axis], truncated=truncated)

    def _features(self, wave: NDArray[np.float32]) -> Features:
        extractor = self.extractor
        window, hop = (round(each * extractor.sampling_rate) for each in _KALDI)
        filled = np.pad(wave, (0, max(0, max(self.least, window) - len(wave))))
        try:
            found = extractor(
                filled,
                sampling_rate=extractor.sampling_rate,
                return_tensors="np",
                return_attention_mask=True,
            )
            values = np.asarray(found[self.name][0], dtype=np.float32)
        except Exception as error:  # an extractor is a library's code: anything may come
            kind = type(extractor).__name__
            raise SourceError(f"its {kind} cannot prepare a sound: {one_line(error)}") from error
        if MASK in found:
            return Features(values, int(found[MASK][0].sum()))
        frames = max(1, 1 + (len(filled) - window) // hop)
        return Features(values, min(max(values.shape), frames))

    def collate(self, prepared: Sequence[Prepared]) -> Batch:
        """Put the features of several sounds into one batch, shorter ones padded behind."""
        every: list[Features] = [each.value for each in prepared]
        longest = max(each.values.shape[self.axis] for each in every)
        padding = float(getattr(self.extractor, "padding_value", 0.0))
        values = []
        for each in every:
            widths = [(0, 0)] * each.values.ndim
            widths[self.axis] = (0, longest - each.values.shape[self.axis])
            values.append(np.pad(each.values, widths, constant_values=padding))
        real = np.array([each.real for each in every], dtype=np.int64)
        inputs: dict[str, NDArray[Any]] = {self.name: np.stack(values), REAL: real}
        if self.is_told:
            inputs[MASK] = (np.arange(longest) < real[:, None]).astype(np.int64)
        return Batch(inputs, len(every))


def check_sizes(said: Mapping[str, Any]) -> None:
    """Refuse an extractor that would fill the memory with filters or silence.

    Parameters
    ----------
    said : mapping
        What its file says of it.

    Raises
    ------
    SourceError
    """
    for name, value in said.items():
        if not isinstance(value, int | float):
            continue
        most = _MOST.get(name, _SAMPLES)
        if value > most or (name in _MOST and value < 1):
            raise SourceError(f"its extractor's {name} is {value:g}; 1 to {most} is taken")
    if "n_samples" in said and said.get("feature_size") == 1:
        # transformers would fill up a square of as many samples each way.
        raise SourceError("its extractor makes bands of waves, and its feature_size is 1")


def override_extractor(extractor: Any, entry: Entry) -> tuple[Any, float | None]:
    """What the manifest says of sounds, over what an extractor does.

    Returns
    -------
    extractor : transformers.SequenceFeatureExtractor
        With scaling, mean and deviation as the manifest says them.
    seconds : float or None

    Raises
    ------
    SourceError
        For a part that is not the manifest's to replace.
    """
    said = entry.preprocessing
    if said is None:
        return extractor, None
    kind = type(extractor).__name__
    if not isinstance(said, AudioPreprocessing):
        raise SourceError(f"preprocessing.input is {said.input!r}, but the model takes 'audio'")
    extractor, parts = copy.copy(extractor), said.model_fields_set
    if "rate" in parts and said.rate != extractor.sampling_rate:
        raise SourceError(f"preprocessing.rate: its {kind} takes {extractor.sampling_rate}")
    if fixed := parts - _REPLACED - {"rate"}:
        raise SourceError(f"preprocessing.{min(fixed)}: its {kind} settles that")
    if "scaling" in parts:
        if not hasattr(extractor, "do_normalize"):
            raise SourceError(f"preprocessing.scaling: its {kind} settles that")
        extractor.do_normalize = said.scaling == "standardize_each"
    for part in parts & {"mean", "std"}:
        if not hasattr(extractor, part):
            raise SourceError(f"preprocessing.{part}: its {kind} subtracts and divides by nothing")
        setattr(extractor, part, getattr(said, part))
    return extractor, said.seconds
