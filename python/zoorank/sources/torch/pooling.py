"""Which axis of a cut's output holds the channels, and how the others are pooled away.

Nothing is guessed about axes: a convolution has its channels second and a Linear layer last,
so what they give and take says where the channels of a tensor of the same shape are. Where
nothing says so, or two contradict each other, the cut is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from zoorank.sources.torch.token_rows import pool_tokens
from zoorank.sources.torch.traces import Seen, Trace
from zoorank.transforms.base import Batch
from zoorank.transforms.specs import Pooling, Preprocessing, TextPooling

SECOND, LAST = 1, -1
_SEQUENCES = (
    nn.MultiheadAttention,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
    nn.RNNBase,
)
_MEANT = {"mean": SECOND, "max": SECOND, "token_mean": LAST, "first_token": LAST}
_SAYING = {
    SECOND: ("second", "'mean' or 'max'"),
    LAST: ("last, as tokens have", "'token_mean' or 'first_token'"),
}


class Pooler(Protocol):
    """Makes one vector a row of what a cut gives."""

    def axes(self, model: nn.Module, record: Trace, seen: Seen, tick: int) -> Axes:
        """Find the axes of a tensor that went through the network at a tick."""

    def refusal(self, seen: Seen, axes: Axes, batch: Batch) -> str:
        """Say why a tensor of such a batch cannot be pooled; empty where it can."""

    def pool(
        self, output: Tensor, axes: Axes, batch: Batch, inputs: Mapping[str, Tensor]
    ) -> Tensor:
        """Make a float32 tensor of shape (batch.rows, n_features), in memory of its own.

        ``inputs`` are the batch's where the model runs.
        """


class Axes(NamedTuple):
    """How the axes of a cut's output are laid out.

    Attributes
    ----------
    channels : int or None
        `SECOND` or `LAST`; None where nothing says.
    samples_second : bool
        Whether samples lie along the second axis, behind time or tokens.
    """

    channels: int | None
    samples_second: bool = False


@dataclass(frozen=True)
class AxisPooling:
    """How outputs are pooled, and what is declared about their axes.

    Attributes
    ----------
    pooling : Pooling or None
        None for the mean over all axes but the channels', wherever these are.
    is_declared : bool
        Whether the user, or the model's own description, says so, and not a default.
    batch_first : bool or None
        Whether samples lie along the first axis even of layers that are not ``batch_first``;
        None refuses what such layers give.
    layout : str
        Order of axes of the network's own input, such as ``"nchw"``; empty for another.
    """

    pooling: Pooling | None = None
    is_declared: bool = True
    batch_first: bool | None = None
    layout: str = ""

    @classmethod
    def of(cls, preprocessing: Preprocessing, *, by_layers: bool = False) -> AxisPooling:
        """Pool as a preprocessing says.

        Parameters
        ----------
        preprocessing : ImagePreprocessing, SeriesPreprocessing, TablePreprocessing, ...
        by_layers : bool
            Where it does not set the pooling, take the mean over all axes but the channels',
            wherever layers say that these are: for models that a library describes.
        """
        is_declared = "pooling" in preprocessing.model_fields_set
        pooling: Any = preprocessing.pooling if is_declared or not by_layers else None
        return cls(
            pooling,
            is_declared,
            getattr(preprocessing, "batch_first", None),
            getattr(preprocessing, "layout", ""),
        )

    def axes(self, model: nn.Module, record: Trace, seen: Seen, tick: int) -> Axes:
        """Find the axes of a tensor that went through the network.

        Parameters
        ----------
        model : nn.Module
        record : Trace
        seen : Seen
            The tensor.
        tick : int
            When it was there.

        Returns
        -------
        Axes
            By the nearest layer before it, else after it, that gave or took a tensor of its
            shape. Where second and last axis are equally long, all of these have to agree.
        """
        votes = sorted(_votes(model, record, seen.shape, self.layout), key=lambda vote: vote[0])
        before = [axes for when, axes in votes if when <= tick] or [axes for _, axes in votes[:1]]
        if seen.shape[1:2] == seen.shape[-1:]:
            before = [axes for _, axes in votes if len({axes for _, axes in votes}) == 1]
        channels, samples_second = before[-1] if before else Axes(None)
        if channels is None and self.is_declared and self.pooling is not None:
            channels = _MEANT.get(self.pooling)
        return Axes(channels, samples_second and self.batch_first is not True)

    def refusal(self, seen: Seen, axes: Axes, _batch: Batch) -> str:
        """Say why a tensor cannot be pooled, and the key that settles it; empty where it can."""
        shape, pooling = seen.shape, self.pooling
        if len(shape) < 2 or not seen.dtype.is_floating_point:
            return f"its output is {seen.dtype} of shape {shape}"
        if len(shape) == 2:
            return ""
        if axes.samples_second and self.batch_first is None:
            return (
                f"its output, of shape {shape}, comes from layers that are not batch_first: say "
                "preprocessing.batch_first = false where the samples lie along its second axis, "
                "or true where the network feeds them otherwise"
            )
        if pooling == "flatten":
            return ""
        if axes.channels is None:
            return (
                f"nothing tells whether the channels of its output, of shape {shape}, are the "
                "second axis or the last: say preprocessing.pooling = 'mean' for the second, "
                "'token_mean' or 'first_token' for the last"
            )
        if pooling is not None and _MEANT[pooling] != axes.channels:
            where, instead = _SAYING[axes.channels]
            return (
                f"its output, of shape {shape}, has its channels {where}, which pooling "
                f"{pooling!r} would mix up; say preprocessing.pooling = {instead}"
            )
        return ""

    def pool(
        self,
        output: Tensor,
        axes: Axes,
        _batch: Batch | None = None,
        _inputs: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Make one float32 vector of each sample, in memory of its own.

        Parameters
        ----------
        output : Tensor
            That `refusal` has nothing against.
        axes : Axes

        Returns
        -------
        Tensor of shape (n, n_features)

        Examples
        --------
        >>> output = torch.arange(12.0).reshape(1, 2, 3, 2)
        >>> AxisPooling("mean").pool(output, Axes(SECOND)).tolist()
        [[2.5, 8.5]]
        >>> AxisPooling().pool(output, Axes(LAST)).tolist()
        [[5.0, 6.0]]
        """
        if axes.samples_second and output.ndim > 2:
            output = output.transpose(0, 1)
        if output.ndim == 2 or self.pooling == "flatten":
            return output.flatten(1).to(torch.float32, copy=True)
        # Half precision would lose digits in the sum.
        output = output.float()
        dims = tuple(range(2, output.ndim))
        if axes.channels == LAST:
            output, dims = output.flatten(1, -2), (1,)
        if self.pooling == "first_token":
            return output[:, 0].clone()
        return output.amax(dim=dims) if self.pooling == "max" else output.mean(dim=dims)


@dataclass(frozen=True)
class DeclaredPooling(AxisPooling):
    """Pooling of networks of timm, torchvision and transformers.

    Of three axes theirs are samples, tokens and features. Of four they are what the module
    itself, or else the network, says: timm's have an ``output_fmt``, such as ``NHWC``.
    """

    def axes(self, model: nn.Module, record: Trace, seen: Seen, tick: int) -> Axes:
        """Find the axes of a tensor by the layers around it, else as they are declared."""
        found = super().axes(model, record, seen, tick)
        if found.channels is not None:
            return found
        if len(seen.shape) == 3:
            return found._replace(channels=LAST)
        return found._replace(channels=_declared(model, record, seen, tick))


@dataclass(frozen=True)
class TokenPooling:
    """One vector a text, or a word, of one vector a token; padding is left out.

    Attributes
    ----------
    how : {"mean", "max", "first_token", "last_token"}
    mask : str
        Name of the input that is 0 for padding.
    """

    how: TextPooling = "mean"
    mask: str = "attention_mask"

    def axes(self, _model: nn.Module, _record: Trace, _seen: Seen, _tick: int) -> Axes:
        """Features are last, by what models of texts are."""
        return Axes(LAST)

    def refusal(self, seen: Seen, _axes: Axes, batch: Batch) -> str:
        """Say why a tensor cannot be pooled; empty where it can."""
        shape, tokens = seen.shape, tuple(batch.inputs[self.mask].shape)
        if not seen.dtype.is_floating_point:
            return f"its output is {seen.dtype}"
        if len(shape) == 2 and shape[0] == tokens[0]:
            return "" if batch.words is None else "it gives one vector a sentence, not one a word"
        if len(shape) != 3 or shape[:2] != tokens:
            return f"its output, of shape {shape}, does not begin with texts and tokens, {tokens}"
        return ""

    def pool(
        self, output: Tensor, _axes: Axes, batch: Batch, inputs: Mapping[str, Tensor]
    ) -> Tensor:
        """Make one float32 vector of each text or word."""
        return pool_tokens(output, inputs[self.mask], self.how, batch.words)


def _declared(model: nn.Module, record: Trace, seen: Seen, tick: int) -> int | None:
    giving = [
        name
        for name, calls in record.calls.items()
        for call in calls
        if call.end == tick and call.output == seen
    ]
    for part in (*(model.get_submodule(name) for name in giving), model):
        layout: Any = getattr(part, "output_fmt", None)
        axes = str(getattr(layout, "value", layout)).upper()
        if len(axes) == len(seen.shape) and set(axes) <= set("NCHWL"):
            return SECOND if axes[1] == "C" else LAST
    return None


def _votes(
    model: nn.Module, record: Trace, shape: tuple[int, ...], layout: str
) -> list[tuple[int, Axes]]:
    """What layers say of tensors of a shape, and when these were there."""
    modules = dict(model.named_modules())
    votes: list[tuple[int, Axes]] = []
    root = record.calls[""][0]
    if len(layout) > 2 and root.input is not None and root.input.shape == shape:
        votes.append((root.start, Axes(SECOND if layout[1] == "c" else LAST)))
    votes += [(when, Axes(axis)) for when, each, axis in record.channels if each == shape]
    for name, calls in record.calls.items():
        for call in calls:
            for when, seen in ((call.start, call.input), (call.end, call.output)):
                axes = _vote(modules[name], shape) if seen and seen.shape == shape else None
                if axes is not None:
                    votes.append((when, axes))
    second = any(axes.samples_second for _, axes in votes)
    return [(when, axes._replace(samples_second=second)) for when, axes in votes]


def _vote(module: nn.Module, shape: tuple[int, ...]) -> Axes | None:
    if isinstance(module, nn.Linear | nn.Bilinear):
        return Axes(LAST)
    if isinstance(module, _SEQUENCES):
        inner = getattr(module, "self_attn", module)
        return Axes(LAST, samples_second=not getattr(inner, "batch_first", False))
    if isinstance(module, nn.LayerNorm | nn.RMSNorm) and len(module.normalized_shape) == 1:
        # Networks bring layers of this class that normalise the second axis.
        fitting = [axis for axis in (SECOND, LAST) if shape[axis] == module.normalized_shape[0]]
        return Axes(fitting[0]) if len(fitting) == 1 else None
    return None
