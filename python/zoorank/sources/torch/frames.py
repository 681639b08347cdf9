"""One vector a sound of what a network gives for its frames; those of padding are left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zoorank.sources.extractors import REAL
from zoorank.sources.torch.cuts import LAST, Axes, AxisPooling
from zoorank.sources.torch.traces import Seen, Trace
from zoorank.transforms.base import Batch
from zoorank.transforms.specs import Pooling

_LONE = ("mean", "token_mean")


class Grid(NamedTuple):
    """Tokens that are patches of a spectrogram, bands by time, behind tokens of no place.

    Attributes
    ----------
    marks : int
        Tokens before the patches.
    bands, times : int
        Patches along each axis; those of one band lie together.
    stride : int
        Steps of time from one patch to the next.
    """

    marks: int
    bands: int
    times: int
    stride: int

    def real(self, steps: Tensor) -> Tensor:
        """Which tokens begin where there is sound, ``(n, tokens)``."""
        starts = torch.arange(self.times, device=steps.device) * self.stride
        patches = (starts < steps[:, None]).repeat(1, self.bands)
        marks = torch.ones((len(steps), self.marks), dtype=torch.bool, device=steps.device)
        return torch.cat([marks, patches], dim=1)

    @property
    def tokens(self) -> int:
        """How many tokens there are."""
        return self.marks + self.bands * self.times


@dataclass(frozen=True)
class FramePooling:
    """Pools over the frames of each sound that are no padding.

    Attributes
    ----------
    name : str
        Of the input whose steps are counted.
    axis : int
        That of time in it.
    how : Pooling or None
        ``"mean"``, ``"max"`` or ``"first_token"``; None for the mean.
    lengths : callable or None
        From steps of the input to frames of the network, where it has a rule of its own;
        else frames are as many as steps in proportion.
    grid : Grid or None
        Of tokens that are patches.
    """

    name: str
    axis: int
    how: Pooling | None = None
    lengths: Callable[[Tensor], Tensor] | None = None
    grid: Grid | None = None

    def axes(self, model: nn.Module, record: Trace, seen: Seen, tick: int) -> Axes:
        """Find where the features are, by the layers around; last where nothing says."""
        found = AxisPooling(None).axes(model, record, seen, tick)
        return Axes(LAST) if found.channels is None else found

    def refusal(self, seen: Seen, axes: Axes, batch: Batch) -> str:
        """Say why a tensor cannot be pooled; empty where it can."""
        if self.how == "flatten":
            return "sounds differ in length: say preprocessing.pooling = 'mean' or 'max'"
        if why := AxisPooling(None).refusal(seen, axes, batch):
            return why
        total = batch.inputs[self.name].shape[1 + self.axis]
        if len(seen.shape) > 3 and bool((batch.inputs[REAL] < total).any()):
            return f"nothing tells which parts of its output, of shape {seen.shape}, are padding"
        return ""

    def pool(
        self, output: Tensor, axes: Axes, _batch: Batch, inputs: Mapping[str, Tensor]
    ) -> Tensor:
        """Make one float32 vector of each sound."""
        if output.ndim != 3:
            how = self.how if self.how == "max" else None
            return AxisPooling(how).pool(output, axes)
        frames = output.float() if axes.channels == LAST else output.float().transpose(1, 2)
        if self.how == "first_token":
            return frames[:, 0].clone()
        total = inputs[self.name].shape[1 + self.axis]
        real = self._real(inputs[REAL], total, frames.shape[1])[..., None]
        if self.how == "max":
            return frames.masked_fill(~real, -torch.inf).amax(dim=1)
        return frames.where(real, frames.new_zeros(())).sum(dim=1) / real.sum(dim=1)

    def _real(self, steps: Tensor, total: int, frames: int) -> Tensor:
        """Which frames are of sound, ``(n, frames)``; always one at least."""
        if self.grid is not None and frames == self.grid.tokens:
            return self.grid.real(steps)
        ends = torch.tensor([total], device=steps.device)
        if self.lengths is not None and int(self.lengths(ends)[0]) == frames:
            ends = self.lengths(steps)
        else:
            ends = -(-steps * frames // total)
        return torch.arange(frames, device=steps.device) < ends.clamp(min=1)[:, None]


def frame_pooling(module: Any, config: Any, name: str, axis: int, how: Any) -> FramePooling:
    """Find how a network's frames follow from the steps of its input.

    Parameters
    ----------
    module : nn.Module
        Of transformers, or the part of one that takes sounds.
    config : transformers.PretrainedConfig
    name : str
        What it calls its input.
    axis : int
        That of time in one sample of it.
    how : Pooling or None
        What the manifest says.
    """
    rule = next(
        (
            each._get_feat_extract_output_lengths  # noqa: SLF001
            for each in module.modules()
            if hasattr(each, "_get_feat_extract_output_lengths") and axis == 0
        ),
        None,
    )
    grid = None
    stride, patch = getattr(config, "time_stride", None), getattr(config, "patch_size", None)
    if isinstance(stride, int) and isinstance(patch, int) and hasattr(config, "num_mel_bins"):
        bands = (config.num_mel_bins - patch) // config.frequency_stride + 1
        times = (config.max_length - patch) // stride + 1
        marks = 2  # the class token and that of distillation
        grid = Grid(marks, bands, times, stride)
    return FramePooling(name, axis, None if how in _LONE else how, rule, grid)


def least_samples(pooling: FramePooling) -> int:
    """Samples of a waveform without which a network has not one frame."""
    if pooling.lengths is None:
        return 1
    low, high = 0, 1
    while int(pooling.lengths(torch.tensor([high]))[0]) < 1:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        enough = int(pooling.lengths(torch.tensor([middle]))[0]) >= 1
        low, high = (low, middle) if enough else (middle, high)
    return high
