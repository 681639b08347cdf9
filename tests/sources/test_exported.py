"""Exported programs stop at their cuts, and a stranger's runs nothing of its own."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.sources.exported_nets import (
    BATCH,
    TextNet,
    edited,
    exported,
    residual_net,
    saved,
    write,
)
from tests.sources.test_onnx_texts import write_tokenizer
from torch.utils._python_dispatch import TorchDispatchMode

from zoorank.errors import SourceError, UsageError
from zoorank.sources.base import Cut, Encoder, Entry, OpenOptions, Refusal, Trust
from zoorank.sources.references import source_of, sources_of
from zoorank.transforms.base import ONLY, Batch
from zoorank.transforms.specs import TextPreprocessing


def _open(path: Path, said: Any = None, modality: str = "image", **settings: Any) -> Encoder:
    source = source_of(f"exported:{path}", Entry(preprocessing=said, settings=settings))
    return source.open(OpenOptions(modality, device="cpu"))


def _images(n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 3, 8, 8)).astype(np.float32)


def _only(array: np.ndarray) -> Batch:
    return Batch({ONLY: array}, len(array))


def _there(*paths: str) -> dict[str, list[torch.Tensor]]:
    """What modules of the network itself give, call by call."""
    net = residual_net()
    found: dict[str, list[torch.Tensor]] = {path: [] for path in paths}
    hooks = [
        net.get_submodule(path).register_forward_hook(
            lambda _module, _inputs, output, path=path: found[path].append(output)
        )
        for path in paths
    ]
    with torch.inference_mode():
        net(torch.from_numpy(_images()))
    for hook in hooks:
        hook.remove()
    return found


def test_a_cut_is_what_the_network_has_there(tmp_path: Path) -> None:
    path = write(exported(), tmp_path / "net.pt2")
    with _open(path) as encoder:
        cuts = encoder.cuts(_only(_images(2)), ("all", "logits", "twice.conv@2", "once.norm"))
        assert [(cut.name, cut.shape) for cut in cuts] == [
            ("stem", (4, 6, 6)),
            ("twice@1", (4, 6, 6)),
            ("twice.conv@2", (4, 6, 6)),
            ("twice@2", (4, 6, 6)),
            ("once.norm", (4, 6, 6)),
            ("penultimate", (4,)),
            ("logits", (5,)),
        ]
        found = encoder.encode(_only(_images()), cuts)
        again = {cut.name: encoder.encode(_only(_images()), [cut])[cut.name] for cut in cuts}
    there = _there("stem", "twice", "twice.conv", "once.norm", "pool", "head")
    expected = {
        "stem": there["stem"][0],
        "twice@1": there["twice"][0],
        "twice.conv@2": there["twice.conv"][1],
        "twice@2": there["twice"][1],
        "once.norm": there["once.norm"][0],
        "penultimate": there["pool"][0],
        "logits": there["head"][0],
    }
    for name, values in expected.items():
        pooled = values.mean(dim=(2, 3)) if values.ndim == 4 and name != "penultimate" else values
        assert torch.equal(found[name], pooled.flatten(1)), name
        assert torch.equal(again[name], found[name]), name


def test_costs_are_counted(tmp_path: Path) -> None:
    with _open(write(exported(), tmp_path / "net.pt2")) as encoder:
        cuts = encoder.cuts(_only(_images(2)), ("stem", "twice@2", "once", "logits"))
        assert [cut.parameters_kept for cut in cuts] == [112, 112 + 156, 112 + 312, 112 + 312 + 25]
        assert encoder.facts.parameters == sum(each.numel() for each in residual_net().parameters())
        convolutions = np.cumsum([36 * 4 * 27, 2 * 36 * 4 * 36, 36 * 4 * 36])
        operations = 2 * np.array([*convolutions, convolutions[-1] + 20])
        assert encoder.facts.flops == operations[-1]
        assert [cut.flops_share for cut in cuts] == pytest.approx(operations / operations[-1])


def test_what_lies_behind_a_cut_does_not_run(tmp_path: Path) -> None:
    class Watch(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.ran: list[str] = []

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.ran.append(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    with _open(write(exported(), tmp_path / "net.pt2")) as encoder:
        cuts = encoder.cuts(_only(_images(2)), ("stem", "twice@1", "logits"))
        counts = []
        for cut in cuts:
            with Watch() as watch:
                encoder.encode(_only(_images(2)), [cut])
            assert "softmax" not in watch.ran
            assert ("linear" in watch.ran) == (cut.name == "logits")
            counts.append(sum("conv" in name for name in watch.ran))
        assert counts == [1, 2, 4]


def test_names_that_are_none(tmp_path: Path) -> None:
    with _open(write(exported(), tmp_path / "net.pt2")) as encoder:
        batch = _only(_images(2))
        with pytest.raises(
            UsageError, match=r"unknown cut 'twice'; did you mean 'twice@\d'\? allowed"
        ):
            encoder.cuts(batch, ("twice",))
        assert [each.name for each in encoder.cuts(batch, ("relu_1", "conv2d"))] == [
            "conv2d",
            "relu_1",
        ]


@pytest.mark.parametrize("size", [1, 2])
def test_a_program_of_one_batch_size_is_fed_in_such_batches(tmp_path: Path, size: int) -> None:
    with _open(write(exported(size), tmp_path / "net.pt2")) as encoder:
        assert encoder.facts.batch_size == size
        cuts = encoder.cuts(_only(_images(2)), ("logits",))
        found = encoder.encode(_only(_images()), cuts)["logits"]
    expected = _there("head")["head"][0]
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_texts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = TextNet().eval()
    ids = torch.randint(0, 12, (2, 5))
    tokens = torch.export.Dim("tokens")
    shapes = {"input_ids": {0: BATCH, 1: tokens}, "attention_mask": {0: BATCH, 1: tokens}}
    program = torch.export.export(net, (ids, torch.ones_like(ids)), dynamic_shapes=shapes)
    path = write(saved(program), tmp_path / "text.pt2")
    said = TextPreprocessing(tokenizer=str(write_tokenizer(tmp_path)))
    texts = ["a cat", "a dog sat on a mat"]
    with _open(path, said, "text") as encoder:
        batch = encoder.transform.collate([encoder.transform.prepare(text) for text in texts])
        cuts = encoder.cuts(batch, ("embedding", "norm", "penultimate", "softmax"))
        (refused,) = (each for each in cuts if isinstance(each, Refusal))
        assert refused.reason == "its last axis is as long as the text, and no feature's"
        found = encoder.encode(batch, [each for each in cuts if isinstance(each, Cut)])
        with torch.inference_mode():
            for row, text in enumerate(texts):
                one = encoder.transform.collate([encoder.transform.prepare(text)])
                inputs = (torch.from_numpy(one.inputs[name]) for name in shapes)
                expected = net(*inputs)[0].mean(dim=0)
                assert torch.allclose(found["norm"][row], expected, atol=1e-6)
    assert torch.equal(found["norm"], found["penultimate"])
    with pytest.raises(SourceError, match="takes texts, and nothing says how they become tokens"):
        _open(path, TextPreprocessing(), "text")


def test_the_identity_and_controls(tmp_path: Path) -> None:
    path = write(exported(), tmp_path / "net.pt2")
    source = source_of(f"exported:{path}").resolve(print)
    assert pickle.loads(pickle.dumps(source)) == source
    found = {}
    for seed in (None, 0, 0, 1):
        with _open(path, shuffled=seed) as encoder:
            cuts = encoder.cuts(_only(_images()), ("penultimate",))
            found.setdefault(seed, []).append(encoder.encode(_only(_images()), cuts)["penultimate"])
    assert torch.equal(found[0][0], found[0][1])
    assert not torch.equal(found[0][0], found[1][0])
    assert not torch.equal(found[0][0], found[None][0])
    keys = {
        str(source_of(f"exported:{path}", Entry(settings={"shuffled": seed})).identity())
        for seed in (None, 0, 1)
    }
    assert len(keys) == 3
    with pytest.raises(UsageError, match="inputs: unknown role 'id'"):
        sources_of("exported:a.pt2", Entry(settings={"inputs": {"id": "a"}}))


class _Touches:
    """Unpickles to a call that leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def _pickled(marker: Path) -> bytes:
    content = io.BytesIO()
    torch.save(_Touches(marker), content)
    return content.getvalue()


def _first_node(program: Any) -> Any:
    return program["graph_module"]["graph"]["nodes"][0]


def _target(target: str) -> Callable[[Any], None]:
    return lambda program: _first_node(program).update(target=target)


def _size(text: str) -> Callable[[Any], None]:
    def edit(program: Any) -> None:
        for value in program["graph_module"]["graph"]["tensor_values"].values():
            for side in value["sizes"]:
                if "as_expr" in side:
                    side["as_expr"]["expr_str"] = text

    return edit


def _renamed(name: str) -> Callable[[Any], Any]:
    def rename(value: Any) -> Any:
        if isinstance(value, dict):
            return {(name if key == "x" else key): rename(each) for key, each in value.items()}
        if isinstance(value, list):
            return [rename(each) for each in value]
        return name if value == "x" else value

    return rename


def _pickles_a_weight(config: Any) -> None:
    config["config"]["stem.0.weight"]["use_pickle"] = True


def _an_object(config: Any) -> None:
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}
    config["config"]["evil"] = {**entry, "tensor_meta": None}


def _outputs_of_a_class(program: Any, guard: str) -> None:
    program["guards_code"] = [guard]
    leaf = {"type": None, "context": None, "children_spec": []}
    spec = [1, {"type": "evil.Class", "context": "null", "children_spec": [leaf]}]
    signature = program["graph_module"]["module_call_graph"][0]["signature"]
    signature["out_spec"] = json.dumps(spec)


HOSTILE: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "a pickled weight": (
        lambda marker: {"weights": _pickles_a_weight, "weight": _pickled(marker)},
        "weight 'stem.0.weight' is pickled",
    ),
    "a pickled object": (
        lambda marker: {"constants": _an_object},
        "weight 'evil' is pickled",
    ),
    "a size that is code": (
        lambda marker: {"program": _size(f"__import__('pathlib').Path('{marker}').touch()")},
        "the size .* is of no known form",
    ),
    "a size that takes for ever": (
        lambda marker: {"program": _size("9**9**9**9")},
        "the size '9.*' is of no known form",
    ),
    "a size by small powers": (
        lambda marker: {"program": _size("9**4**4**4")},
        r"the size '9\*\*4.*' is of no known form",
    ),
    "a size by powers in brackets": (
        lambda marker: {"program": _size("(" * 40 + "9" + "**4)" * 40)},
        r"the size .* is of no known form",
    ),
    "a size by powers": (
        lambda marker: {"program": _size("Pow(Integer(9), Integer(999999999))")},
        "the size .* is of no known form",
    ),
    "an input whose name is code": (
        lambda marker: {"program": _renamed(f"x=__import__('pathlib').Path('{marker}').touch()")},
        "the name .* is of no known form",
    ),
    "a function of torch": (
        lambda marker: {"program": _target("torch.hub.load")},
        "operator 'torch.hub.load' is none that is known to be harmless",
    ),
    "a function of the system": (
        lambda marker: {"program": _target("torch.os.system")},
        "operator 'torch.os.system' is none",
    ),
    "an operator that reads files": (
        lambda marker: {"program": _target("torch.ops.aten.from_file.default")},
        "operator 'torch.ops.aten.from_file.default' is none",
    ),
    "an operator of a library": (
        lambda marker: {"program": _target("torch.ops.evil.run.default")},
        "operator 'torch.ops.evil.run.default' is none",
    ),
    "attributes of an operator": (
        lambda marker: {"program": _target("torch.ops.aten.relu.default.__globals__")},
        "operator .* is none that is known to be harmless",
    ),
    "attributes of functions": (
        lambda marker: {"program": _target("_operator.attrgetter")},
        "operator '_operator.attrg",
    ),
    "an extension": (
        lambda marker: {"program": _target("#evil:run")},
        "operator '#evil:run' is none",
    ),
    "another schema": (
        lambda marker: {"program": lambda p: p["schema_version"].update(major=9)},
        "is of schema 9, and only 8 has been looked at",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_could_run_code_is_never_loaded(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "ran"
    edits, expected = HOSTILE[name]
    path = write(edited(exported(), **edits(marker)), tmp_path / "net.pt2")
    with pytest.raises(SourceError, match=expected) as caught:
        _open(path)
    assert str(caught.value).endswith(
        "; if you trust it with any code, say --allow-code with the directory that it lies in"
    )
    assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_guards_samples_classes_and_libraries_are_left_out(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    content = edited(
        exported(),
        program=lambda program: _outputs_of_a_class(program, code),
        samples=_pickled(marker),
    )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (root,) = {name.partition("/")[0] for name in archive.namelist()}
    grown = io.BytesIO(content)
    with zipfile.ZipFile(grown, "a") as archive:
        archive.writestr(f"{root}/data/aotinductor/model/model.so", b"\x7fELF")
    path = write(grown.getvalue(), tmp_path / "net.pt2")
    with _open(path) as encoder:
        cuts = encoder.cuts(_only(_images()), ("logits",))
        found = encoder.encode(_only(_images()), cuts)["logits"]
    assert torch.equal(found, _there("head")["head"][0])
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore")
def test_a_directory_that_code_is_allowed_from_is_trusted(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    edits = {"weights": _pickles_a_weight, "weight": _pickled(marker)}
    folder = tmp_path / "trusted"
    folder.mkdir()
    path = write(edited(exported(), **edits), folder / "net.pt2")
    source = source_of(f"exported:{path}", Entry(trust=Trust(code=(folder,))))
    with pytest.raises(SourceError, match="cannot be loaded: "):  # what it unpickles is no tensor
        source.open(OpenOptions("image"))
    assert marker.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is no .pt2 file"),
        (b"garbage" * 99, "is no .pt2 file"),
        (exported()[:-200], "is no .pt2 file"),
        (edited(exported(), program=None), "it holds no model"),
        (edited(exported(), weights=None), "is no .pt2 file"),
        (
            edited(exported(), program=lambda _: {"schema_version": {"major": 8}}),
            "is no .pt2 file",
        ),
        (edited(exported(), weight=b"short"), "cannot be loaded"),
    ],
)
def test_what_is_no_program_is_one_line(tmp_path: Path, content: bytes, expected: str) -> None:
    with pytest.raises(SourceError, match=expected) as caught:
        _open(write(content, tmp_path / "net.pt2"))
    assert "\n" not in str(caught.value)


def test_the_format_before_is_not_unpickled(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with zipfile.ZipFile(tmp_path / "net.pt2", "w") as archive:
        archive.writestr("version", "8.1")
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("serialized_state_dict.pt", _pickled(marker))
    with pytest.raises(SourceError, match=r"is of a format before torch 2.8, which is unpickled"):
        _open(tmp_path / "net.pt2")
    assert not marker.exists()


def test_damaged_programs_are_one_line(tmp_path: Path) -> None:
    rng = random.Random(0)
    with zipfile.ZipFile(io.BytesIO(exported())) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith("models/model.json"))
        text = archive.read(name).decode()
    for _ in range(60):
        place, length = rng.randrange(len(text)), rng.randrange(1, 20)
        cut = text[:place] + rng.choice(["", "9", '"', "}", "null", "x"]) + text[place + length :]
        path = write(edited(exported(), program=cut.encode()), tmp_path / "net.pt2")
        with contextlib.suppress(SourceError, UsageError), _open(path) as encoder:
            encoder.cuts(_only(_images(2)), ("all",))
