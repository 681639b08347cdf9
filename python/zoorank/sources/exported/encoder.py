"""An exported program that is run as far as its cuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zoorank.errors import SourceError, UsageError
from zoorank.messages import guess, listing, one_line
from zoorank.sources.base import ALL, LOGITS, PENULTIMATE, Cut, ModelFacts, Refusal
from zoorank.sources.batches import GraphFeed, in_parts, lengthened
from zoorank.sources.exported.program import Program
from zoorank.sources.heads import NoCutError
from zoorank.sources.pooling import one_sample, pooled_axes, sample_axis
from zoorank.sources.tokens import POSITIONS
from zoorank.sources.torch.token_rows import pool_tokens
from zoorank.transforms.base import Batch, Transform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

_MEMORY = ("out of memory", "can't allocate memory")


@dataclass(frozen=True)
class ExportedCut(Cut):
    """A cut at a value of the graph.

    Attributes
    ----------
    value : str
        The node that gives it.
    axis : int or None
        Of its channels, where the graph tells.
    """

    value: str
    axis: int | None


@dataclass(frozen=True)
class _Costs:
    """What a pass of one batch cost, up to every value and in all."""

    flops: Mapping[str, int]
    total: int


class ExportedEncoder:
    """A program, opened.

    Parameters
    ----------
    program : Program
    transform : Transform
    feed : GraphFeed
    main : str
        The input whose content the encodings are of.
    pooling : str
    axis : int or None
        Of the input's channels.
    device : torch.device
    note : str
    """

    def __init__(
        self,
        program: Program,
        transform: Transform,
        feed: GraphFeed,
        main: str,
        pooling: str,
        axis: int | None,
        device: torch.device,
        note: str = "",
    ) -> None:
        self.transform, self.note, self.device = transform, note, str(device)
        self._program, self._feed, self._main, self._pooling = program, feed, main, pooling
        self._reached = program.reached(main)
        self._axes = program.channel_axes(main, axis)
        count, size = program.parameters(program.trained)
        self.facts = ModelFacts(
            f"torch {torch.__version__}", count, size, batch_size=feed.batch_size
        )

    def cuts(self, batch: Batch, wanted: Sequence[str]) -> tuple[Cut | Refusal, ...]:
        """Find the cuts that were asked for; the program runs once on the batch."""
        part, _ = next(in_parts(batch, self._feed.batch_size))
        part = self._feed.filled(part)
        names = dict.fromkeys(each for name in wanted for each in self._meant(name))
        places = {name: self._value(name) for name in names}
        values = {name: each for name, each in places.items() if isinstance(each, str)}
        found, costs = self._measured(part, values)
        if costs.total:
            self.facts = replace(self.facts, flops=costs.total // part.samples)
        stretched = self._stretched(part, found)
        made: list[Cut | Refusal] = [each for each in places.values() if isinstance(each, Refusal)]
        for name, value in values.items():
            made.append(self._cut(name, value, found[value], part, costs, stretched))
        cuts = [each for each in made if isinstance(each, Cut)]
        refused = [each for each in made if isinstance(each, Refusal)]
        return (*refused, *sorted(cuts, key=lambda cut: cut.order))

    def encode(self, batch: Batch, cuts: Sequence[Cut]) -> Mapping[str, Tensor]:
        """Run the program as far as the deepest cut."""
        own = [cut for cut in cuts if isinstance(cut, ExportedCut)]
        encoded: dict[str, list[Tensor]] = {cut.name: [] for cut in own}
        for part, rows in in_parts(batch, self._feed.batch_size):
            filled = self._feed.filled(part)
            found = self._run(filled, list(dict.fromkeys(cut.value for cut in own)))
            for cut in own:
                try:
                    pooled = self._pooled(found[cut.value], cut.axis, filled)
                except ValueError as error:
                    raise SourceError(f"cut {cut.name!r}: {error}") from None
                encoded[cut.name].append(pooled[:rows])
        return {name: torch.cat(parts) for name, parts in encoded.items()}

    def export(self, cut: Cut, batch: Batch, folder: Path) -> tuple[Path, ...]:
        """Write the program up to a cut, pooled; see :mod:`zoorank.sources.torch.export`."""
        from zoorank.sources.torch.export import write_program

        if not isinstance(cut, ExportedCut):
            raise SourceError(f"{cut.name!r} is no cut of this program")
        if self._feed.batch_size is not None or self._feed.tokens is not None:
            raise SourceError("the program takes batches of one size alone")
        module = _Prefix(self, self._program, cut, tuple(batch.inputs))
        inputs = {name: torch.from_numpy(each) for name, each in batch.inputs.items()}
        return write_program(module, inputs, folder)

    def encode_tensors(
        self, cut: ExportedCut, inputs: Mapping[str, Tensor], samples: int
    ) -> Tensor:
        """Encodings of a batch that is given as tensors."""
        program, feed = self._program, self._feed
        if feed.mask is not None and POSITIONS not in inputs:
            places = (inputs[feed.mask].cumsum(dim=1) - 1).clamp(min=0)
            inputs = {**inputs, POSITIONS: places}
        given = {
            each.name: inputs[feed.names[each.name]].to(getattr(torch, each.dtype.name))
            for each in program.inputs
        }
        mask = None if feed.mask is None else inputs[feed.mask]
        return self._pooled_tensor(
            program.run(given, [cut.value])[cut.value], cut.axis, samples, mask
        )

    def empty(self, rows: int, features: int) -> Tensor:
        """Room for encodings on the device."""
        try:
            return torch.empty((rows, features), device=self.device)
        except RuntimeError as error:
            raise MemoryError(one_line(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.weights.clear()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _meant(self, name: str) -> Sequence[str]:
        if name != ALL:
            return (name,)
        program = self._program
        blocks = [program.named(value) for value in program.blocks(self._main)]
        if blocks and isinstance(program.head(self._main).penultimate, NoCutError):
            return blocks
        return (*blocks, PENULTIMATE)

    def _value(self, name: str) -> str | Refusal:
        program = self._program
        if name in (PENULTIMATE, LOGITS):
            head = program.head(self._main)
            value = head.penultimate if name == PENULTIMATE else head.logits
            return Refusal(name, str(value)) if isinstance(value, NoCutError) else value
        if name in program.modules:
            given = program.modules[name]
            reason = "it gives several values; choose a module within it, or a node"
            return Refusal(name, reason) if given is None else given
        if name in program.nodes and name not in program.weights:
            return name
        usual = [PENULTIMATE, LOGITS, ALL, *program.modules]
        near = guess(name, [*usual, *program.nodes])
        raise UsageError(
            f"unknown cut {name!r}; {near}allowed: {listing(usual)} or any node of the graph"
        )

    def _measured(self, part: Batch, values: Mapping[str, str]) -> tuple[dict[str, Any], _Costs]:
        """Run all of the program, and count operations on the way."""
        flops: dict[str, int] = {}
        with FlopCounterMode(display=False) as counter:

            def on_node(name: str, _: Any) -> None:
                flops[name] = counter.get_total_flops()

            wanted = [self._program.output, *values.values()]
            found = self._run(part, list(dict.fromkeys(wanted)), on_node)
        return found, _Costs(flops, counter.get_total_flops())

    def _stretched(self, part: Batch, found: Mapping[str, Any]) -> set[str]:
        """Values whose last axis grows with the text, such as how tokens look at each other."""
        if self._feed.mask is None or self._feed.tokens is not None:
            return set()
        length = part.inputs[self._feed.mask].shape[1]
        doubtful = [
            value
            for value, each in found.items()
            if isinstance(each, Tensor) and tuple(each.shape[2:]) == (length,)
        ]
        if not doubtful:
            return set()
        longer = self._run(lengthened(part, length + 1), doubtful)
        return {value for value in doubtful if longer[value].shape[-1] != length}

    def _cut(
        self,
        name: str,
        value: str,
        output: Any,
        part: Batch,
        costs: _Costs,
        stretched: set[str],
    ) -> Cut | Refusal:
        if value not in self._reached:
            return Refusal(name, "it does not depend on the samples' content")
        if value in stretched:
            return Refusal(name, "its last axis is as long as the text, and no feature's")
        axis = self._axes.get(value, self._feed.axis)
        try:
            self._pooled(output, axis, part)
        except ValueError as error:
            return Refusal(name, str(error))
        program, total = self._program, self.facts.parameters
        kept, _ = program.parameters([node.name for node in program.needed([value])])
        share = kept / total if total else 1.0
        return ExportedCut(
            name=name,
            shape=one_sample(output.shape, part.samples),
            order=program.places[value],
            flops_share=costs.flops[value] / costs.total if costs.total else share,
            parameters_kept=kept,
            parameters_share=share,
            value=value,
            axis=axis,
        )

    def _pooled(self, output: Any, axis: int | None, part: Batch) -> Tensor:
        mask = None
        if self._feed.mask is not None:
            mask = torch.from_numpy(part.inputs[self._feed.mask])
        return self._pooled_tensor(output, axis, part.samples, mask, part.words)

    def _pooled_tensor(
        self,
        output: Any,
        axis: int | None,
        samples: int,
        mask: Tensor | None,
        words: Sequence[NDArray[np.int64]] | None = None,
    ) -> Tensor:
        values = _real(output)
        if sample_axis(values.shape, samples, self._feed.batch_first):
            values = values.transpose(0, 1)
        shape = tuple(values.shape)
        if mask is not None:
            return pool_tokens(values, mask.to(values.device), self._pooling, words)
        axes = pooled_axes(shape, self._pooling, axis)
        values = values.float()
        if axes is None:
            return values.flatten(1).clone()
        if self._pooling == "first_token":
            return values.flatten(1, -2)[:, 0].clone()
        return values.amax(dim=axes) if self._pooling == "max" else values.mean(dim=axes)

    def _run(self, part: Batch, values: Sequence[str], on_node: Any = None) -> dict[str, Any]:
        given = self._feed.given(part)
        try:
            with torch.inference_mode():
                inputs = {
                    each.name: torch.from_numpy(given[each.name]).to(
                        self.device, getattr(torch, each.dtype.name)
                    )
                    for each in self._program.inputs
                }
                return self._program.run(inputs, values, on_node)
        except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
            said = one_line(error)
            if any(word in said.lower() for word in _MEMORY):
                raise MemoryError(said) from error
            file = self._program.file
            raise file.refuse(f"cannot be run: {one_line(error, 200)}") from error


class _Prefix(nn.Module):
    """A program up to a cut, with the pooling there, as a module that holds its weights."""

    def __init__(
        self,
        encoder: ExportedEncoder,
        program: Program,
        cut: ExportedCut,
        names: tuple[str, ...],
    ) -> None:
        super().__init__()
        self._parts = (encoder, program)  # no modules of this one
        self._cut, self._names = cut, names
        self._own: dict[str, str] = {}
        needed = [node.name for node in program.needed([cut.value])]
        for name in filter(program.weights.__contains__, needed):
            value, own = program.weights[name], f"w_{len(self._own)}"
            self._own[name] = own
            if name in program.trained:
                self.register_parameter(own, nn.Parameter(value.detach(), requires_grad=False))
            else:
                self.register_buffer(own, value)

    def forward(self, *values: Tensor) -> Tensor:
        """Encodings of some samples."""
        encoder, program = self._parts
        before = program.weights
        program.weights = {name: getattr(self, own) for name, own in self._own.items()}
        try:
            inputs = dict(zip(self._names, values, strict=True))
            return encoder.encode_tensors(self._cut, inputs, values[0].shape[0])
        finally:
            program.weights = before


def _real(output: Any) -> Tensor:
    if isinstance(output, Tensor) and output.is_floating_point():
        return output
    kind = output.dtype if isinstance(output, Tensor) else type(output).__name__
    raise ValueError(f"it holds {kind}, not real numbers")
