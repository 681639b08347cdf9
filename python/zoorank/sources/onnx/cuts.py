"""Where an ONNX graph can be cut: its blocks, what its output says, and what feeds that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from zoorank.sources.bottlenecks import Step, block_ends
from zoorank.sources.heads import Head, Kind, Made, NoCutError, before_copies, find_head
from zoorank.sources.onnx.graph import Graph, attributes
from zoorank.sources.onnx.operators import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    CONVOLUTIONS,
    ENDS,
    KEEPS,
    LINEAR,
    MEANS,
    PEAKS,
    PRODUCTS,
    SAME,
    VIEWS,
    WITH_WEIGHTS,
)

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Places:
    """Where one graph can be cut.

    Attributes
    ----------
    graph : Graph
    main : str
        The input whose content the encodings are of.
    output : str
        What the graph as a whole gives.
    """

    graph: Graph
    main: str
    output: str

    def blocks(self) -> tuple[str, ...]:
        """Values that all of the input goes through, each before weights are met again.

        Such a value is alone: in the order in which nodes run, no other that depends on the
        input is still to be read.
        """
        nodes = [
            (node, set(reads) & self._reached)
            for node, reads in zip(self.graph.nodes, self.graph.reads, strict=True)
        ]
        steps = [
            Step(tuple(reads), tuple(filter(None, node.output)), self._has_weights(node))
            for node, reads in nodes
            if reads and node.op_type not in ("Shape", "Size")
        ]
        last = self.penultimate
        # At and behind what comes last there is no block.
        end = self._position(self.output if isinstance(last, NoCutError) else last)
        ends = block_ends(steps, self.main, self.output)
        found = (before_copies(self._made, value) for value in ends)
        return tuple(value for value in dict.fromkeys(found) if self._position(value) < end)

    @property
    def logits(self) -> str | NoCutError:
        """What the graph gives before any softmax, or why nothing is that."""
        return self._head.logits

    @property
    def penultimate(self) -> str | NoCutError:
        """What feeds the last linear map; of a graph that ends with none, its output."""
        return self._head.penultimate

    def channel_axes(self, axis: int | None) -> dict[str, int]:
        """The axis of channels of every value of which it is certain; of the last axis, -1.

        Parameters
        ----------
        axis : int or None
            That of the main input.
        """
        axes = {} if axis is None else {self.main: axis}
        for node, reads in zip(self.graph.nodes, self.graph.reads, strict=True):
            if node.op_type in PRODUCTS and self._reached.issuperset(node.input[:2]):
                continue  # of two values neither of which is weights
            found = _axis(node, [axes.get(name) for name in reads])
            if found is not None:
                axes.update(dict.fromkeys(filter(None, node.output), found))
        return axes

    def is_constant(self, value: str) -> bool:
        """Whether a value is the same for all samples of one shape."""
        return value not in self._reached

    def _has_weights(self, node: onnx.NodeProto) -> bool:
        looks_up = node.op_type == "Gather" and node.input[0] not in self._reached
        return looks_up or node.op_type in WITH_WEIGHTS

    def _position(self, value: str) -> int:
        return self.graph.producer.get(value, -1)

    @cached_property
    def _head(self) -> Head[str]:
        return find_head(self._made, self.output)

    @cached_property
    def _made(self) -> dict[str, Made[str]]:
        return {name: self._how(node) for node in self.graph.nodes for name in node.output if name}

    def _how(self, node: onnx.NodeProto) -> Made[str]:
        kind: Kind = "other"
        what = str(node.op_type)
        varying = tuple(str(name) for name in node.input if name in self._reached)
        first = varying[:1]
        if not varying:
            return Made("other", (), what)
        if what in SAME or what in VIEWS:  # beside the numbers, scales of those made whole
            return Made("same" if what in SAME else "view", first, what)
        if what == "Div" and (logits := self._softmax_by_hand(node)):
            return Made("softmax", (logits,), what)
        if what in ENDS:
            kind = "softmax"
        elif what in MEANS:
            kind = "mean"
        elif what in PEAKS:
            kind = "peak"
        elif what in CONVOLUTIONS:
            kind, varying = "convolution", first
        elif what in PRODUCTS and not self._reached.issuperset(node.input[:2]):
            kind, varying = "product", first
        elif what in LINEAR and (len(varying) == 1 or what not in ("Mul", "Div")):
            kind = "linear"
        return Made(kind, varying, what)

    def _softmax_by_hand(self, quotient: onnx.NodeProto) -> str:
        """What is read by ``exp(x - max(x)) / sum(exp(x - max(x)))``; empty for other quotients."""
        above, below = (self.graph.node_of(name) for name in quotient.input)
        if above is None or below is None or (above.op_type, below.op_type) != ("Exp", "ReduceSum"):
            return ""
        value = str(above.input[0])
        shifted = self.graph.node_of(value)
        if shifted is not None and shifted.op_type == "Sub":
            peak = self.graph.node_of(shifted.input[1])
            if peak is not None and peak.op_type == "ReduceMax":
                return str(shifted.input[0])
        return value

    @cached_property
    def _reached(self) -> frozenset[str]:
        return self.graph.reached([self.main])


def _axis(node: onnx.NodeProto, axes: Sequence[int | None]) -> int | None:
    known = {axis for axis in axes if axis is not None}
    kind = node.op_type
    if kind in CHANNELS_FIRST:
        return 1
    if kind in CHANNELS_LAST:
        return -1
    if len(known) != 1:
        return -1 if kind == "LayerNormalization" and not known and _last(node) else None
    (axis,) = known
    if kind == "LayerNormalization" or kind in KEEPS:
        return axis
    if kind == "Transpose":
        order = list(attributes(node).get("perm", ()))
        return order.index(axis % len(order)) if order else None
    if kind.startswith("Reduce") and attributes(node).get("keepdims", 1):
        return axis
    return None


def _last(node: onnx.NodeProto) -> bool:
    return bool(attributes(node).get("axis", -1) == -1)
