"""Sounds as a network wants them: one channel at its rate, of its length, or their mel bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoorank.errors import SourceError
from zoorank.targets import audio
from zoorank.targets.base import Sample, Target
from zoorank.transforms.base import ONLY, Batch, Prepared
from zoorank.transforms.specs import AudioPreprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMALLEST = 1e-7  # added to a variance, as Wav2Vec2's own preprocessing does; and before logs
_SMALLEST_POWER = 1e-6


@dataclass(frozen=True)
class AudioTransform:
    """Resample, cut and lay out sounds.

    Attributes
    ----------
    spec : AudioPreprocessing
    """

    spec: AudioPreprocessing

    @property
    def key(self) -> str:
        """What `prepare` depends on."""
        spec = self.spec
        bands = () if spec.features == "waveform" else (spec.bands, spec.window, spec.hop)
        return f"audio {spec.rate} {spec.seconds} {spec.scaling} {spec.features} {bands}"

    def fitted(self, target: Target) -> AudioTransform:
        """The same: no sound depends on the others."""
        if target.modality != "audio":
            raise SourceError(f"needs sounds; the target's samples have shape {target.shape}")
        return self

    def prepare(self, sample: Sample) -> Prepared:
        """Make float32 ``(time,)`` or ``(time, bands)`` of one sound."""
        wave, rate = audio.decode(sample) if isinstance(sample, Path | bytes) else sample
        wave = audio.resample(np.asarray(wave, dtype=np.float32), rate, self.spec.rate)
        truncated = False
        if self.spec.seconds is not None:
            length = max(1, round(self.spec.seconds * self.spec.rate))
            truncated = len(wave) > length
            wave = np.pad(wave[:length], (0, max(0, length - len(wave))))
        if self.spec.scaling == "standardize_each":
            wave = (wave - wave.mean()) / np.sqrt(wave.var() + _SMALLEST)
        value = wave if self.spec.features == "waveform" else self._bands(wave)
        value = (value - np.float32(self.spec.mean)) / np.float32(self.spec.std)
        return Prepared(value.astype(np.float32), length=len(value), truncated=truncated)

    def _bands(self, wave: NDArray[np.float32]) -> NDArray[np.float32]:
        spec = self.spec
        power = audio.mel(wave, spec.rate, spec.bands, spec.window, spec.hop)
        return np.log(power + np.float32(_SMALLEST_POWER)) if spec.features == "log_mel" else power

    def collate(self, prepared: Sequence[Prepared]) -> Batch:
        """Make float32 of several, in the network's layout."""
        if len({each.length for each in prepared}) > 1:
            raise SourceError("the sounds differ in length; say preprocessing.seconds")
        batch = np.stack([each.value for each in prepared])
        if batch.ndim == 2 and self.spec.layout != "nl":
            batch = batch[..., None]
        if self.spec.layout in ("ncl", "nchw"):
            batch = batch.transpose(0, 2, 1)
        if self.spec.layout == "nchw":
            batch = batch[:, None]
        return Batch({ONLY: np.ascontiguousarray(batch)}, len(prepared))
