"""Where a network can be cut, what each cut keeps, and how its output becomes one vector a row.

Nothing is guessed about axes: a convolution has its channels second and a Linear layer last,
so what they give and take says where the channels of a tensor of the same shape are. Where
nothing says so, or two contradict each other, the cut is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from zoorank.errors import UsageError
from zoorank.messages import guess, listing
from zoorank.sources.base import ALL, LOGITS, PENULTIMATE, Cut, Refusal
from zoorank.sources.torch.traces import Call, Head, Place, Seen, Trace, find_head
from zoorank.transforms.base import Batch
from zoorank.transforms.specs import Pooling

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
_CALL = re.compile(r"(?P<module>.+)@(?P<call>[1-9]\d*)")
_SHOWN = 3


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
class MeanCut(Cut):
    """The mean of several cuts.

    Attributes
    ----------
    parts : tuple of Cut
    """

    parts: tuple[Cut, ...]


@dataclass(frozen=True)
class ModuleCut(Cut):
    """A cut at one end of one call of a module.

    Attributes
    ----------
    place : Place
    axes : Axes
        How the axes of its output are laid out.
    """

    place: Place
    axes: Axes


@dataclass(frozen=True)
class Anatomy:
    """A network whose pass was recorded, and what is known of it beside.

    Attributes
    ----------
    model : nn.Module
    record : Trace
    batch : Batch
        That it was fed.
    pooler : Pooler
        What its outputs will be pooled by.
    aliases : mapping of str to Place or str
        Further names of cuts, or why there is no such place.
    fresh : mapping of str to str
        Parameters and buffers that the checkpoint does not hold, and what to say of each.
    """

    model: nn.Module
    record: Trace
    batch: Batch
    pooler: Pooler
    aliases: Mapping[str, Place | str]
    fresh: Mapping[str, str]

    def cuts(self, wanted: Sequence[str]) -> tuple[ModuleCut | Refusal, ...]:
        """Turn names into places in this network, refusals first and the deepest last.

        Parameters
        ----------
        wanted : sequence of str
            "penultimate", "logits", "all", names of modules, or of one call of a module that
            runs several times, ``block@2``.

        Raises
        ------
        UsageError
            For a name that the network does not have, with the nearest and the usual ones.
        """
        names = dict.fromkeys(
            each for name in wanted for each in (self._all() if name == ALL else (name,))
        )
        found = [self._cut(name) for name in names]
        cuts = sorted(
            (each for each in found if isinstance(each, ModuleCut)), key=lambda cut: cut.order
        )
        return (*(each for each in found if isinstance(each, Refusal)), *cuts)

    @cached_property
    def head(self) -> Head:
        """Where logits and the penultimate cut are."""
        return find_head(self.record, self.model)

    @cached_property
    def blocks(self) -> tuple[str, ...]:
        """The outermost blocks, call by call, in the order in which they end."""
        from zoorank.sources.torch.blocks import outermost_blocks

        return outermost_blocks(self.model, self.record, self.head.start)

    def _all(self) -> list[str]:
        has_penultimate = self.head.penultimate is not None or not self.blocks
        return [*self.blocks, *([PENULTIMATE] if has_penultimate else [])]

    def _cut(self, name: str) -> ModuleCut | Refusal:
        place = self._place(name)
        if isinstance(place, str):
            return Refusal(name, place)
        call = self.record.calls[place.module][place.call - 1]
        seen = call.input if place.side == "input" else call.output
        if seen is None:
            return Refusal(name, f"its {place.side} is not a tensor; choose a module within it")
        # Children end before their parent does, at the same place: the tie goes to the parent.
        tick = call.start if place.side == "input" else call.end
        if reason := self._behind_fresh(tick):
            return Refusal(name, reason)
        axes = self.pooler.axes(self.model, self.record, seen, tick)
        if reason := self.pooler.refusal(seen, axes, self.batch):
            return Refusal(name, reason)
        return self._made(name, place, call, seen, axes, tick)

    def _made(
        self, name: str, place: Place, call: Call, seen: Seen, axes: Axes, tick: int
    ) -> ModuleCut:
        flops = call.flops_before if place.side == "input" else call.flops_after
        parameters = dict(self.model.named_parameters())
        kept = sum(value.numel() for each, value in parameters.items() if self._runs(each, tick))
        total = sum(value.numel() for value in parameters.values())
        samples = 1 if axes.samples_second else 0
        return ModuleCut(
            name=name,
            shape=tuple(size for axis, size in enumerate(seen.shape) if axis != samples),
            order=tick,
            flops_share=flops / self.record.flops if self.record.flops else 1.0,
            parameters_kept=kept,
            parameters_share=kept / total if total else 1.0,
            place=place,
            axes=axes,
        )

    def _place(self, name: str) -> Place | str:
        """Where a cut is, or why it is nowhere."""
        if name == PENULTIMATE:
            return self.head.penultimate or self.head.no_penultimate
        if name == LOGITS:
            return self.head.logits or self.head.no_logits
        if name in self.aliases:
            return self.aliases[name]
        match = _CALL.fullmatch(name)
        module = match["module"] if match and name not in self.record.calls else name
        if not module or module not in self.record.calls:
            raise UsageError(f"unknown cut {name!r}; {self._known(name)}")
        calls = len(self.record.calls[module])
        if not calls:
            return "does not run in a forward pass; choose another module"
        if match is None and calls > 1:
            return f"runs {calls} times in one pass; say which: {module}@1 to {module}@{calls}"
        number = int(match["call"]) if match else 1
        if number > calls:
            return f"runs {calls} time{'s' * (calls != 1)} in one pass"
        return Place(module, number, "output")

    def _known(self, name: str) -> str:
        usual = [PENULTIMATE, LOGITS, ALL, *self.aliases, *self.blocks]
        modules = [each for each in self.record.calls if each]
        return f"{guess(name, [*usual, *modules])}allowed: {listing(usual)} or any module"

    def _behind_fresh(self, tick: int) -> str:
        reasons = [reason for name, reason in self.fresh.items() if self._runs(name, tick)]
        if not reasons:
            return ""
        return f"lies behind weights that the checkpoint lacks: {listing(reasons, _SHOWN)}"

    def _runs(self, name: str, tick: int) -> bool:
        """Whether a parameter or buffer is used before a tick."""
        if name in self.record.first_use:
            return self.record.first_use[name] < tick
        # Nothing saw it: it runs when the nearest module around it does that is called.
        module = name.rpartition(".")[0]
        while module and not self.record.calls.get(module):
            module = module.rpartition(".")[0]
        return bool(module) and self.record.calls[module][0].start < tick


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
