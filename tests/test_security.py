"""SECURITY.md, point by point."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.sources import tiny_nets

from zoorank.encoding.encode import encode_source
from zoorank.errors import DataError, ManifestError, SourceError
from zoorank.partial import read_sealed, sealed
from zoorank.ranking.rank import rank
from zoorank.sources.base import OpenOptions
from zoorank.sources.manifest import load_zoo
from zoorank.sources.references import source_of
from zoorank.sources.torch.source import TorchSource, load
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
CLAIMS: dict[str, str] = {}


def claim(*beginnings: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Say which points of the document a test tries."""

    def note(test: Callable[..., None]) -> Callable[..., None]:
        CLAIMS.update(dict.fromkeys(beginnings, test.__name__))
        return test

    return note


def test_each_point_has_its_test() -> None:
    points = re.findall(r"^- (.*?)\n(?=\n|- )", f"{TEXT}\n", re.MULTILINE | re.DOTALL)
    points = [" ".join(point.split()) for point in points]
    assert len(points) == TEXT.count("\n- ")
    untested = [point for point in points if not any(map(point.startswith, CLAIMS))]
    unclaimed = [each for each in CLAIMS if not any(point.startswith(each) for point in points)]
    assert (untested, unclaimed) == ([], [])


def _spec(tmp_path: Path, factory: str, rest: str = "", **allowed: Any) -> TorchSource:
    (tmp_path / "zoo.toml").write_text(
        f'[[model]]\nname = "m"\nfactory = "{factory}"\npreprocessing = {{ input = "table" }}\n'
        + (rest if "weights" in rest else f"weights.random = {{}}\n{rest}")
    )
    return load_zoo(tmp_path / "zoo.toml", **allowed).models[0]


def _refusal(tmp_path: Path, factory: str, rest: str = "", **allowed: Any) -> str:
    with pytest.raises(SourceError) as caught:
        load(_spec(tmp_path, factory, rest, **allowed))
    return str(caught.value)


CODE = "__import__('pathlib').Path('ran').touch()"


@claim("run code that it brings", "call anything of torch but")
def test_an_argument_stays_text(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = f'[model.arguments]\nimport_block = "{CODE}"\nbody = {{ _code = "{CODE}" }}\n'
    factory = "torch.fx.graph_module:reduce_graph_module"
    for packages in ((), ("torch",)):
        text = _refusal(tmp_path, factory, arguments, allow_packages=packages)
        assert "only the classes of torch.nn are called" in text
    arguments = f'[model.arguments]\nin_features = "{CODE}"\nout_features = 2\n'
    assert "failed: TypeError" in _refusal(tmp_path, "torch.nn:Linear", arguments)
    assert not (tmp_path / "ran").exists()


@claim("call anything of another package", "have a package imported that you did not allow")
def test_other_packages(tmp_path: Path, monkeypatch) -> None:
    for factory in ("numpy:load", "sklearn.utils:Bunch", "pip:main", "timm.utils:x"):
        assert "knows; if you trust its code" in _refusal(tmp_path, factory)
    monkeypatch.delitem(sys.modules, "efficientnet_lite_pytorch", raising=False)
    text = _refusal(tmp_path, "efficientnet_lite_pytorch.utils:load_pretrained_weights")
    assert "holds no models that zoorank knows" in text
    assert "efficientnet_lite_pytorch" not in sys.modules
    for name in ("EfficientNet.from_pretrained", "EfficientNet"):
        text = _refusal(tmp_path, f"efficientnet_lite_pytorch:{name}")
        assert "is not in efficientnet_lite_pytorch's list of models" in text
    arguments = 'arguments = { model_name = "efficientnet-lite0" }\n'
    load(_spec(tmp_path, "efficientnet_lite_pytorch:EfficientNet.from_name", arguments))


@claim("call what lies in the standard library")
def test_what_is_not_installed(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "lying.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for factory in ("os:system", "lying:net"):
        package = factory.partition(":")[0]
        text = _refusal(tmp_path, factory, allow_packages=[package])
        assert "is not an installed package" in text
    assert not (tmp_path / "ran").exists()


@claim("name a private module or attribute")
def test_private_names(tmp_path: Path) -> None:
    for factory in ("numpy.f2py.__main__:x", "torch.nn:Linear.__init__.__globals__"):
        assert "is private" in _refusal(tmp_path, factory, allow_packages=["numpy", "torch"])
    assert "has no class or function 'mro'" in _refusal(tmp_path, "torch.nn:Linear.mro")


@claim("give itself permission")
def test_keys_that_would_permit(tmp_path: Path) -> None:
    for key in ("allow_code", "allow_packages", "trust"):
        for place in (f'{key} = "."\n', ""):
            (tmp_path / "zoo.toml").write_text(
                f'{place}[[model]]\nname = "m"\nfactory = "a:b"\nweights.random = {{}}\n'
                'preprocessing.input = "table"\n' + ("" if place else f'{key} = "."\n')
            )
            with pytest.raises(ManifestError, match=f"unknown key '{key}'"):
                load_zoo(tmp_path / "zoo.toml")


NETS = """
import subprocess, sys
from urllib.request import urlopen
from os import system
from torch import load, nn

class Net(nn.Linear):
    def __init__(self, n=4): super().__init__(n, 2)
    @classmethod
    def fetched(cls, url): return urlopen(url)
    @classmethod
    def started(cls): return subprocess.run(["true"])

def annotated() -> nn.Module: return Net()
def plain(): return Net()
def exits() -> nn.Module: sys.exit(3)
def connects() -> nn.Module:
    import socket
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    return Net()
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch) -> str:
    """An installed package of networks."""
    from zoorank.sources import trust

    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "zr_security_nets.py").write_text(NETS)
    roots = (*trust._roots(), folder.resolve())
    monkeypatch.setattr(trust, "_roots", lambda: roots)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "zr_security_nets", raising=False)
    return "zr_security_nets"


@claim("have a builder fetch weights")
def test_builders_without_a_network(tmp_path: Path, package: str) -> None:
    for name, arguments in (
        ("Net.fetched", 'arguments = { url = "http://127.0.0.1:9/" }\n'),
        ("Net.started", ""),
        ("connects", ""),
    ):
        text = _refusal(tmp_path, f"{package}:{name}", arguments, allow_packages=package)
        assert "no network and no processes while a network is built" in text
    arguments = "arguments = { pretrained = true }\n"
    try:
        import timm  # noqa: F401
    except (ImportError, RuntimeError):
        return
    assert "would fetch weights" in _refusal(tmp_path, "timm.models:resnet18", arguments)


@claim("end the run by a builder")
def test_a_builder_that_exits_is_a_row(tmp_path: Path, package: str, table) -> None:
    (tmp_path / "zoo.toml").write_text(
        "".join(
            f'[[model]]\nname = "{name}"\nfactory = "{package}:{name}"\nweights.random = {{}}\n'
            'preprocessing.input = "table"\n'
            for name in ("exits", "annotated")
        )
    )
    ranking = rank(
        tmp_path / "zoo.toml",
        (table.X, table.labels),
        allow_packages=package,
        store=tmp_path / "store",
        score="silhouette",
    )
    assert ranking.best.model == "annotated"
    (failure,) = ranking.failures
    assert "SystemExit: 3" in failure.note


@claim("give a builder any numbers")
def test_a_network_of_any_size(tmp_path: Path) -> None:
    arguments = "arguments = { in_features = 4, out_features = 1_000_000 }\n"
    assert load(_spec(tmp_path, "torch.nn:Linear", arguments)).module.out_features == 10**6


@claim("name any file that you may read")
def test_any_file_is_opened(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "secret.pt").write_text("not weights")
    text = _refusal(tmp_path, "torch.nn:Identity", 'weights.file = "secret.pt"\n')
    assert "secret.pt: not a readable PyTorch file" in text
    monkeypatch.setenv("ZR_SECRET", "hunter2")
    text = _refusal(tmp_path, "torch.nn:Identity", 'weights.file = "${ZR_SECRET}.pt"\n')
    assert text == "weights file ${ZR_SECRET}.pt does not exist"
    (tmp_path / "hunter2.pt").write_text("not weights")
    text = _refusal(tmp_path, "torch.nn:Identity", 'weights.file = "${ZR_SECRET}.pt"\n')
    assert text.startswith("${ZR_SECRET}.pt: not a readable PyTorch file")
    assert "hunter2" not in text


@claim("with `--allow-package NAME`")
def test_an_allowed_package(tmp_path: Path, package: str) -> None:
    for name in ("Net", "annotated"):
        assert load(_spec(tmp_path, f"{package}:{name}", allow_packages=package))
    for name in ("plain", "system", "load", "urlopen"):
        text = _refusal(tmp_path, f"{package}:{name}", allow_packages=package)
        assert "is neither a torch.nn.Module class" in text


@claim("with `--allow-code DIR`")
def test_allowed_code(tmp_path: Path) -> None:
    (tmp_path / "zr_security_own.py").write_text(NETS)
    for name in ("Net", "plain", "connects"):
        assert load(_spec(tmp_path, f"zr_security_own:{name}", allow_code=tmp_path))
    for name in ("system", "load", "urlopen"):
        text = _refusal(tmp_path, f"zr_security_own:{name}", allow_code=tmp_path)
        assert "is neither defined there nor a builder" in text


class _Attack:
    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


@claim("run code: it is read as safetensors", "be read by a torch older than 2.10")
def test_weights_that_would_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pickled.pt").write_bytes(pickle.dumps(_Attack()))
    torch.save(_Attack(), tmp_path / "saved.pt")
    for name in ("pickled", "saved"):
        text = _refusal(tmp_path, "torch.nn:Identity", f'weights.file = "{name}.pt"\n')
        assert "refused, as it" in text
    (tmp_path / "zr_loading.py").write_text(
        "import torch\ndef net():\n    return torch.load('saved.pt', weights_only=False)\n"
    )
    text = _refusal(tmp_path, "zr_loading:net", allow_code=tmp_path)
    assert "failed: UnpicklingError" in text
    assert not (tmp_path / "ran").exists()
    monkeypatch.setattr(torch, "__version__", "2.9.1")
    text = _refusal(tmp_path, "torch.nn:Identity", 'weights.file = "saved.pt"\n')
    assert "torch 2.9.1 does not load pickles safely" in text


@claim("have a class imported that it names")
def test_classes_that_a_file_of_weights_names(tmp_path: Path, monkeypatch) -> None:
    module = types.ModuleType("omegaconf")
    module.DictConfig = type("DictConfig", (), {"__module__": "omegaconf"})
    monkeypatch.setitem(sys.modules, "omegaconf", module)
    state = {"weight": torch.ones(2, 4), "bias": torch.ones(2)}
    torch.save({"model": state, "cfg": module.DictConfig()}, tmp_path / "w.pt")
    torch.save({"model": state, "net": tiny_nets.TinyMLP()}, tmp_path / "whole.pt")
    monkeypatch.delitem(sys.modules, "omegaconf")
    arguments = 'arguments = { in_features = 4, out_features = 2 }\nweights.file = "w.pt"\n'
    loaded = load(_spec(tmp_path, "torch.nn:Linear", arguments))
    assert loaded.module.weight.tolist() == [[1] * 4] * 2
    assert "omegaconf" not in sys.modules
    text = _refusal(tmp_path, "torch.nn:Linear", arguments.replace("w.pt", "whole.pt"))
    assert "would run code when loaded: tests.sources.tiny_nets.TinyMLP" in text


@claim("be exchanged between the check", "hold any numbers, and so make the network")
def test_weights_that_are_exchanged(make_spec, tmp_path: Path, monkeypatch) -> None:
    from zoorank.sources.files import Pin, SourceFile

    torch.save(tiny_nets.TinyMLP().state_dict(), tmp_path / "w.pt")
    spec = make_spec("TinyMLP", 'file = "w.pt"')
    hashed = SourceFile.pin

    def exchanged(file: SourceFile, expected: str | None = None) -> Pin:
        pinned = hashed(file, expected)
        (tmp_path / "other.pt").replace(file.path)
        return pinned

    other = {name: value * 0 for name, value in tiny_nets.TinyMLP().state_dict().items()}
    torch.save(other, tmp_path / "other.pt")
    with monkeypatch.context() as patch:
        patch.setattr(SourceFile, "pin", exchanged)
        with pytest.raises(SourceError, match="has changed since the run began"):
            load(spec)
    assert not load(spec).module[0].weight.any()


def _folder(place: Path, **config: Any) -> str:
    (place / "config.json").write_text(json.dumps(config))
    (place / "evil.py").write_text(CODE)
    (place / "tokenizer.json").write_text("{}")
    save_file({"a": torch.zeros(2)}, place / "model.safetensors")
    return str(place)


def _refused_folder(reference: str, modality: Any = "text") -> str:
    with pytest.raises(SourceError) as caught:
        source_of(reference).resolve(print).open(OpenOptions(modality))
    return str(caught.value)


@claim("run code that lies in it")
def test_code_in_the_folder_of_a_model(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    folder = _folder(tmp_path, model_type="evil", auto_map=names)
    assert "is never run" in _refused_folder(f"hf:{folder}")
    (tmp_path / "modules.json").write_text(json.dumps([{"type": "evil.Model", "path": ""}]))
    assert "a stranger's code is never run" in _refused_folder(f"st:{folder}")
    assert not (tmp_path / "ran").exists()


@claim("take a part of the network from elsewhere", "have its configuration, tokenizer or weights")
def test_a_backbone_of_a_hub(tmp_path: Path, monkeypatch) -> None:
    asked: list[str] = []
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("socket.socket.connect", lambda *_: asked.append("connected"))
    for name, expected in (("org/net", "lies elsewhere"), ("net", "no network|offline mode")):
        folder = _folder(tmp_path, model_type="dpt", is_hybrid=True, backbone=name)
        assert re.search(expected, _refused_folder(f"hf:{folder}", "image"))
    assert asked == []


@claim("have the libraries build a network of any size")
def test_a_configuration_of_any_size(tmp_path: Path) -> None:
    from zoorank.sources.torch.towers import read_config

    _folder(tmp_path, model_type="bert", hidden_size=10**6)
    assert read_config(tmp_path).hidden_size == 10**6


@claim("run code: arrays of pickled objects", "hold any numbers and labels")
def test_data_that_would_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    objects = np.array([_Attack()] * 4, dtype=object)
    np.save(tmp_path / "X.npy", objects, allow_pickle=True)
    np.save(tmp_path / "y.npy", np.arange(4) % 2)
    np.savez(tmp_path / "data.npz", X=objects, y=np.arange(4) % 2)
    for name in ("X.npy", "data.npz"):
        with pytest.raises(DataError, match="Python objects"):
            load_target(tmp_path / name)
    assert not (tmp_path / "ran").exists()
    np.savez(tmp_path / "data.npz", X=np.full((4, 2), 1e30), y=np.arange(4) % 2)
    assert load_target(tmp_path / "data.npz").X.max() == 1e30


@claim("run code: no class that a Parquet file", "name a file outside its folder")
def test_data_of_other_libraries(tmp_path: Path, monkeypatch) -> None:
    import datasets
    import pyarrow as pa
    from pyarrow import parquet

    monkeypatch.chdir(tmp_path)
    kinds = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(_Attack()),
    }
    columns = {"text": ["a", "b"] * 3, "label": ["x", "y"] * 3}
    fields = [pa.field("text", pa.string(), metadata=kinds), pa.field("label", pa.string())]
    parquet.write_table(pa.table(columns, schema=pa.schema(fields)), "data.parquet")
    assert len(load_target(tmp_path / "data.parquet")) == 6
    datasets.Dataset.from_dict(columns).save_to_disk("saved")
    place = tmp_path / "saved" / "state.json"
    state = json.loads(place.read_text())
    name = state["_data_files"][0]["filename"]
    (tmp_path / "saved" / name).rename(tmp_path / "elsewhere.arrow")
    state["_data_files"][0]["filename"] = "../elsewhere.arrow"
    place.write_text(json.dumps(state))
    with pytest.raises(DataError, match=r"names the file '\.\./elsewhere.arrow', outside its fold"):
        load_target(tmp_path / "saved")
    info = tmp_path / "saved" / "dataset_info.json"
    said = json.loads(info.read_text())
    said["features"]["text"] = {"_type": "os.system"}
    info.write_text(json.dumps(said))
    state["_data_files"][0]["filename"] = name
    place.write_text(json.dumps(state))
    with pytest.raises(DataError, match="not a readable saved data set"):
        load_target(tmp_path / "saved")
    assert not (tmp_path / "ran").exists()


@claim("name any image or sound")
def test_paths_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "private.png")
    lines = [f"../private.png,{label}" for label in "abab"]
    (tmp_path / "tables" / "data.csv").write_text("\n".join(["path,label", *lines]))
    target = load_target(tmp_path / "tables" / "data.csv")
    assert target.take(range(1))[0].resolve() == tmp_path / "private.png"


@claim("run code: it is made of plain arrays", "decide the ranking")
def test_a_store_of_a_stranger(make_spec, table, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    store, spec = EncodingStore(tmp_path / "store"), make_spec("TinyMLP")
    (first,) = encode_source(spec, table, store=store).encodings
    assert {path.suffix for path in store.directory.iterdir()} == {".npy", ".json"}
    # Whoever changes the numbers and seals the record anew is believed.
    place = first.path.with_suffix(".json")
    record = read_sealed(place)
    forged = np.zeros((60, first.record.dim), np.float32)
    np.save(first.path, forged)
    place.write_text(sealed({**record, "sha256": hashlib.sha256(forged.data).hexdigest()}))
    (again,) = encode_source(spec, table, store=store).encodings
    assert again.reused
    assert not again.load().any()
    first.path.write_bytes(pickle.dumps(_Attack()))
    (again,) = encode_source(spec, table, store=store).encodings
    assert not again.reused
    assert again.load().any()
    assert not (tmp_path / "ran").exists()
