"""A graph as far as a cut, with the pooling there, as a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from zoorank.errors import SourceError
from zoorank.messages import one_line
from zoorank.sources.pooling import pooled_axes

if TYPE_CHECKING:
    from zoorank.sources.onnx.graph import Graph

AXES_AS_INPUT = 18  # the opset from which reductions read their axes


def export(
    graph: Graph, value: str, shape: Sequence[int], pooling: str, axis: int | None, path: Path
) -> Path:
    """Write the part of a graph that a value needs, and pool the value.

    Parameters
    ----------
    graph : Graph
    value : str
        Where the graph is cut.
    shape : sequence of int
        Of it, for a batch.
    pooling : str
        As a manifest says it.
    axis : int or None
        Of its channels.
    path : Path

    Raises
    ------
    SourceError
        When the part cannot be written.
    """
    try:
        model = graph.cut_off([value])
        for name, (array, kind) in graph.large_weights(model).items():
            _fill(model, name, np.asarray(array), kind)
        opset = max(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
        result = _pool(model, value, tuple(shape), pooling, axis, opset)
        del model.graph.output[:]
        model.graph.output.append(
            helper.make_tensor_value_info(result, TensorProto.FLOAT, ["samples", "features"])
        )
        onnx.save(model, path)
    except (ValueError, OSError) as error:
        raise SourceError(f"cannot be written as a graph: {one_line(error)}") from error
    return path


def _fill(model: onnx.ModelProto, name: str, array: np.ndarray, kind: int) -> None:
    """Put the numbers of a weight where the graph holds a placeholder."""
    (place,) = (number for number, each in enumerate(model.graph.initializer) if each.name == name)
    dims = model.graph.initializer[place].dims
    filled = numpy_helper.from_array(np.ascontiguousarray(array).reshape(dims), name)
    if filled.data_type != kind:  # what NumPy has no type for, by its bytes
        filled.data_type = kind
    model.graph.initializer[place].CopyFrom(filled)


def _pool(
    model: onnx.ModelProto,
    value: str,
    shape: tuple[int, ...],
    pooling: str,
    axis: int | None,
    opset: int,
) -> str:
    """Add what :func:`zoorank.sources.pooling.pool` does, as operators."""
    axes = pooled_axes(shape, pooling, axis)
    steps = model.graph.node
    steps.append(helper.make_node("Cast", [value], ["zoorank.float"], to=TensorProto.FLOAT))
    last, result = "zoorank.float", "encoding"
    if axes is None:
        steps.append(helper.make_node("Flatten", [last], [result], axis=1))
        return result
    if pooling == "first_token":
        _number(model, "zoorank.tokens", [0, -1, shape[-1]])
        _number(model, "zoorank.first", 0)
        steps.append(helper.make_node("Reshape", [last, "zoorank.tokens"], ["zoorank.rows"]))
        steps.append(
            helper.make_node("Gather", ["zoorank.rows", "zoorank.first"], [result], axis=1)
        )
        return result
    operator = "ReduceMax" if pooling == "max" else "ReduceMean"
    if opset >= AXES_AS_INPUT:
        _number(model, "zoorank.axes", list(axes))
        node = helper.make_node(operator, [last, "zoorank.axes"], [result], keepdims=0)
    else:
        node = helper.make_node(operator, [last], [result], axes=list(axes), keepdims=0)
    steps.append(node)
    return result


def _number(model: onnx.ModelProto, name: str, value: int | list[int]) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
