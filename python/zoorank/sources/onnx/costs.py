"""What a pass through an ONNX graph costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from zoorank.sources.onnx.graph import Graph, attributes
from zoorank.sources.onnx.operators import CONVOLUTIONS, PRODUCTS, UNCOUNTED

if TYPE_CHECKING:
    import onnx


def operations(
    graph: Graph, shapes: Mapping[str, tuple[int, ...]], samples: int
) -> dict[int, int] | None:
    """Count multiplications and additions of each node for one sample.

    Parameters
    ----------
    graph : Graph
    shapes : mapping of str to tuple of int
        Of all that `counted` names.
    samples : int
        In the batch that they were taken from.

    Returns
    -------
    dict of int to int or None
        By place of the node; None where some node's are not counted.
    """
    found = {}
    for number, node in enumerate(graph.nodes):
        if node.op_type in UNCOUNTED:
            return None
        if node.op_type in (*PRODUCTS, *CONVOLUTIONS, "ConvTranspose"):
            left, right = (shapes.get(name) for name in _operands(node))
            out = shapes.get(node.output[0])
            if left is None or right is None or out is None:
                return None
            found[number] = 2 * _products(node, left, right, out) // max(1, samples)
    return found


def counted(graph: Graph) -> Sequence[str]:
    """Values whose shapes `operations` needs."""
    names = [
        name
        for node in graph.nodes
        if node.op_type in (*PRODUCTS, *CONVOLUTIONS, "ConvTranspose")
        for name in (*_operands(node), node.output[0])
    ]
    return list(dict.fromkeys(names))


def _operands(node: onnx.NodeProto) -> tuple[str, str]:
    quantized = node.op_type in ("QLinearConv", "QLinearMatMul", "QGemm")
    return node.input[0], node.input[3 if quantized else 1]


def _products(
    node: onnx.NodeProto, left: tuple[int, ...], right: tuple[int, ...], out: tuple[int, ...]
) -> int:
    if node.op_type in CONVOLUTIONS:  # weights are (out, in of a group, *kernel)
        return math.prod(out) * math.prod(right[1:])
    if node.op_type == "ConvTranspose":  # (in, out of a group, *kernel)
        return math.prod(left) * math.prod(right[1:])
    transposed = attributes(node).get("transA", 0)
    return math.prod(out) * (left[-2] if transposed and len(left) > 1 else left[-1])
