"""Where an ONNX graph can be cut: its blocks, what its output says, and what feeds that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from zoorank.messages import listing
from zoorank.sources.bottlenecks import Step, block_ends
from zoorank.sources.onnx.graph import Graph, attributes
from zoorank.sources.onnx.operators import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    CONVOLUTIONS,
    ENDS,
    KEEPS,
    LINEAR,
    MEANS,
    PRODUCTS,
    SAME,
    VIEWS,
    WITH_WEIGHTS,
)

if TYPE_CHECKING:
    import onnx


class NoCutError(ValueError):
    """A graph has no such place; the message says why."""


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
        end = self._end()
        found = map(self._named, block_ends(steps, self.main, self.output))
        return tuple(value for value in dict.fromkeys(found) if self._position(value) < end)

    def logits(self) -> str:
        """What the graph gives before any softmax.

        Raises
        ------
        NoCutError
            When it does not end with a linear map.
        """
        value = self._before_softmax()
        if not self._feeds(value):
            raise NoCutError(f"its output {self.output!r} is no linear map's: it has no classifier")
        return self._named(value)

    def penultimate(self) -> str:
        """What feeds the last linear map; of a graph that ends with none, its output.

        Raises
        ------
        NoCutError
            When several linear maps read different values, or a softmax reads no linear map's.
        """
        logits = self._before_softmax()
        feeds = self._feeds(logits)
        if len(feeds) > 1:
            names = listing(map(repr, sorted(feeds)))
            raise NoCutError(f"its output is made of several linear maps, of {names}; name a value")
        if feeds:
            return next(iter(feeds))
        if logits != self.output:
            node = self.graph.node_of(self._unwrapped(logits))
            what = "an input" if node is None else f"the output of {node.op_type}"
            raise NoCutError(f"its softmax reads {what} and no linear map's; name a value")
        return self.output

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

    def _end(self) -> int:
        """Place of what comes last: at and behind it is no block."""
        try:
            return self._position(self.penultimate())
        except NoCutError:
            return self._position(self.output)

    def _position(self, value: str) -> int:
        return self.graph.producer.get(value, -1)

    def _named(self, value: str) -> str:
        """The same value by the name that it has before casts and copies."""
        return self._back(value, lambda node: node.op_type in SAME)

    def _unwrapped(self, value: str) -> str:
        return self._back(value, lambda node: node.op_type in (*SAME, *VIEWS))

    def _back(self, value: str, passes: Callable[[onnx.NodeProto], bool]) -> str:
        while (node := self.graph.node_of(value)) is not None and passes(node):
            value = str(node.input[0])
        return value

    def _before_softmax(self) -> str:
        node = self.graph.node_of(self._unwrapped(self.output))
        if node is not None and node.op_type in ENDS:
            return str(node.input[0])
        if node is not None and node.op_type == "Div":
            return self._softmax_by_hand(node) or self.output
        return self.output

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

    def _feeds(self, value: str, averaged: bool = False) -> frozenset[str]:
        """What the linear maps read whose sum, or whatever else is linear, a value is.

        Empty where something else than a linear map goes into it. A convolution counts where
        its positions are averaged behind it, or were before.
        """
        node = self.graph.node_of(value)
        if node is None:
            return frozenset()
        varying = [name for name in node.input if name in self._reached]
        kind = node.op_type
        if kind in PRODUCTS or kind in CONVOLUTIONS:
            read = self._named(varying[0]) if varying else ""
            both = kind in ("MatMul", "FusedMatMul") and len(varying) > 1
            if not read or both or not (averaged or kind in PRODUCTS or self._is_pooled(read)):
                return frozenset()
            return frozenset((read,))
        if kind in SAME or kind in VIEWS:  # beside the numbers, scales of those made whole
            varying = varying[:1]
        elif (kind in ("Mul", "Div") and len(varying) > 1) or kind not in (*MEANS, *LINEAR):
            return frozenset()
        found = [self._feeds(name, averaged or kind in MEANS) for name in varying]
        return frozenset().union(*found) if found and all(found) else frozenset()

    def _is_pooled(self, value: str) -> bool:
        node = self.graph.node_of(self._unwrapped(value))
        return node is not None and node.op_type in (*MEANS, "GlobalMaxPool", "ReduceMax")

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
