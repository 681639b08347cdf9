"""`timm:`: its models from the hub's cache, from torch's, and from directories."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from tests.sources.carried import lay_cache
from tests.sources.cutting import batch_of, encode, modules_run, opened
from timm.models import save_for_hf
from torch import nn

from zoorank.errors import SourceError
from zoorank.sources.base import Entry, EntryError
from zoorank.sources.timm import TimmSource, sources, training_data

TINY = "test_resnet.r160_in1k"  # half a million parameters


def refuse(line: str) -> None:
    raise AssertionError(line)


def one(identifier: str, revision: str | None = None, **keys: Any) -> TimmSource:
    (source,) = sources(identifier, revision, Entry(**keys))
    return source


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches, of hubs that may not be asked."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_resnet").eval()


@pytest.fixture(scope="module")
def folder(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as timm writes it for the hub."""
    place = tmp_path_factory.mktemp("saved")
    save_for_hf(network, place, safe_serialization=True)
    (place / "README.md").write_text(
        "---\nlicense: mit\ndatasets:\n- imagenet-1k\nmodel-index:\n- name: tiny\n  results:\n"
        "  - task: {type: image-classification}\n    dataset: {name: ImageNet-1k, type: x}\n"
        "    metrics: [{type: accuracy, value: 45.5}]\n---\n# Tiny\n"
    )
    return place


def same(source: TimmSource, network: nn.Module) -> bool:
    x = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    built, filled = source.build()
    with torch.no_grad():
        return not filled.fresh and torch.equal(built(x), network(x))


def test_a_directory(folder: Path, network: nn.Module) -> None:
    source = one(folder.name, folder=folder.parent).resolve(refuse)
    assert [each.path.name for each in source.weights] == ["model.safetensors"]
    assert same(source, network)
    assert source.preprocessing.size == (160, 160)
    known = source.known()
    assert (known.licence, known.training_data) == ("MIT", "imagenet-1k")
    assert (known.accuracy, known.benchmark) == (0.455, "ImageNet-1k accuracy")
    assert pickle.loads(pickle.dumps(source)) == source


def test_a_pickle_is_read_as_tensors_alone(
    folder: Path, network: nn.Module, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "config.json").write_text((folder / "config.json").read_text())
    torch.save(network.state_dict(), own / "pytorch_model.bin")
    assert same(one(str(own)).resolve(refuse), network)
    torch.save(network, own / "pytorch_model.bin")
    with pytest.raises(SourceError, match="would run code when loaded"):
        one(str(own)).resolve(refuse).build()


@pytest.mark.parametrize("name", ["checkpoint_path", "cache_dir", "pretrained_cfg"])
def test_a_directory_names_no_other_file(folder: Path, tmp_path: Path, name: str) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config["model_args"] = {name: str(tmp_path / "evil.pt")}
    (own / "config.json").write_text(json.dumps(config))
    with pytest.raises(SourceError, match=f"'{name}' would fetch weights or read a file"):
        one(str(own)).resolve(refuse).build()


def test_other_classes_in_a_directory(tmp_path: Path) -> None:
    network = timm.create_model("test_vit", num_classes=5, global_pool="avg").eval()
    save_for_hf(network, tmp_path / "own", safe_serialization=True)
    source = one(str(tmp_path / "own")).resolve(refuse)
    built, filled = source.build()
    assert not filled.fresh
    assert built.num_classes == 5
    x = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(built(x), network(x))


def test_a_listed_model_from_the_hubs_cache(folder: Path, network: nn.Module, cache: Path) -> None:
    with pytest.raises(SourceError, match=f"timm/{TINY}: not in the hub's cache"):
        one(TINY).resolve(refuse)
    lay_cache(cache, f"timm/{TINY}", folder)
    source = one(TINY).resolve(refuse)
    assert same(source, network)
    assert source.known().training_data == "ImageNet-1k"
    assert source.known().licence == "Apache-2.0"
    assert same(one(TINY, "main").resolve(refuse), network)
    with pytest.raises(SourceError, match="@other: not in the hub's cache"):
        one(TINY, "other").resolve(refuse)


def test_any_repository_of_the_hub(folder: Path, network: nn.Module, cache: Path) -> None:
    lay_cache(cache, "org/own", folder)
    source = one("org/own").resolve(refuse)
    assert same(source, network)
    assert source.known().accuracy == 0.455


def test_the_cache_of_torchs_hub(network: nn.Module, tmp_path: Path) -> None:
    url = timm.models.get_pretrained_cfg("legacy_seresnet18.in1k").url
    place = tmp_path / "torch" / "hub" / "checkpoints"
    place.mkdir(parents=True)
    own = timm.create_model("legacy_seresnet18").eval()
    torch.save(own.state_dict(), place / Path(url).name)
    built, filled = one("legacy_seresnet18.in1k").resolve(refuse).build()
    assert not filled.fresh
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(built(x), own(x))


@pytest.mark.parametrize("before", ["hf-hub:", "hf_hub:"])
def test_a_repository_may_be_named_as_timm_does(before: str) -> None:
    source = one(f"{before}timm/resnet18.a1_in1k")
    assert (source.name, source.model) == ("timm:timm/resnet18.a1_in1k", "timm/resnet18.a1_in1k")


def test_images_that_are_padded_are_refused_in_plain_words() -> None:
    with pytest.raises(SourceError, match=r"its images are padded, to 1.15 times"):
        _ = one("volo_d4_448.sail_in1k").preprocessing


def test_own_weights_for_a_listed_network(network: nn.Module, tmp_path: Path) -> None:
    own = timm.create_model("test_resnet", num_classes=3).eval()
    torch.save(own.state_dict(), tmp_path / "own.pth")
    source = one(TINY, folder=tmp_path, settings={"weights": {"file": "own.pth"}}).resolve(refuse)
    built, filled = source.build()
    assert not filled.fresh
    assert built.num_classes == 3
    x = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(built(x), own(x))
    assert source.known().accuracy is None


@pytest.mark.parametrize("wrapped", ["module", "epoch", "ema", "headless", "classes"])
def test_own_weights_as_people_publish_them(wrapped: str, tmp_path: Path) -> None:
    own = timm.create_model("test_resnet", num_classes=1000 if wrapped != "classes" else 7).eval()
    state = own.state_dict()
    held = {
        "module": {"state_dict": {f"module.{name}": each for name, each in state.items()}},
        "classes": {"state_dict": {f"module.{name}": each for name, each in state.items()}},
        "epoch": {"epoch": 3, "arch": "test_resnet", "state_dict": state},
        "ema": {"model": {n: each + 1 for n, each in state.items()}, "model_ema": state},
        "headless": {n: each for n, each in state.items() if not n.startswith("fc.")},
    }
    torch.save(held[wrapped], tmp_path / "own.pth.tar")
    source = one(TINY, folder=tmp_path, settings={"weights": {"file": "own.pth.tar"}})
    built, filled = source.resolve(refuse).build()
    assert sorted(filled.fresh) == (["fc.bias", "fc.weight"] if wrapped == "headless" else [])
    assert filled.notes
    x = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(built.forward_features(x), own.forward_features(x))
        if wrapped != "headless":
            assert torch.equal(built(x), own(x))


def test_parameters_that_the_weights_do_not_hold(folder: Path, tmp_path: Path) -> None:
    """timm loads some families without being strict, and only logs what was missing."""
    network = timm.create_model("convnext_atto")
    save_for_hf(network, tmp_path / "own")
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("head.")}
    torch.save(state, tmp_path / "own" / "pytorch_model.bin")
    source = one(str(tmp_path / "own")).resolve(refuse)
    with pytest.raises(SourceError, match="timm cannot load it"):
        source.build()


def test_patterns_name_the_models_with_weights() -> None:
    found = sources("mobilenetv3_*", None, Entry())
    assert [source.model for source in found] == timm.list_pretrained("mobilenetv3_*")
    assert found[0].name == f"timm:{found[0].model}"
    with pytest.raises(EntryError, match=r"no model with weights that fits 'nothing\*'"):
        sources("nothing*", None, Entry())


def test_names_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"timm has no model 'resnet18.a9_in1k'; did you mean"):
        one("resnet18.a9_in1k").resolve(refuse)
    with pytest.raises(SourceError, match=r"'./nowhere' is no directory"):
        one("./nowhere", folder=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"'./empty' holds no config.json"):
        one("./empty", folder=tmp_path)
    (tmp_path / "empty" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(SourceError, match="holds no weights"):
        one("./empty", folder=tmp_path).resolve(refuse)
    (tmp_path / "empty" / "model.safetensors").write_bytes(b"")
    with pytest.raises(SourceError, match="is none of timm's"):
        one("./empty", folder=tmp_path).resolve(refuse).build()
    (tmp_path / "empty" / "config.json").write_text(json.dumps({"architecture": []}))
    with pytest.raises(SourceError, match="is none of timm's"):
        one("./empty", folder=tmp_path).resolve(refuse).build()


def test_accuracy_is_that_of_timms_notes_or_torchvisions() -> None:
    known = one("mambaout_base.in1k").known()
    assert (known.accuracy, known.benchmark) == (0.84168, "ImageNet-1k top-1")
    assert known.origin == "timm's release notes of 2024-10-11, in timm 1.0.22"
    known = one("resnet50.tv_in1k").known()
    assert known.accuracy == 0.7613
    assert "ResNet50_Weights.IMAGENET1K_V1" in known.origin
    assert one("resnet18.a1_in1k").known().accuracy is None


def test_every_accuracy_is_of_a_model_that_timm_lists() -> None:
    from zoorank.sources.timm import _table

    assert set(_table()) <= set(timm.list_pretrained())
    assert all(0.4 < top1 < 0.91 for top1, _ in _table().values())


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("a1_in1k", "ImageNet-1k"),
        ("augreg_in21k_ft_in1k", "ImageNet-21k, then ImageNet-1k"),
        ("lvd142m", "LVD-142M"),
        ("", ""),
    ],
)
def test_tags_say_the_training_data(tag: str, said: str) -> None:
    assert training_data(tag) == said


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
def test_cuts_are_what_timm_computes_there(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model(name).eval()
    save_for_hf(theirs, tmp_path / "own", safe_serialization=True)
    theirs.to(memory_format=torch.channels_last)  # as encoders have it: to the last bit
    images = list(np.random.default_rng(0).integers(0, 256, (2, 180, 200, 3), np.uint8))
    with opened(one(str(tmp_path / "own")), "image") as encoder:
        batch = batch_of(encoder, images)
        pixels = torch.from_numpy(batch.only)
        with torch.no_grad():
            features = theirs.forward_features(pixels)
            pooled = theirs.forward_head(features, pre_logits=True)
            logits = theirs(pixels)
            _, maps = theirs.forward_intermediates(pixels, norm=False)
        assert torch.equal(encode(encoder, batch, "logits"), logits)
        assert torch.equal(encode(encoder, batch, "penultimate"), pooled)
        cuts = [each.name for each in encoder.cuts(batch, ("all",))]
        assert len(cuts) >= 4
        head = theirs.pretrained_cfg["classifier"]
        assert head not in modules_run(encoder, batch, "penultimate")
        deepest = cuts[-2]
        assert deepest not in modules_run(encoder, batch, cuts[0])
        # The last map that timm itself hands out is the output of one of our cuts.
        last = maps[-1].mean(dim=(2, 3))
        if name != "test_vit":  # whose tokens hold more than the map
            found = [encode(encoder, batch, each) for each in cuts]
            assert any(each.shape == last.shape and torch.equal(each, last) for each in found)


def test_maps_with_channels_last_are_pooled_over_their_places(tmp_path: Path) -> None:
    network = timm.create_model(
        "swin_tiny_patch4_window7_224", embed_dim=16, depths=(1, 1), num_heads=(2, 2), img_size=56
    ).eval()
    save_for_hf(network, tmp_path / "own", safe_serialization=True)
    images = list(np.random.default_rng(0).integers(0, 256, (2, 60, 60, 3), np.uint8))
    with opened(one(str(tmp_path / "own")), "image") as encoder:
        batch = batch_of(encoder, images)
        with torch.no_grad():
            states = network.patch_embed(torch.from_numpy(batch.only))
            for stage, layer in enumerate(network.layers):
                states = layer(states)
                found = encode(encoder, batch, f"layers.{stage}")
                assert torch.equal(found, states.flatten(1, 2).mean(dim=1))
