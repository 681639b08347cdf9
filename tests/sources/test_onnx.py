"""ONNX files are cut at values of their graph, and fed as the manifest or their inputs say."""

from __future__ import annotations

import gc
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.sources.onnx_nets import FLOAT, model, node, residual_net, save, what_runs, whole

from zoorank.errors import SourceError, UsageError
from zoorank.sources.base import Cut, Entry, OpenOptions, Refusal
from zoorank.sources.references import source_of, sources_of
from zoorank.targets import load_target
from zoorank.transforms.base import ONLY, Batch
from zoorank.transforms.specs import (
    AudioPreprocessing,
    ImagePreprocessing,
    SeriesPreprocessing,
    TablePreprocessing,
)

IMAGE = OpenOptions("image", device="cpu", threads=1)
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def _source(path: Path, preprocessing: Any = None, **settings: Any):
    entry = Entry(preprocessing=preprocessing, settings=settings)
    return source_of(f"onnx:{path}", entry).resolve(print)


def _open(path: Path, preprocessing: Any = None, modality: str = "image", **settings: Any):
    options = OpenOptions(modality, device="cpu", threads=1)
    return _source(path, preprocessing, **settings).open(options)


def _images(n: int = 3, side: int = 8) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 3, side, side)).astype(np.float32)


def _only(array: np.ndarray) -> Batch:
    return Batch({ONLY: array}, len(array))


def test_blocks_penultimate_and_logits_are_found(tmp_path: Path) -> None:
    with _open(save(residual_net(), tmp_path / "a.onnx")) as encoder:
        cuts = encoder.cuts(_only(_images(2)), ("all", "logits"))
        assert [(cut.name, cut.shape) for cut in cuts] == [
            ("stem.out", (4, 8, 8)),
            ("a.out", (4, 8, 8)),
            ("penultimate", (6,)),
            ("logits", (5,)),
        ]
        stem, a, rest, head = 4 * 3 * 9, 4 * 4 * 9, 6 * 4 * 10, 5 * 6
        assert [cut.parameters_kept for cut in cuts] == np.cumsum(
            [stem, a, rest, head + 5]
        ).tolist()
        operations = np.cumsum([2 * 64 * stem, 2 * 64 * a, 2 * 64 * rest, 2 * head])
        assert encoder.facts.flops == operations[-1]
        assert [cut.flops_share for cut in cuts] == pytest.approx(operations / operations[-1])
        assert encoder.facts.parameters == stem + a + rest + head + 5
        assert encoder.facts.bytes == 4 * encoder.facts.parameters
        assert encoder.facts.framework.startswith("onnxruntime ")
        assert encoder.device == "cpu"


def test_some_exporters_write_a_size_below_nothing_for_any(tmp_path: Path) -> None:
    with _open(save(residual_net(batch=-1, side=-1), tmp_path / "a.onnx")) as encoder:
        cuts = encoder.cuts(_only(_images(2)), ("penultimate",))
        assert encoder.encode(_only(_images(3)), cuts)["penultimate"].shape == (3, 6)


def test_a_weight_of_no_known_type(tmp_path: Path) -> None:
    net = residual_net()
    net.graph.initializer[0].data_type = 65
    with pytest.raises(SourceError, match="a weight is of an unknown type, 65"):
        _open(save(net, tmp_path / "a.onnx"))


@pytest.mark.parametrize("nhwc", [False, True])
@pytest.mark.parametrize("chosen", [None, "stem.out", "b.sum", "features"])
def test_a_cut_is_what_the_whole_graph_has_there(tmp_path: Path, nhwc: bool, chosen: Any) -> None:
    net = residual_net(nhwc=nhwc)
    images = _images()
    fed = np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if nhwc else images
    with _open(save(net, tmp_path / "a.onnx")) as encoder:
        wanted = (chosen,) if chosen else ("all", "logits", "stem.out", "b.sum", "features")
        cuts = encoder.cuts(_only(fed[:2]), wanted)
        found = encoder.encode(_only(fed), cuts)
    values = [cut.value for cut in cuts]
    for cut, there in zip(cuts, whole(net, values, {"image": fed}), strict=True):
        expected = there.mean(axis=tuple(range(2, there.ndim)))
        assert found[cut.name].dtype == np.float32
        np.testing.assert_allclose(found[cut.name], expected, **CLOSE)


def test_what_lies_behind_a_cut_does_not_run(tmp_path: Path, monkeypatch) -> None:
    with _open(save(residual_net(), tmp_path / "a.onnx")) as encoder:
        cuts = encoder.cuts(_only(_images(2)), ("a.out", "penultimate", "logits"))
    read = what_runs(monkeypatch, tmp_path)
    behind = [{"GlobalAveragePool", "Flatten", "Gemm", "Softmax"}, {"Gemm", "Softmax"}, {"Softmax"}]
    for cut in cuts:
        with _open(save(residual_net(), tmp_path / "a.onnx")) as encoder:
            encoder.encode(_only(_images(2)), [cut])
        gc.collect()  # a session writes its profile when it goes
    ran = read()
    assert len(ran) == 3
    for kinds, absent in zip(ran, behind, strict=True):
        assert any("Conv" in kind for kind in kinds)
        assert not kinds & absent
    nodes = encoder._graph.cut_off(["a.out"]).graph.node
    assert [each.output[0] for each in nodes] == ["stem", "stem.out", "a", "a.sum", "a.out"]


def test_the_network_is_run_on_images_as_the_manifest_says(tmp_path: Path) -> None:
    said = ImagePreprocessing(channel_order="bgr", scaling=1, mean=[104, 117, 123])
    target = load_target(
        (np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8), [0, 1] * 3)
    )
    with _open(save(residual_net(nhwc=True), tmp_path / "a.onnx"), said) as encoder:
        transform = encoder.transform.fitted(target)
        batch = transform.collate([transform.prepare(each) for each in target.take(range(6))])
        cuts = encoder.cuts(batch, ("penultimate",))
        found = encoder.encode(batch, cuts)["penultimate"]
        assert encoder.note == ""
    pixels = target.X[..., ::-1].astype(np.float32) - np.array([104, 117, 123], np.float32)
    (expected,) = whole(residual_net(nhwc=True), ["features"], {"image": pixels})
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_what_the_manifest_leaves_open_is_taken_from_the_input(tmp_path: Path) -> None:
    for nhwc, layout in ((False, "nchw"), (True, "nhwc")):
        with _open(save(residual_net(nhwc=nhwc), tmp_path / "a.onnx")) as encoder:
            spec = encoder.transform.spec
            assert (spec.layout, spec.size, spec.channels) == (layout, (8, 8), 3)
            assert "no preprocessing is declared" in encoder.note
    with _open(save(residual_net(side="s"), tmp_path / "a.onnx")) as encoder:
        assert encoder.transform.spec.size is None


@pytest.mark.parametrize(
    ("net", "said", "expected"),
    [
        (residual_net(), {"layout": "nhwc"}, "does not fit 3 channels of 3 by 8 pixels in the"),
        (residual_net(), {"size": 9}, "does not fit 3 channels of 9 by 9 pixels in the layout"),
        (residual_net(), {"channels": 1}, "does not fit 1 channels of 8 by 8 pixels"),
        (residual_net(side=3), {}, "the channels could be the second axis or the last: say prep"),
    ],
)
def test_an_input_that_does_not_fit_what_is_said_is_refused(
    tmp_path: Path, net: onnx.ModelProto, said: dict[str, Any], expected: str
) -> None:
    with pytest.raises(SourceError, match=expected):
        _open(save(net, tmp_path / "a.onnx"), ImagePreprocessing(**said))


def test_other_types_of_input_are_cast_or_refused(tmp_path: Path) -> None:
    images = np.rint(_images() * 40 + 128).clip(0, 255)
    (expected,) = whole(residual_net(), ["features"], {"image": images.astype(np.float32)})
    kinds = {
        TensorProto.UINT8: "uint8",
        TensorProto.FLOAT16: "float16",
        TensorProto.DOUBLE: "float64",
    }
    for kind in kinds:
        path = save(residual_net(kind=kind), tmp_path / "a.onnx")
        with _open(path) as encoder:
            batch = _only(images.astype(np.float32))
            found = encoder.encode(batch, encoder.cuts(batch, ("penultimate",)))["penultimate"]
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
            assert (encoder.transform.spec.scaling == "none") == (kind == TensorProto.UINT8)
    with _open(save(residual_net(kind=TensorProto.UINT8), tmp_path / "a.onnx")) as encoder:
        with pytest.raises(SourceError, match=r"takes uint8, .* not whole numbers of 0 to 255"):
            encoder.cuts(_only(images.astype(np.float32) / 255), ("penultimate",))
        with pytest.raises(SourceError, match="not whole numbers of 0 to 255"):
            encoder.cuts(_only(images.astype(np.float32) * 2), ("penultimate",))


def test_half_precision_is_pooled_in_single(tmp_path: Path) -> None:
    half = residual_net()
    for tensor in half.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    half.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    half.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    with _open(save(half, tmp_path / "a.onnx")) as encoder:
        batch = _only(_images())
        cuts = encoder.cuts(batch, ("all",))
        found = encoder.encode(batch, cuts)
        assert encoder.facts.bytes == 2 * encoder.facts.parameters
    (there,) = whole(half, ["a.out"], {"image": _images().astype(np.float16)})
    assert there.dtype == np.float16
    expected = there.astype(np.float64).mean(axis=(2, 3))
    np.testing.assert_allclose(found["a.out"], expected, rtol=1e-2)
    assert all(each.dtype == np.float32 for each in found.values())


@pytest.mark.parametrize("size", [1, 2])
def test_a_graph_of_one_batch_size_is_fed_in_such_batches(tmp_path: Path, size: int) -> None:
    with _open(save(residual_net(batch=size), tmp_path / "a.onnx")) as encoder:
        assert encoder.facts.batch_size == size
        cuts = encoder.cuts(_only(_images(2)), ("all",))
        found = encoder.encode(_only(_images(3)), cuts)
    (expected,) = whole(residual_net(), ["features"], {"image": _images(3)})
    np.testing.assert_allclose(found["penultimate"], expected, **CLOSE)


def test_series_and_tables_are_fed(tmp_path: Path) -> None:
    kernel = np.ones((2, 1, 3), np.float32)
    conv = node("Conv", ["x", "w"], ["y"], kernel_shape=[3])
    line = model(
        [conv, node("Relu", ["y"], ["z"])], {"x": (FLOAT, ["n", 1, "l"])}, ["z"], {"w": kernel}
    )
    with _open(save(line, tmp_path / "a.onnx"), modality="series") as encoder:
        assert encoder.transform.spec.layout == "ncl"
        batch = _only(np.arange(12, dtype=np.float32).reshape(2, 1, 6))
        found = encoder.encode(batch, encoder.cuts(batch, ("penultimate",)))["penultimate"]
        assert found.tolist() == [[7.5, 7.5], [25.5, 25.5]]
    with pytest.raises(SourceError, match=r"say preprocessing.layout = 'ncl' or 'nlc'"):
        _open(save(_table(["n", "c", "l"]), tmp_path / "b.onnx"), modality="series")
    with _open(
        save(_table(["n", "c", 4]), tmp_path / "b.onnx"),
        SeriesPreprocessing(layout="nlc", channels=4),
        modality="series",
    ) as encoder:
        assert encoder.cuts(_only(np.ones((2, 5, 4), np.float32)), ("penultimate",))
    for said in (None, TablePreprocessing()):
        with _open(save(_table(["n", 4]), tmp_path / "c.onnx"), said, "table") as encoder:
            batch = _only(np.eye(4, dtype=np.float32))
            cuts = encoder.cuts(batch, ("penultimate", "logits"))
            found = encoder.encode(batch, cuts)
            assert found["penultimate"].tolist() == np.eye(4).tolist()
            assert found["logits"].tolist() == np.arange(8).reshape(4, 2).tolist()
    with pytest.raises(SourceError, match="takes table samples; the target holds image samples"):
        _open(save(_table(["n", 4]), tmp_path / "c.onnx"), TablePreprocessing())
    with pytest.raises(SourceError, match="which is no image"):
        _open(save(_table(["n", 4]), tmp_path / "c.onnx"))


def _table(dims: list[Any]) -> onnx.ModelProto:
    weights = {"w": np.arange(8, dtype=np.float32).reshape(4, 2)}
    nodes = [node("Relu", ["x"], ["z"]), node("MatMul", ["z", "w"], ["y"])]
    return model(nodes, {"x": (FLOAT, dims)}, ["y"], weights)


def test_an_axis_that_nothing_tells_is_not_guessed(tmp_path: Path) -> None:
    shape = np.array([0, 4, 6], np.int64)
    nodes = [node("Reshape", ["x", "shape"], ["y"]), node("Relu", ["y"], ["z"])]
    net = model(nodes, {"x": (FLOAT, ["n", 24])}, ["z"], {"shape": shape})
    batch = _only(np.arange(48, dtype=np.float32).reshape(2, 24))
    path = save(net, tmp_path / "a.onnx")
    with _open(path, TablePreprocessing(), "table") as encoder:
        (refused,) = encoder.cuts(batch, ("z",))
        assert isinstance(refused, Refusal)
        assert "say preprocessing.pooling = 'mean' for the second, 'token_mean'" in refused.reason
    for pooling, expected in (("mean", (0, 2)), ("token_mean", (0, 1)), ("flatten", ())):
        said = TablePreprocessing(pooling=pooling)
        with _open(path, said, "table") as encoder:
            found = encoder.encode(batch, encoder.cuts(batch, ("z",)))["z"]
            there = batch.only.reshape(2, 4, 6)
            np.testing.assert_allclose(found, there.mean(expected[1]) if expected else batch.only)


def test_samples_may_lie_along_the_second_axis(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]),
        node("MatMul", ["turned", "w"], ["steps"]),
        node("ReduceMean", ["steps"], ["mean"], axes=[0], keepdims=0),
    ]
    net = model(nodes, {"x": (FLOAT, ["n", 5, 3])}, ["mean"], {"w": EYE.astype(np.float32)})
    path = save(net, tmp_path / "a.onnx")
    batch = _only(np.arange(30, dtype=np.float32).reshape(2, 5, 3))
    for said, reason in ((None, "say preprocessing.batch_first = false"), (True, "choose another")):
        series = SeriesPreprocessing(layout="nlc", channels=3, batch_first=said)
        with _open(path, series, "series") as encoder:
            (refused,) = encoder.cuts(batch, ("steps",))
            assert reason in refused.reason
    series = SeriesPreprocessing(layout="nlc", channels=3, batch_first=False)
    with _open(path, series, "series") as encoder:
        (cut,) = encoder.cuts(batch, ("steps",))
        assert cut.shape == (5, 3)
        found = encoder.encode(batch, [cut])["steps"]
    np.testing.assert_allclose(found, batch.only.mean(axis=1))


def test_sounds_are_fed_as_the_manifest_says(tmp_path: Path) -> None:
    kernel = np.ones((2, 1, 4), np.float32)
    conv = node("Conv", ["x", "w"], ["y"], kernel_shape=[4], strides=[4])
    dims = ["n", 1, "samples"]
    net = model([conv, node("Relu", ["y"], ["z"])], {"x": (FLOAT, dims)}, ["z"], {"w": kernel})
    path = save(net, tmp_path / "a.onnx")
    said = AudioPreprocessing(rate=8000, seconds=0.01, layout="ncl")
    with _open(path, said, "audio") as encoder:
        transform = encoder.transform
        wave = np.linspace(0, 1, 80, dtype=np.float32)
        batch = transform.collate(
            [transform.prepare((wave, 8000)), transform.prepare((-wave, 8000))]
        )
        assert batch.only.shape == (2, 1, 80)
        found = encoder.encode(batch, encoder.cuts(batch, ("penultimate",)))["penultimate"]
    np.testing.assert_allclose(found, [[2, 2], [0, 0]], rtol=1e-5, atol=1e-6)
    with pytest.raises(SourceError, match="takes sounds, and nothing says at which rate"):
        _open(path, None, "audio")
    with pytest.raises(SourceError, match="which does not fit the layout 'nl'"):
        _open(path, AudioPreprocessing(rate=8000), "audio")


def test_what_cannot_be_cut_at_says_why(tmp_path: Path) -> None:
    turned = node("Transpose", ["x"], ["turned"], perm=[1, 0])
    size = node("Shape", ["x"], ["size"])
    many = node("Cast", ["x"], ["whole"], to=TensorProto.INT64)
    net = model(
        [turned, size, many, node("Relu", ["x"], ["y"])], {"x": (FLOAT, ["n", 3])}, ["y"], {}
    )
    batch = _only(np.ones((2, 3), np.float32))
    with _open(save(net, tmp_path / "a.onnx"), TablePreprocessing(), "table") as encoder:
        found = encoder.cuts(batch, ("turned", "size", "whole", "penultimate", "logits"))
        reasons = {each.name: each.reason for each in found if isinstance(each, Refusal)}
        assert "its output has shape (3, 2) for 2 samples" in reasons["turned"]
        assert reasons["size"] == "it does not depend on the samples' content"
        assert reasons["whole"] == "it holds int64, not real numbers"
        assert reasons["logits"] == "its output 'y' is no linear map's: it has no classifier"
        assert [each.name for each in found if isinstance(each, Cut)] == ["penultimate"]
        with pytest.raises(
            UsageError, match=r"unknown cut 'turnt'; did you mean 'turned'. allowed: p"
        ):
            encoder.cuts(batch, ("turnt",))


def _heads(*nodes: onnx.NodeProto, output: str = "y", **weights: Any) -> onnx.ModelProto:
    every = {name: np.asarray(value, np.float32) for name, value in weights.items()}
    return model(nodes, {"x": (FLOAT, ["n", 3])}, [output], every)


EYE = np.eye(3)
HEADS = {
    "a softmax by hand": (
        [
            node("MatMul", ["x", "w"], ["l"]),
            node("ReduceMax", ["l"], ["m"], axes=[1]),
            node("Sub", ["l", "m"], ["d"]),
            node("Exp", ["d"], ["e"]),
            node("ReduceSum", ["e"], ["s"]),
            node("Div", ["e", "s"], ["y"]),
        ],
        "x2",
        "l",
    ),
    "a bias and a temperature": (
        [
            node("MatMul", ["x", "w"], ["m"]),
            node("Add", ["m", "b"], ["a"]),
            node("Div", ["a", "c"], ["l"]),
            node("Softmax", ["l"], ["y"]),
        ],
        "x2",
        "l",
    ),
    "two heads of one value, averaged": (
        [
            node("MatMul", ["x", "w"], ["a1"]),
            node("MatMul", ["x", "w"], ["a2"]),
            node("Mean", ["a1", "a2"], ["y"]),
        ],
        "x2",
        "y",
    ),
    "two heads of two values": (
        [
            node("Relu", ["x"], ["r"]),
            node("MatMul", ["x", "w"], ["a1"]),
            node("MatMul", ["r", "w"], ["a2"]),
            node("Add", ["a1", "a2"], ["y"]),
        ],
        "its output is made of several linear maps, of 'r', 'x2'; name a value",
        "y",
    ),
    "no head": (
        [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "x"], ["y"])],
        "y",
        "its output 'y' is no linear map's: it has no classifier",
    ),
    "a softmax of something else": (
        [node("Relu", ["x"], ["r"]), node("Softmax", ["r"], ["y"])],
        "its softmax reads the output of Relu and no linear map's; name a value",
        "its output 'y' is no linear map's: it has no classifier",
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_last_linear_map_is_found_whatever_follows(tmp_path: Path, name: str) -> None:
    nodes, *expected = HEADS[name]
    first = node("Tanh", ["x"], ["x2"])
    nodes = [first, *(_renamed(each) for each in nodes)]
    net = _heads(*nodes, w=EYE, b=[1, 2, 3], c=2)
    with _open(save(net, tmp_path / "a.onnx"), TablePreprocessing(), "table") as encoder:
        cuts = {
            each.name: each
            for each in encoder.cuts(_only(np.ones((2, 3), np.float32)), ("penultimate", "logits"))
        }
    found = [
        each.reason if isinstance(each, Refusal) else each.value
        for each in (cuts["penultimate"], cuts["logits"])
    ]
    assert found == expected


def _renamed(each: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(each)
    copy.input[:] = ["x2" if name == "x" else name for name in each.input]
    return copy


def test_values_that_an_inner_graph_takes_are_kept(tmp_path: Path) -> None:
    then = helper.make_graph(
        [node("Mul", ["r", "two"], ["t"])],
        "then",
        [],
        [helper.make_tensor_value_info("t", FLOAT, None)],
    )
    other = helper.make_graph(
        [node("Neg", ["r"], ["o"])], "else", [], [helper.make_tensor_value_info("o", FLOAT, None)]
    )
    nodes = [
        node("Relu", ["x"], ["r"]),
        node("If", ["yes"], ["chosen"], then_branch=then, else_branch=other),
        node("Tanh", ["chosen"], ["y"]),
    ]
    net = model(
        nodes, {"x": (FLOAT, ["n", 3])}, ["y"], {"two": np.float32(2), "yes": np.array(True)}
    )
    with _open(save(net, tmp_path / "a.onnx"), TablePreprocessing(), "table") as encoder:
        batch = _only(np.ones((2, 3), np.float32))
        cuts = encoder.cuts(batch, ("chosen",))
        assert encoder.encode(batch, cuts)["chosen"].tolist() == [[2.0] * 3] * 2
        assert encoder.facts.flops is None


def test_functions_of_the_file_are_read(tmp_path: Path) -> None:
    body = [node("Mul", ["a", "a"], ["s"]), node("Relu", ["s"], ["b"])]
    function = helper.make_function(
        "mine", "Square", ["a"], ["b"], body, [helper.make_opsetid("", 17)]
    )
    net = model(
        [node("Square", ["x"], ["q"], domain="mine"), node("MatMul", ["q", "w"], ["y"])],
        {"x": (FLOAT, ["n", 3])},
        ["y"],
        {"w": EYE.astype(np.float32)},
        functions=[function],
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)],
    )
    with _open(save(net, tmp_path / "a.onnx"), TablePreprocessing(), "table") as encoder:
        batch = _only(np.full((2, 3), 2, np.float32))
        assert encoder.encode(batch, encoder.cuts(batch, ("q",)))["q"].tolist() == [[4.0] * 3] * 2


def test_one_of_several_outputs_has_to_be_named(tmp_path: Path) -> None:
    net = residual_net()
    net.graph.output.add(name="features")
    path = save(net, tmp_path / "a.onnx")
    with pytest.raises(SourceError, match=r"gives 2 outputs \(classes, features\): say which"):
        _open(path)
    with pytest.raises(SourceError, match="has no output 'clases'; did you mean 'classes'"):
        _open(path, output="clases")
    with _open(path, output="features") as encoder:
        (cut,) = encoder.cuts(_only(_images(2)), ("penultimate",))
        assert cut.value == "features"


def test_graphs_that_zoorank_does_not_feed_are_refused(tmp_path: Path) -> None:
    net = model(
        [node("Add", ["x", "state"], ["y"])],
        {"x": (FLOAT, ["n", 3]), "state": (FLOAT, ["n", 3])},
        ["y"],
        {},
    )
    with pytest.raises(
        SourceError, match=r"takes 2 inputs \('x', float32 of shape \(any, 3\), 'st"
    ):
        _open(save(net, tmp_path / "a.onnx"), TablePreprocessing(), "table")


def test_weights_in_other_files_are_mapped(tmp_path: Path) -> None:
    net = residual_net()
    path = tmp_path / "a.onnx"
    onnx.save(net, path, save_as_external_data=True, location="a.data", size_threshold=0)
    expected = _encode(save(residual_net(), tmp_path / "b.onnx"))
    assert _encode(path).tobytes() == expected.tobytes()
    before = _source(path).identity()
    content = bytearray((tmp_path / "a.data").read_bytes())
    content[-1] ^= 1
    (tmp_path / "a.data").write_bytes(content)
    assert _source(path).identity() != before


def _encode(path: Path) -> np.ndarray:
    with _open(path) as encoder:
        batch = _only(_images())
        return encoder.encode(batch, encoder.cuts(batch, ("logits",)))["logits"]


def test_large_weights_are_not_copied_into_each_graph(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=(300, 200)).astype(np.float32)
    net = model(
        [node("MatMul", ["x", "w"], ["y"])], {"x": (FLOAT, ["n", 300])}, ["y"], {"w": weights}
    )
    with _open(save(net, tmp_path / "a.onnx"), TablePreprocessing(), "table") as encoder:
        assert encoder._graph.cut_off(["y"]).ByteSize() < 1000
        x = np.random.default_rng(1).normal(size=(2, 300)).astype(np.float32)
        found = encoder.encode(_only(x), encoder.cuts(_only(x), ("logits",)))["logits"]
        np.testing.assert_allclose(found, x @ weights, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("../secret.bin", "weight 'head.b': its file is not inside the model's folder"),
        ("/etc/passwd", "weight 'head.b': its file is not inside the model's folder"),
        ("link.bin", "weight 'head.b': its file is a link out of the model's folder"),
        ("", "weight 'head.b': its file is not inside the model's folder"),
        ("pipe", "pipe: is no regular file"),
        ("absent.bin", "absent.bin: does not exist"),
        ("short.bin", "weight 'head.b': "),
    ],
)
def test_weights_from_elsewhere_are_refused(tmp_path: Path, location: str, expected: str) -> None:
    folder = tmp_path / "zoo"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"0" * 20)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "short.bin").write_bytes(b"0" * 3)
    os.mkfifo(folder / "pipe")
    net = residual_net()
    (tensor,) = (each for each in net.graph.initializer if each.name == "head.b")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    with pytest.raises(SourceError) as caught, _open(save(net, folder / "a.onnx")) as encoder:
        encoder.cuts(_only(_images(2)), ("logits",))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_operators_of_others_are_refused(tmp_path: Path) -> None:
    for domain in ("mine", "com.microsoft.extensions", "ai.onnx.contrib"):
        inner = helper.make_graph(
            [node("Evil", [], ["t"], domain=domain)],
            "g",
            [],
            [helper.make_tensor_value_info("t", FLOAT, None)],
        )
        for bad in (
            node("Evil", ["x"], ["y"], domain=domain),
            node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner),
        ):
            net = model(
                [bad],
                {"x": (FLOAT, ["n", 3])},
                ["y"],
                {"yes": np.array(True)},
                opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)],
            )
            with pytest.raises(
                SourceError, match=f"operator '{domain}.Evil' is none of ONNX's own"
            ):
                _source(save(net, tmp_path / "a.onnx"))


def _truncated() -> bytes:
    return residual_net().SerializeToString()[:-100]


def _unsorted() -> bytes:
    net = residual_net()
    nodes = list(net.graph.node)[::-1]
    del net.graph.node[:]
    net.graph.node.extend(nodes)
    return net.SerializeToString()


def _no_such_operator() -> bytes:
    net = residual_net()
    net.graph.node[1].op_type = "Relo"
    return net.SerializeToString()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is no ONNX file"),
        (b"garbage", "is no ONNX file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is no ONNX file"),
        (_truncated(), "is no ONNX file"),
        (_unsorted(), "reads 'scores', which no earlier one gives"),
        (_no_such_operator(), "cannot be run: "),
    ],
)
def test_what_is_no_onnx_file_is_one_line(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(SourceError) as caught, _open(tmp_path / "a.onnx") as encoder:
        encoder.cuts(_only(_images(2)), ("logits",))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_messages_call_a_file_as_the_manifest_does(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ZOO_TEST_SECRET", str(tmp_path / "swordfish"))
    (tmp_path / "swordfish").mkdir()
    (tmp_path / "swordfish" / "dir.onnx").mkdir()
    save(residual_net(), tmp_path / "swordfish" / "b.onnx")
    for name, expected in (
        ("a.onnx", "does not exist"),
        ("dir.onnx", "is a directory"),
        ("b.onnx", "sha256 is not"),
    ):
        source = source_of(f"onnx:${{ZOO_TEST_SECRET}}/{name}", Entry(sha256="0" * 64))
        with pytest.raises(SourceError) as caught:
            source.resolve(print)
        assert str(caught.value).startswith(f"${{ZOO_TEST_SECRET}}/{name}: ")
        assert expected in str(caught.value)
        assert "swordfish" not in str(caught.value)
    (found,) = sources_of("onnx:${ZOO_TEST_SECRET}/?.onnx")
    assert found.name == "onnx:${ZOO_TEST_SECRET}/b.onnx"
    for pattern in ("*/${ZOO_TEST_SECRET}/*.onnx", "**/*.onnx", "*/../*.onnx"):
        with pytest.raises(UsageError, match="a pattern takes no"):
            sources_of(f"onnx:{pattern}")
    with pytest.raises(UsageError, match=r"no file matches '\$\{ZOO_TEST_SECRET\}/\*.pt'"):
        sources_of("onnx:${ZOO_TEST_SECRET}/*.pt")


def test_a_pattern_gives_a_source_for_each_file(tmp_path: Path) -> None:
    for name in ("b.onnx", "a.onnx", ".hidden.onnx", "[c].onnx"):
        save(residual_net(), tmp_path / name)
    found = sources_of("onnx:*.onnx", Entry(folder=tmp_path, cuts=("logits",)))
    assert [each.name for each in found] == ["onnx:[c].onnx", "onnx:a.onnx", "onnx:b.onnx"]
    assert {each.cuts for each in found} == {("logits",)}
    with pytest.raises(UsageError, match="name: is one name for 3 models; leave it out"):
        sources_of("onnx:*.onnx", Entry(folder=tmp_path, name="all"))
    (found,) = sources_of("onnx:[?].onnx", Entry(folder=tmp_path))
    assert found.name == "onnx:[c].onnx"


def test_the_identity_is_of_all_that_counts(tmp_path: Path) -> None:
    path = save(residual_net(), tmp_path / "a.onnx")
    one = _source(path)
    assert one == pickle.loads(pickle.dumps(one))
    assert one.identity() == _source(path).identity()
    others = [
        _source(save(residual_net(softmax=False), tmp_path / "b.onnx")),
        _source(path, ImagePreprocessing(mean=1)),
        _source(path, output="classes"),
    ]
    keys = [str(each.identity()) for each in (one, *others)]
    assert len(set(keys)) == len(keys)
    save(residual_net(), tmp_path / "c.onnx")
    assert _source(tmp_path / "c.onnx").identity() == one.identity()


@pytest.mark.parametrize("beside", [False, True])
def test_shuffled_weights_are_a_control(tmp_path: Path, beside: bool) -> None:
    path = tmp_path / "a.onnx"
    onnx.save(residual_net(), path, save_as_external_data=beside, size_threshold=0)
    found = {}
    for seed in (None, 0, 0, 1):
        with _open(path, shuffled=seed) as encoder:
            batch = _only(_images())
            cuts = encoder.cuts(batch, ("all",))
            found.setdefault(seed, []).append(encoder.encode(batch, cuts)["penultimate"])
            kept = encoder._graph.cut_off(["classes"])
            weights = encoder._graph.large_weights(kept)
            assert len(weights) == (0 if seed is None and not beside else 6 if beside else 5)
            if seed is not None:
                head = np.sort(weights["head.w"][0].ravel())
                assert head.tobytes() == np.sort(_weight("head.w").ravel()).tobytes()
    assert found[0][0].tobytes() == found[0][1].tobytes()
    assert len({each[0].tobytes() for each in found.values()}) == 3
    keys = {str(_source(path, shuffled=seed).identity()) for seed in (None, 0, 1)}
    assert len(keys) == 3


def _weight(name: str) -> np.ndarray:
    (tensor,) = (each for each in residual_net().graph.initializer if each.name == name)
    return onnx.numpy_helper.to_array(tensor)


def test_a_file_that_changes_after_it_was_hashed_is_refused(tmp_path: Path) -> None:
    path = save(residual_net(), tmp_path / "a.onnx")
    source = _source(path)
    save(residual_net(softmax=False), path)
    with pytest.raises(SourceError, match="has changed since the run began; run it again"):
        source.open(IMAGE)


def test_memory_and_devices(tmp_path: Path, monkeypatch) -> None:
    path = save(residual_net(), tmp_path / "a.onnx")
    with _open(path) as encoder:
        cuts = encoder.cuts(_only(_images(2)), ("logits",))

        class Full:
            def run(self, *_: Any) -> None:
                raise RuntimeError("Failed to allocate memory for requested buffer of size 9")

            def get_inputs(self) -> list[Any]:
                return []

        monkeypatch.setattr(encoder._runtime, "_load", lambda *_: Full())
        monkeypatch.setattr(encoder._runtime, "_key", None)
        with pytest.raises(MemoryError):
            encoder.encode(_only(_images(2)), cuts)
    with pytest.raises(SourceError, match="runs on the CPU alone; say device 'cpu'"):
        _source(path).open(OpenOptions("image", device="cuda:0"))


def test_wrong_shapes_are_one_line(tmp_path: Path) -> None:
    with _open(save(residual_net(), tmp_path / "a.onnx")) as encoder:
        with pytest.raises(SourceError) as caught:
            encoder.cuts(_only(_images(2, side=9)), ("logits",))
        assert "cannot be run: " in str(caught.value)
        assert "\n" not in str(caught.value)


def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown key 'outputs'; did you mean 'output'"):
        sources_of("onnx:a.onnx", Entry(settings={"outputs": "a"}))
    with pytest.raises(UsageError, match="inputs: unknown role 'id'; did you mean 'ids'"):
        sources_of("onnx:a.onnx", Entry(settings={"inputs": {"id": "a"}}))
