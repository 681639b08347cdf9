"""Small ONNX graphs that tests write, and the whole graph's values to compare with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
node = helper.make_node


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Sequence[int | str]]],
    outputs: Sequence[str],
    weights: Mapping[str, np.ndarray],
    **keys: Any,
) -> onnx.ModelProto:
    """Put a model together; the outputs are floats of any shape."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info(name, kind, dims) for name, (kind, dims) in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = keys.pop("opset_imports", [helper.make_opsetid("", 17)])
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **keys)


def _random(*shape: int, seed: int = 0) -> np.ndarray:
    scale = np.sqrt(2 / np.prod(shape[1:]))
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def residual_net(
    batch: int | str = "n",
    side: int | str = 8,
    nhwc: bool = False,
    kind: int = FLOAT,
    softmax: bool = True,
) -> onnx.ModelProto:
    """Stem, two residual blocks, mean, Gemm and softmax: 3 channels in, 5 classes out."""
    weights = {
        "stem.w": _random(4, 3, 3, 3, seed=1),
        "a.w": _random(4, 4, 3, 3, seed=2),
        "b.w": _random(6, 4, 3, 3, seed=3),
        "skip.w": _random(6, 4, 1, 1, seed=4),
        "head.w": _random(5, 6, seed=5),
        "head.b": _random(5, 1, seed=6)[:, 0],
    }
    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    first = "image"
    nodes = []
    if kind != FLOAT:
        nodes.append(node("Cast", [first], ["float"], to=FLOAT))
        first = "float"
    if nhwc:
        nodes.append(node("Transpose", [first], ["nchw"], perm=[0, 3, 1, 2]))
        first = "nchw"
    nodes += [
        node("Conv", [first, "stem.w"], ["stem"], name="stem", **same),
        node("Relu", ["stem"], ["stem.out"]),
        node("Conv", ["stem.out", "a.w"], ["a"], **same),
        node("Add", ["a", "stem.out"], ["a.sum"]),
        node("Relu", ["a.sum"], ["a.out"]),
        node("Conv", ["a.out", "b.w"], ["b"], **same),
        node("Conv", ["a.out", "skip.w"], ["skip"]),
        node("Add", ["b", "skip"], ["b.sum"]),
        node("Relu", ["b.sum"], ["b.out"]),
        node("GlobalAveragePool", ["b.out"], ["pooled"]),
        node("Flatten", ["pooled"], ["features"]),
        node("Gemm", ["features", "head.w", "head.b"], ["scores"], name="head", transB=1),
    ]
    if softmax:
        nodes.append(node("Softmax", ["scores"], ["classes"], name="softmax"))
    dims = [batch, side, side, 3] if nhwc else [batch, 3, side, side]
    return model(nodes, {"image": (kind, dims)}, ["classes" if softmax else "scores"], weights)


def encoder_of_texts(
    tokens: int | str = "t",
    names: Sequence[str] = ("input_ids", "attention_mask", "token_type_ids"),
) -> onnx.ModelProto:
    """Embeddings, one block of attention with a mask, LayerNormalization: 6 numbers a token."""
    ids, *others = names
    mask = others[0] if others else None
    weights = {
        "words": _random(12, 6, seed=1),
        "kinds": _random(2, 6, seed=2),
        "query": _random(6, 6, seed=3),
        "up": _random(6, 6, seed=4),
        "one": np.float32(1),
        "much": np.float32(1e4),
        "scale": np.ones(6, np.float32),
        "axis": np.array([1], np.int64),
    }
    nodes = [node("Gather", ["words", ids], ["word"])]
    first = "word"
    if len(names) > 2:
        nodes += [node("Gather", ["kinds", names[2]], ["kind"])]
        nodes += [node("Add", ["word", "kind"], ["embedded"])]
        first = "embedded"
    nodes += [
        node("MatMul", [first, "query"], ["q"]),
        node("Transpose", [first], ["turned"], perm=[0, 2, 1]),
        node("MatMul", ["q", "turned"], ["alike"]),
    ]
    alike = "alike"
    if mask:
        nodes += [
            node("Cast", [mask], ["real"], to=FLOAT),
            node("Sub", ["one", "real"], ["absent"]),
            node("Mul", ["absent", "much"], ["far"]),
            node("Unsqueeze", ["far", "axis"], ["far.rows"]),
            node("Sub", ["alike", "far.rows"], ["masked"]),
        ]
        alike = "masked"
    nodes += [
        node("Softmax", [alike], ["looks"], axis=-1),
        node("MatMul", ["looks", first], ["seen"]),
        node("Add", ["seen", first], ["block.sum"]),
        node("LayerNormalization", ["block.sum", "scale"], ["block"]),
        node("MatMul", ["block", "up"], ["up.out"]),
        node("Relu", ["up.out"], ["up.relu"]),
        node("Add", ["up.relu", "block"], ["last.sum"]),
        node("LayerNormalization", ["last.sum", "scale"], ["last"]),
    ]
    kinds = {name: (TensorProto.INT64, ["n", tokens]) for name in names}
    return model(nodes, kinds, ["last"], weights)


def save(net: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(net.SerializeToString())
    return path


def whole(
    net: onnx.ModelProto, values: Sequence[str], inputs: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """Run all of a model, unoptimized, and give some of its values."""
    every = onnx.ModelProto()
    every.CopyFrom(net)
    present = {each.name for each in every.graph.output}
    for value in values:
        if value not in present:
            every.graph.output.add(name=value)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        every.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(list(values), dict(inputs))


def what_runs(monkeypatch, folder: Path) -> Any:
    """Have every new session write down what it runs; the result reads it, by the kind of node."""
    plain = onnxruntime.SessionOptions
    prefix = folder / "profile"

    def profiled() -> onnxruntime.SessionOptions:
        options = plain()
        options.enable_profiling = True
        options.profile_file_prefix = str(prefix)
        return options

    monkeypatch.setattr(onnxruntime, "SessionOptions", profiled)

    def read() -> list[set[str]]:
        files = sorted(folder.glob("profile*.json"), key=lambda file: file.stat().st_mtime_ns)
        return [
            {
                event["args"]["op_name"]
                for event in json.loads(file.read_text())
                if event.get("cat") == "Node" and "op_name" in event["args"]
            }
            for file in files
        ]

    return read
