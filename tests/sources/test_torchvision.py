"""`torchvision:`: its weights as its builders want them, from a file or torch's cache."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.sources.carried import mobilenet
from tests.sources.cutting import batch_of, encode, modules_run, opened
from torchvision import models

from zoorank.errors import SourceError
from zoorank.sources.base import Cut, Entry, EntryError, OpenOptions
from zoorank.sources.torchvision import TorchvisionSource, sources
from zoorank.transforms.specs import ImagePreprocessing


def refuse(line: str) -> None:
    raise AssertionError(line)


def one(identifier: str, revision: str | None = None, **keys: Any) -> TorchvisionSource:
    (source,) = sources(identifier, revision, Entry(**keys))
    return source


def published(**keys: Any) -> TorchvisionSource:
    """MobileNetV2 with the checkpoint that a package carries."""
    return one("mobilenet_v2", settings={"weights": {"file": str(mobilenet())}}, **keys)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch's hub, which may not be asked."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def test_a_file_of_torchvisions_own_is_recognised() -> None:
    source = published().resolve(refuse)
    assert source.member == "IMAGENET1K_V1"
    known = source.known()
    assert (known.accuracy, known.benchmark) == (0.71878, "ImageNet-1k top-1")
    assert (known.licence, known.training_data) == ("BSD-3-Clause", "ImageNet-1k")
    assert "MobileNet_V2_Weights.IMAGENET1K_V1" in known.origin
    content = mobilenet().read_bytes()
    assert source.identity()["weights"] == hashlib.sha256(content).hexdigest()
    assert pickle.loads(pickle.dumps(source)) == source


def test_the_weights_are_those_of_torchvision() -> None:
    theirs = models.mobilenet_v2(weights=None)
    theirs.load_state_dict(torch.load(mobilenet(), weights_only=True))
    theirs.eval()
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(published().resolve(refuse).build()[0](x), theirs(x))


def test_the_cache_of_torchs_hub_is_found(cache: Path) -> None:
    with pytest.raises(SourceError, match=r"mobilenet_v2-b0353104.pth is not in the cache"):
        one("mobilenet_v2", "IMAGENET1K_V1").resolve(refuse)
    shutil.copy(mobilenet(), cache)
    source = one("mobilenet_v2", "IMAGENET1K_V1").resolve(refuse)
    assert source.identity() == published().resolve(refuse).identity()
    assert source.known() == published().resolve(refuse).known()


def test_the_default_weights_are_torchvisions(cache: Path) -> None:
    with pytest.raises(SourceError, match=r"mobilenet_v2-7ebf99e0.pth is not in the cache"):
        one("mobilenet_v2").resolve(refuse)


@pytest.mark.parametrize("name", ["resnet18", "inception_v3", "googlenet"])
def test_a_file_with_other_classes(name: str, tmp_path: Path) -> None:
    """The builder's switches for trained weights stay on, such as inception's own scaling."""
    plain = {"init_weights": False} if name != "resnet18" else {}
    theirs = models.get_model_builder(name)(weights=None, num_classes=7, **plain)
    torch.save(theirs.state_dict(), tmp_path / "own.pth")
    source = one(name, folder=tmp_path, settings={"weights": {"file": "own.pth"}})
    built, filled = source.resolve(refuse).build()
    assert not filled.fresh
    assert built.fc.out_features == 7
    assert getattr(built, "transform_input", True)
    assert source.resolve(refuse).known().accuracy is None
    default = models.get_model_weights(name).DEFAULT
    assert len(default.meta["categories"]) == 1000
    assert "get_state_dict" not in vars(type(default))


@pytest.mark.parametrize("wrapped", ["module", "lightning", "ema", "headless"])
def test_a_file_as_people_publish_them(wrapped: str, tmp_path: Path) -> None:
    theirs = models.resnet18().eval()
    state = theirs.state_dict()
    held = {
        "module": {"state_dict": {f"module.{name}": each for name, each in state.items()}},
        "lightning": {"epoch": 3, "state_dict": {f"model.{n}": each for n, each in state.items()}},
        "ema": {"model": {n: each + 1 for n, each in state.items()}, "model_ema": state},
        "headless": {n: each for n, each in state.items() if not n.startswith("fc.")},
    }
    torch.save(held[wrapped], tmp_path / "own.pth")
    source = one("resnet18", folder=tmp_path, settings={"weights": {"file": "own.pth"}})
    built, filled = source.resolve(refuse).build()
    assert sorted(filled.fresh) == (["fc.bias", "fc.weight"] if wrapped == "headless" else [])
    assert filled.notes
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(built.layer1(built.conv1(x)), theirs.layer1(theirs.conv1(x)))
    options = OpenOptions("image", device="cpu")
    with source.resolve(refuse).open(options) as encoder:
        prepared = encoder.transform.prepare(np.zeros((32, 40, 3), np.uint8))
        pair = encoder.transform.collate([prepared] * 2)
        found = {cut.name: cut for cut in encoder.cuts(pair, ("layer2", "logits"))}
    assert isinstance(found["layer2"], Cut)
    assert isinstance(found["logits"], Cut) == (wrapped != "headless")


def test_a_file_that_does_not_fit(tmp_path: Path) -> None:
    """The blocks that it holds can be cut at, and no others; of a stranger's it holds none."""
    torch.save(models.resnet18().state_dict(), tmp_path / "own.pth")
    source = one("resnet34", folder=tmp_path, settings={"weights": {"file": "own.pth"}})
    _, filled = source.resolve(refuse).build()
    assert "layer1.2.conv1.weight" in filled.fresh
    torch.save({"weight": torch.ones(3)}, tmp_path / "own.pth")
    with pytest.raises(SourceError, match=r"own.pth"):
        source.resolve(refuse).build()


def test_a_file_with_code_is_refused(tmp_path: Path) -> None:
    torch.save(models.resnet18(), tmp_path / "own.pth")  # the network itself, not its weights
    source = one("resnet18", folder=tmp_path, settings={"weights": {"file": "own.pth"}})
    with pytest.raises(SourceError, match="would run code when loaded"):
        source.resolve(refuse).build()


def test_a_digest_is_checked() -> None:
    with pytest.raises(SourceError, match=r"its sha256 is not 0000.*, which the manifest expects"):
        published(sha256="0" * 64).resolve(refuse)


def test_patterns_name_the_networks_with_weights() -> None:
    names = [source.name for source in sources("resnet*", "IMAGENET1K_V2", Entry())]
    assert names == [f"torchvision:resnet{n}@IMAGENET1K_V2" for n in (101, 152, 50)]
    every = {source.model for source in sources("*", None, Entry())}
    assert {"vit_b_16", "fcn_resnet50"} < every
    assert not any("quantized" in name or "rcnn" in name for name in every)
    with pytest.raises(EntryError, match=r"torchvision has no network 'x\*'"):
        sources("x*", None, Entry())


def test_names_that_do_not_exist() -> None:
    with pytest.raises(SourceError, match="no network 'resnet19' for images; did you mean"):
        one("resnet19").resolve(refuse)
    with pytest.raises(SourceError, match="no weights 'IMAGENET1K_V3'; did you mean"):
        one("resnet50", "IMAGENET1K_V3").resolve(refuse)
    with pytest.raises(SourceError, match="no network 'r3d_18' for images"):
        one("r3d_18").resolve(refuse)


def test_keys_of_an_entry() -> None:
    for settings in ({"weight": 1}, {"weights": "x.pth"}, {"weights": {"random": {}}}):
        with pytest.raises(ValueError, match="weight"):
            sources("resnet18", None, Entry(settings=settings))


def test_preprocessing_is_part_of_what_is_keyed() -> None:
    plain = published().resolve(refuse)
    assert plain.preprocessing.resize == 256
    other = published(preprocessing=ImagePreprocessing(size=96)).resolve(refuse)
    assert other.preprocessing.size == (96, 96)
    assert other.identity() != plain.identity()


def test_cuts_of_real_weights_are_what_torchvision_computes_there() -> None:
    theirs = models.mobilenet_v2(weights=None)
    theirs.load_state_dict(torch.load(mobilenet(), weights_only=True))
    theirs.eval().to(memory_format=torch.channels_last)  # as encoders have it: to the last bit
    images = list(np.random.default_rng(0).integers(0, 256, (2, 250, 300, 3), np.uint8))
    preset = models.MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
    with opened(published(), "image") as encoder:
        batch = batch_of(encoder, images)
        pixels = torch.stack([preset(Image.fromarray(image)) for image in images])
        torch.testing.assert_close(torch.from_numpy(batch.only), pixels, atol=1e-5, rtol=0)
        state = torch.from_numpy(batch.only)
        with torch.no_grad():
            for number, layer in enumerate(theirs.features):
                state = layer(state)
                if number % 6 == 0:
                    found = encode(encoder, batch, f"features.{number}")
                    assert torch.equal(found, state.mean(dim=(2, 3)))
            pooled = state.mean(dim=(2, 3))
            logits = theirs(torch.from_numpy(batch.only))
        torch.testing.assert_close(encode(encoder, batch, "penultimate"), pooled)
        assert torch.equal(encode(encoder, batch, "logits"), logits)
        ran = modules_run(encoder, batch, "features.6")
        assert "features.6" in ran
        assert not {"features.7", "classifier"} & ran
        assert encoder.facts.parameters == 3_504_872


def test_a_network_for_segmentation(tmp_path: Path) -> None:
    network = models.get_model_builder("lraspp_mobilenet_v3_large")(
        weights=None, weights_backbone=None, num_classes=5
    ).eval()
    torch.save(network.state_dict(), tmp_path / "own.pth")
    source = one(
        "lraspp_mobilenet_v3_large",
        folder=tmp_path,
        settings={"weights": {"file": "own.pth"}},
        preprocessing=ImagePreprocessing(size=64),
    )
    images = list(np.random.default_rng(0).integers(0, 256, (2, 70, 80, 3), np.uint8))
    with opened(source, "image") as encoder:
        batch = batch_of(encoder, images)
        with torch.no_grad():
            network.to(memory_format=torch.channels_last)
            maps = network.backbone(torch.from_numpy(batch.only))["high"]
        assert torch.equal(encode(encoder, batch, "backbone.16"), maps.mean(dim=(2, 3)))


def test_other_samples_are_refused() -> None:
    with pytest.raises(SourceError, match="takes image samples; the target holds text samples"):
        opened(published(), "text")
