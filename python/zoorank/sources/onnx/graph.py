"""An ONNX file read as a graph: checked, and cut off behind some of its values."""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, inliner, numpy_helper

from zoorank.errors import SourceError
from zoorank.messages import brief, one_line
from zoorank.sources.files import SourceFile
from zoorank.sources.inputs import Input

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The operators that are built into the runtime. Those of any other domain would have to be
# loaded as a library, which is never done.
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
_LARGE = 2**16  # bytes
_SHAPE_OF = "zoorank shape of "
_Types = onnx.TensorProto
_WHOLE_NUMBERS = (_Types.INT64, _Types.INT32, _Types.UINT64, _Types.UINT32, _Types.BOOL)


@dataclass(frozen=True)
class Weights:
    """How much of a graph was trained.

    Attributes
    ----------
    parameters : int
        Numbers.
    bytes : int
        Of these.
    """

    parameters: int
    bytes: int


class Graph:
    """The graph of one file.

    Parameters
    ----------
    model : onnx.ModelProto
        Without functions; weights of other files are not yet read.
    file : SourceFile
        Where it lies, for messages and for weights beside it.
    shuffled : int or None
        Seed by which the numbers of each weight matrix and kernel change places; None leaves
        them as they were trained.
    """

    def __init__(
        self, model: onnx.ModelProto, file: SourceFile, shuffled: int | None = None
    ) -> None:
        self.model, self.file, self.shuffled = model, file, shuffled
        self.nodes: Sequence[onnx.NodeProto] = model.graph.node
        self.weights = {each.name: each for each in model.graph.initializer}
        sparse = {each.values.name for each in model.graph.sparse_initializer}
        given = [each for each in model.graph.input if each.name not in self.weights]
        self.inputs = tuple(self._input(each) for each in given if each.name not in sparse)
        self.outputs = tuple(each.name for each in model.graph.output)
        self.reads = tuple(tuple(_reads(node)) for node in self.nodes)
        self.producer = {
            name: number for number, node in enumerate(self.nodes) for name in node.output if name
        }
        self._check_order({each.name for each in given} | self.weights.keys() | sparse)
        self.external = {
            name: self._beside(tensor)
            for name, tensor in self.weights.items()
            if tensor.data_location == _Types.EXTERNAL
        }

    def node_of(self, value: str) -> onnx.NodeProto | None:
        """The node that gives a value; None for inputs and weights."""
        return self.nodes[self.producer[value]] if value in self.producer else None

    def needed(self, values: Collection[str]) -> list[int]:
        """Places of the nodes that some values depend on, in the order in which they run."""
        stack, found = [self.producer[each] for each in values if each in self.producer], set()
        while stack:
            number = stack.pop()
            if number not in found:
                found.add(number)
                stack += [
                    self.producer[name] for name in self.reads[number] if name in self.producer
                ]
        return sorted(found)

    def reached(self, names: Collection[str]) -> frozenset[str]:
        """Values that change with the content, and not the shape alone, of some inputs."""
        found = set(names)
        for number, node in enumerate(self.nodes):
            if node.op_type not in ("Shape", "Size") and not found.isdisjoint(self.reads[number]):
                found.update(filter(None, node.output))
        return frozenset(found)

    def cut_off(self, values: Sequence[str], shapes: Sequence[str] = ()) -> onnx.ModelProto:
        """Build the graph that gives some values, and the shapes of others, and nothing more.

        Parameters
        ----------
        values : sequence of str
            What the new graph gives, in this order.
        shapes : sequence of str
            Of these it gives the shapes, behind the values.
        """
        kept = self.needed([*values, *shapes])
        names = {name for number in kept for name in self.reads[number]}
        old = self.model.graph
        graph = onnx.GraphProto(name=old.name or "graph")
        graph.node.extend(self.nodes[number] for number in kept)
        for each in old.initializer:
            if each.name in names:
                graph.initializer.append(self._placeholders.get(each.name, each))
        graph.sparse_initializer.extend(
            each for each in old.sparse_initializer if each.values.name in names
        )
        graph.input.extend(each for each in old.input if each.name in names)
        for value in shapes:
            graph.node.add(op_type="Shape", input=[value], output=[_SHAPE_OF + value])
        # The runtime finds their types by itself.
        for name in [*values, *(_SHAPE_OF + value for value in shapes)]:
            graph.output.add(name=name)
        model = onnx.ModelProto(ir_version=self.model.ir_version, graph=graph)
        model.opset_import.extend(self.model.opset_import)
        return model

    def trained(self, nodes: Collection[int]) -> Weights:
        """Count the weights that some nodes read; whole numbers of 32 bits and more are sizes."""
        names = {name for number in nodes for name in self.reads[number]}
        tensors = [tensor for name, tensor in self.weights.items() if name in names]
        tensors += [
            attribute.t
            for number in nodes
            if self.nodes[number].op_type == "Constant"
            for attribute in self.nodes[number].attribute
            if attribute.name == "value"
        ]
        trained = [each for each in tensors if each.data_type not in _WHOLE_NUMBERS]
        counts = [math.prod(each.dims) for each in trained]
        try:
            sizes = [_bits(each.data_type) for each in trained]
        except KeyError as error:
            raise self.file.refuse(f"a weight is of an unknown type, {error}") from None
        used = sum(count * bits for count, bits in zip(counts, sizes, strict=True))
        return Weights(sum(counts), used // 8)

    def large_weights(self, model: onnx.ModelProto) -> dict[str, tuple[NDArray[Any], int]]:
        """Weights that `cut_off` left out, with their ONNX types: views, or maps of other files."""
        names = [each.name for each in model.graph.initializer if each.name in self._placeholders]
        return {name: (self._array(name), self.weights[name].data_type) for name in names}

    @cached_property
    def _placeholders(self) -> dict[str, onnx.TensorProto]:
        """Weights without their numbers, which are never copied into another graph.

        Those are the large ones, those in other files and those that are shuffled.
        """
        found = {}
        for name, tensor in self.weights.items():
            large = len(tensor.raw_data) >= _LARGE and _bits(tensor.data_type) >= 8
            if name in self.external or large or self._is_shuffled(tensor):
                bare = onnx.TensorProto(
                    name=name,
                    dims=tensor.dims,
                    data_type=tensor.data_type,
                    data_location=_Types.EXTERNAL,
                )
                bare.external_data.add(key="location", value="given")
                found[name] = bare
        return found

    def _is_shuffled(self, tensor: onnx.TensorProto) -> bool:
        trained = tensor.data_type not in _WHOLE_NUMBERS and len(tensor.dims) > 1
        return self.shuffled is not None and trained

    def _array(self, name: str) -> NDArray[Any]:
        tensor = self.weights[name]
        array = self._stored(name, tensor)
        if self.shuffled is None or not self._is_shuffled(tensor):
            return array
        rng = np.random.default_rng([self.shuffled, zlib.crc32(name.encode())])
        return rng.permutation(array.ravel()).reshape(array.shape)

    def _stored(self, name: str, tensor: onnx.TensorProto) -> NDArray[Any]:
        bits = _bits(tensor.data_type)
        if bits < 8:
            raise self._refuse_weight(name, "numbers of 4 bits are read from the file itself alone")
        dtype = np.dtype({8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}[bits])
        if dtype.itemsize > 2:  # of two bytes and less there are types that NumPy has not
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
        shape = tuple(tensor.dims)
        if name not in self.external:
            if tensor.raw_data:
                return np.frombuffer(tensor.raw_data, dtype).reshape(shape)
            return numpy_helper.to_array(tensor).view(dtype)
        said = {entry.key: entry.value for entry in tensor.external_data}
        try:
            offset = int(said.get("offset", 0))
            return np.memmap(self.external[name].path, dtype, "r", offset, shape)
        except (OSError, ValueError, OverflowError) as error:
            raise self._refuse_weight(name, one_line(error)) from None

    @property
    def takes_tokens(self) -> bool:
        """Whether an input is a batch of whole numbers, such as the ids of tokens."""
        return any(each.dtype.kind == "i" and len(each.dims) == 2 for each in self.inputs)

    @cached_property
    def is_quantized(self) -> bool:
        """Whether some of it runs on whole numbers, which rounding in another order changes."""
        return any(
            "Quant" in node.op_type
            or "Integer" in node.op_type
            or node.op_type.startswith("QLinear")
            for node in self.nodes
        )

    @cached_property
    def mixes_samples(self) -> bool:
        """Whether it takes the range of whole batches, so that samples change each other."""
        return any(node.op_type.startswith("DynamicQuantize") for node in self.nodes)

    def _input(self, value: onnx.ValueInfoProto) -> Input:
        tensor = value.type.tensor_type
        try:
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        except KeyError:
            raise self.file.refuse(f"its input {value.name!r} is no tensor") from None
        # 0 stands for no number, and some exporters write -1 for any.
        dims = (each.dim_value if each.dim_value > 0 else None for each in tensor.shape.dim)
        return Input(value.name, tuple(dims), dtype)

    def _check_order(self, given: set[str]) -> None:
        known = given | {""}
        for number, node in enumerate(self.nodes):
            missing = [name for name in self.reads[number] if name not in known]
            if missing:
                name = node.name or node.op_type
                raise self.file.refuse(
                    f"node {name!r} reads {missing[0]!r}, which no earlier one gives"
                )
            known.update(node.output)
        absent = [name for name in self.outputs if name not in known]
        if absent or not self.outputs:
            raise self.file.refuse(
                f"its output {absent[0]!r} is given by no node" if absent else "it has no output"
            )

    def _beside(self, tensor: onnx.TensorProto) -> SourceFile:
        said = {entry.key: entry.value for entry in tensor.external_data}
        place = PurePosixPath(said.get("location", ""))
        folder = self.file.path.resolve().parent
        path = folder.joinpath(*place.parts)
        if place.is_absolute() or ".." in place.parts or not place.parts or "\\" in str(place):
            raise self._refuse_weight(tensor.name, "its file is not inside the model's folder")
        if not path.resolve().is_relative_to(folder):
            raise self._refuse_weight(tensor.name, "its file is a link out of the model's folder")
        beside = self.file.beside(str(place))
        beside.check()
        return beside

    def _refuse_weight(self, name: str, reason: str) -> SourceError:
        return self.file.refuse(f"weight {brief(name)}: {reason}")


def read_graph(content: bytes, file: SourceFile, shuffled: int | None = None) -> Graph:
    """Read an ONNX file that runs nothing but the runtime's own operators.

    Raises
    ------
    SourceError
        When it is none, or one that may not be run.
    """
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError:
        raise file.refuse("is no ONNX file") from None
    if not model.graph.node or not model.opset_import:
        raise file.refuse("is no ONNX file, or one without any node")
    own = {(each.domain, each.name) for each in model.functions}
    bodies = [model.graph.node, *(each.node for each in model.functions)]
    for node in (node for body in bodies for node in _every_node(body)):
        if node.domain not in _DOMAINS and (node.domain, node.op_type) not in own:
            name = f"{node.domain}.{node.op_type}"
            raise file.refuse(f"operator {brief(name)} is none of ONNX's own, which alone are run")
        for attribute in node.attribute:
            tensors = (attribute.t, *attribute.tensors, attribute.sparse_tensor.values)
            if any(each.data_location == _Types.EXTERNAL for each in tensors):
                raise file.refuse("an attribute of a node lies in another file")
    if model.functions:
        try:
            model = inliner.inline_local_functions(model)
        except Exception as error:
            raise file.refuse(f"its functions cannot be read: {one_line(error, 200)}") from error
    return Graph(model, file, shuffled)


def shape_outputs(values: Sequence[str]) -> list[str]:
    """Names of the outputs that `Graph.cut_off` gives shapes under."""
    return [_SHAPE_OF + value for value in values]


def _every_node(nodes: Sequence[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for graph in _subgraphs(node):
            yield from _every_node(graph.node)


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Values that a node takes, and those that the graphs inside it take from around them."""
    yield from filter(None, node.input)
    for graph in _subgraphs(node):
        own = {each.name for each in (*graph.input, *graph.initializer)}
        own |= {name for inner in graph.node for name in inner.output}
        every = (name for inner in graph.node for name in _reads(inner))
        yield from (name for name in every if name not in own)
        yield from (each.name for each in graph.output if each.name not in own)


def _bits(data_type: int) -> int:
    four = {getattr(_Types, name, None) for name in ("INT4", "UINT4", "FLOAT4E2M1")}
    return 4 if data_type in four else helper.tensor_dtype_to_np_dtype(data_type).itemsize * 8


def attributes(node: onnx.NodeProto) -> Mapping[str, Any]:
    """The attributes of a node by name."""
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}
