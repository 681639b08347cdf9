"""`hf:`: tiny models as transformers saves them, and MiniLM."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file
from tests.sources.carried import lay_cache, minilm
from tests.sources.tiny_transformers import SAVED, save, weights_in

from zoorank.errors import SourceError
from zoorank.sources.base import Entry, EntryError
from zoorank.sources.huggingface import HuggingFaceSource, choose, read_processor, sources
from zoorank.sources.torch.towers import load, read_config


def refuse(line: str) -> None:
    raise AssertionError(line)


def one(identifier: str, revision: str | None = None, **keys: Any) -> HuggingFaceSource:
    (source,) = sources(identifier, revision, Entry(**keys))
    return source


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, of a hub that may not be asked."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for every tiny model."""
    folder = tmp_path_factory.mktemp("saved")
    for name in SAVED:
        save(name, folder / name)
    return folder


@pytest.mark.parametrize(
    ("name", "takes"),
    [
        ("bert", {"text"}),
        ("vit-classifier", {"image"}),
        ("clip", {"image", "text"}),
        ("clip#vision", {"image"}),
        ("clip#text", {"text"}),
        ("t5", {"text"}),
        ("resnet", {"image"}),
    ],
)
def test_a_directory_says_what_it_takes(name: str, takes: set[str], saved: Path) -> None:
    source = one(name, folder=saved)
    assert source.modalities >= takes
    resolved = source.resolve(refuse)
    assert resolved.modalities == takes
    assert pickle.loads(pickle.dumps(resolved)) == resolved
    assert [each.path.name for each in resolved.weights] == ["model.safetensors"]


def test_the_cache_of_the_hub(cache: Path, saved: Path) -> None:
    with pytest.raises(SourceError, match="org/tiny: not in the hub's cache"):
        one("org/tiny").resolve(refuse)
    snapshot = lay_cache(cache, "org/tiny", saved / "bert")
    source = one("org/tiny", "main").resolve(refuse)
    assert source.folder == snapshot
    there = one(str(saved / "bert")).resolve(refuse)
    assert source.identity() == there.identity()
    (snapshot / "tokenizer.json").unlink()
    (snapshot / "tokenizer_config.json").unlink(missing_ok=True)
    with pytest.raises(SourceError, match="lacks tokenizer or processor, and HF_HUB_OFFLINE"):
        one("org/tiny").resolve(refuse)


def test_shards_are_read_all_or_none(saved: Path, tmp_path: Path) -> None:
    model = transformers.AutoModel.from_pretrained(saved / "bert")
    model.save_pretrained(tmp_path / "own", max_shard_size="10KB")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "own" / name).write_bytes((saved / "bert" / name).read_bytes())
    source = one(str(tmp_path / "own")).resolve(refuse)
    assert len(source.weights) > 2
    files = [each.name for each in (tmp_path / "own").iterdir()]
    assert set(choose(files)) == set(files)
    (tmp_path / "own" / source.weights[0].path.name).unlink()
    with pytest.raises(SourceError, match="the directory has no weights"):
        one(str(tmp_path / "own")).resolve(refuse)


def test_an_index_does_not_lead_out_of_its_folder(saved: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "config.json").write_bytes((saved / "bert" / "config.json").read_bytes())
    (own / "tokenizer.json").write_bytes((saved / "bert" / "tokenizer.json").read_bytes())
    (tmp_path / "secret.safetensors").write_bytes(b"")
    index = {"weight_map": {"x": "../secret.safetensors"}}
    (own / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(SourceError, match="the directory has no weights"):
        one(str(own)).resolve(refuse)


def test_a_pickle_with_code_is_refused(saved: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (own / name).write_bytes((saved / "bert" / name).read_bytes())
    model = transformers.AutoModel.from_pretrained(saved / "bert")
    torch.save(model.state_dict(), own / "pytorch_model.bin")
    source = one(str(own)).resolve(refuse)
    assert not load(source.folder, "text", weights_in(source.folder)).missing
    torch.save({"x": print}, own / "pytorch_model.bin")
    with pytest.raises(SourceError, match="transformers cannot read it"):
        load(source.folder, "text", weights_in(source.folder))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("bert", "num_hidden_layers", 2**31),
        ("bert", "hidden_size", 10**4),
        ("t5", "num_layers", 10**4),
        ("vit", "hidden_size", 10**4),
    ],
)
def test_a_configuration_may_not_ask_for_far_more_than_its_weights_hold(
    name: str, key: str, value: int, saved: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(saved / name, tmp_path / name)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {key: value}))
    modality = "image" if name == "vit" else "text"
    with pytest.raises(SourceError, match=r"asks for a network far larger than its weights"):
        load(folder, modality, weights_in(folder))


def test_code_beside_the_weights_is_never_run(saved: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    mark = tmp_path / "ran"
    for name in ("tokenizer.json", "model.safetensors"):
        (own / name).write_bytes((saved / "bert" / name).read_bytes())
    (own / "code.py").write_text(f"open({str(mark)!r}, 'w')\nclass C: pass\n")
    auto = {"AutoConfig": "code.C", "AutoModel": "code.C"}
    (own / "config.json").write_text(json.dumps({"model_type": "none", "auto_map": auto}))
    with pytest.raises(SourceError, match=r"its code lies beside its weights"):
        one(str(own)).resolve(refuse)
    assert not mark.exists()


def test_what_is_not_in_the_checkpoint(saved: Path) -> None:
    tower = load(saved / "bert-masked", "text", weights_in(saved / "bert-masked"))
    assert (tower.missing, tower.dropped) == (frozenset(), ("pooler",))
    assert tower.module.pooler is None
    assert not load(saved / "vit-classifier", "image", weights_in(saved / "vit-classifier")).missing
    assert not load(saved / "t5", "text", weights_in(saved / "t5")).missing


def test_one_tower_keeps_its_names_and_drops_the_other(saved: Path) -> None:
    def parts(name: str, modality: Any) -> set[str]:
        module = load(saved / name, modality, weights_in(saved / name)).module
        return {part for part, _ in module.named_children()}

    assert parts("clip", "image") == {"vision_model", "visual_projection"}
    assert parts("clip", "text") == {"text_model", "text_projection"}
    assert parts("t5", "text") == {"encoder"}


def test_the_card(saved: Path, tmp_path: Path) -> None:
    assert one(str(minilm())).resolve(refuse).known().licence == ""
    own = tmp_path / "own"
    own.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (own / name).write_bytes((saved / "bert" / name).read_bytes())
    card = "---\nlicense: apache-2.0\ndatasets: [bookcorpus, wikipedia]\n---\n# BERT\n"
    (own / "README.md").write_text(card)
    known = one(str(own)).resolve(refuse).known()
    assert (known.licence, known.training_data) == ("Apache-2.0", "bookcorpus, wikipedia")
    (own / "README.md").write_text("---\n{not: [yaml\n---\n")
    assert one(str(own)).resolve(refuse).known().licence == ""


def test_a_directory_without_processor(saved: Path) -> None:
    assert read_processor(saved / "bert") is None


def test_references_that_are_none(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(EntryError, match="unknown tower 'sound'; allowed: vision, text"):
        one("org/name#sound")
    with pytest.raises(EntryError, match="neither a repository nor a directory"):
        one("a/b/c")
    with pytest.raises(SourceError, match=r"'./nowhere' is no directory"):
        one("./nowhere", folder=tmp_path)
    with pytest.raises(EntryError, match="is a directory, which has no revisions"):
        one("bert", "main", folder=saved)
    with pytest.raises(ValueError, match="prompt"):
        one("bert", folder=saved, settings={"prompt": "x"})
    with pytest.raises(SourceError, match="it takes text, not image"):
        one("bert#vision", folder=saved).resolve(refuse)


def test_nothing_is_asked_where_all_is_local(saved: Path) -> None:
    """In a process of its own, for an audit hook cannot be taken off again."""
    program = (
        "import sys\n"
        "def hook(event, _):\n"
        "    if event.startswith('socket.'): raise SystemExit('asked')\n"
        "sys.addaudithook(hook)\n"
        "from zoorank.sources.base import Entry\n"
        "from zoorank.sources.huggingface import sources, text_transform\n"
        "from zoorank.sources.torch.towers import load, read_config\n"
        f"source = sources({str(saved / 'bert')!r}, None, Entry())[0].resolve(print)\n"
        "tower = load(source.folder, 'text', source.weights)\n"
        "print(text_transform(source.folder, Entry(), tower, read_config(source.folder)).key[:6])\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("tokens\n", "")


def test_a_checkpoint_that_a_configuration_names_runs_nothing(tmp_path: Path, monkeypatch) -> None:
    timm = pytest.importorskip("timm")
    network = timm.create_model("test_resnet", num_classes=3)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    torch.save({"a": torch.nn.Identity()}, tmp_path / "evil.pt")
    config = {
        "model_type": "timm_wrapper",
        "architectures": ["TimmWrapperModel"],
        "architecture": "test_resnet",
        "num_classes": 3,
        "pretrained_cfg": {"input_size": [3, 64, 64], "num_classes": 3},
        "model_args": {"checkpoint_path": str(tmp_path / "evil.pt")},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))

    def unsafely(_model: Any, path: str) -> None:  # as in timm 1.0.22
        torch.load(path, weights_only=False)

    monkeypatch.setattr("timm.models._factory.load_checkpoint", unsafely)
    with pytest.raises(SourceError, match=r"its checkpoint_path is '.*evil.pt', which lies elsewh"):
        load(tmp_path, "image", weights_in(tmp_path))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "dpt", "is_hybrid": True, "backbone": "org/bit"}, "'org/bit', which lies"),
        (
            {"model_type": "dpt", "is_hybrid": True, "backbone": "bit"},
            "no network|offline mode",
        ),
        ({"model_type": "timm_backbone", "backbone": "hf_hub:org/net"}, "'hf_hub:org/net', which"),
        (
            {"model_type": "upernet", "backbone_config": {"architecture": "local-dir:/tmp"}},
            "'local-dir:/tmp', which lies",
        ),
    ],
)
def test_a_backbone_from_elsewhere_is_refused(
    config: dict[str, Any], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match=expected):
        read_config(tmp_path)
