"""Modules that are in memory, as sources."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.sources import tiny_nets
from torch import Tensor, nn

import zoorank
from zoorank.errors import SourceError, UsageError
from zoorank.sources.base import Entry, OpenOptions
from zoorank.sources.references import source_of
from zoorank.sources.torch.memory import FunctionTransform, ModuleSource
from zoorank.targets import load_target
from zoorank.transforms.specs import ImagePreprocessing, TablePreprocessing

TABLE = TablePreprocessing()


def _identity(module: nn.Module, transform=TABLE) -> dict:
    return dict(source_of((module, transform)).identity())


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def test_a_module_with_its_preprocessing_is_ranked(tmp_path: Path) -> None:
    module = _net().train()
    ranking = zoorank.rank(
        [(module, TABLE)], "sklearn:iris", cuts=["1"], store=tmp_path, score="silhouette"
    )
    assert (ranking.best.model, ranking.best.dim) == ("Sequential", 8)
    assert module.training
    assert all(each.requires_grad for each in module.parameters())


def test_a_module_alone_has_to_be_told_its_input() -> None:
    with pytest.raises(UsageError, match="a module has to be told its input: give"):
        source_of(_net())
    entry = Entry(name="mine", preprocessing=TABLE, cuts=("1",), licence="MIT")
    source = source_of(_net(), entry)
    assert (source.name, source.cuts, source.modalities) == ("mine", ("1",), {"table"})
    assert source.known().licence == "MIT"
    with pytest.raises(UsageError, match="int is no transform"):
        source_of((_net(), 3))


def test_opening_copies_the_module() -> None:
    module = _net().train()
    source = source_of((module, TABLE))
    with source.open(OpenOptions("table", device="cpu")) as encoder:
        assert encoder.module is not module
        assert torch.equal(encoder.module[0].weight, module[0].weight)
    assert module.training

    class Single(nn.Linear):
        def __deepcopy__(self, _memo: object) -> nn.Module:
            raise TypeError("there can be only one")

    with pytest.raises(SourceError, match="cannot be copied: TypeError: there can be only one"):
        source_of((Single(4, 2), TABLE)).open(OpenOptions("table", device="cpu"))


def test_whatever_the_encodings_depend_on_makes_another_source() -> None:
    def changed(change) -> nn.Module:
        module = _net()
        change(module)
        return module

    class Scaled(nn.Module):
        def __init__(self, scale: float, function=torch.relu) -> None:
            super().__init__()
            self.scale, self.function, self.fc = scale, function, nn.Linear(4, 2)
            self.table = {"x": [scale, (1, None)], "y": torch.ones(2) * scale}

        def forward(self, x: Tensor) -> Tensor:
            return self.function(self.fc(x)) * self.scale

    def scaled(*given) -> nn.Module:
        torch.manual_seed(0)
        return Scaled(*given)

    def buffered(value: float) -> nn.Module:
        module = _net()
        module.register_buffer("b", torch.full((1,), value), persistent=False)
        return module

    modules = [
        _net(),
        changed(lambda m: m[0].weight.data.add_(1)),
        changed(lambda m: setattr(m[1], "inplace", True)),
        changed(lambda m: m.append(nn.Identity())),
        changed(lambda m: m.insert(1, nn.Dropout(0.25))),
        scaled(1.0),
        scaled(2.0),
        scaled(1.0, torch.tanh),
        buffered(1.0),
        buffered(2.0),
        nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2)),
    ]
    identities = [str(_identity(module)) for module in modules]
    assert len(set(identities)) == len(modules)
    assert [str(_identity(module)) for module in modules] == identities
    assert _identity(_net().train()) == _identity(_net().eval())
    other = TablePreprocessing(scaling="none")
    assert _identity(_net(), other) != _identity(_net())


def test_what_nobody_can_tell_the_content_of_is_never_reused() -> None:
    from zoorank.sources.torch import memory

    class Opaque:
        __slots__ = ()

    module = _net()
    module.opaque = Opaque()
    assert "at 0x" in repr(module.opaque)
    with pytest.MonkeyPatch.context() as patch:
        before = _identity(module)
        patch.setattr(memory, "_UNKNOWN", "of another process")
        assert _identity(module) != before
        assert _identity(_net()) == _identity(_net())


def test_images_as_a_function_prepares_them(tmp_path: Path) -> None:
    def prepare(image) -> Tensor:
        assert image.mode == "RGB"
        pixels = np.asarray(image.resize((16, 16)), dtype=np.float32) / 255
        return torch.from_numpy(pixels).permute(2, 0, 1)

    rng = np.random.default_rng(0)
    for shape in ((8, 20, 24, 3), (8, 20, 24), (8, 3, 20, 24)):
        images = rng.integers(0, 256, shape, np.uint8)
        target = load_target((images, np.arange(8) % 2), modality="image")
        source = source_of((tiny_nets.TinyResNet(), prepare))
        assert source.modalities == {"image"}
        with source.open(OpenOptions("image", device="cpu")) as encoder:
            transform = encoder.transform.fitted(target)
            batch = transform.collate([transform.prepare(each) for each in target.take(range(3))])
            assert batch.only.shape == (3, 3, 16, 16)
            cuts = encoder.cuts(batch, ["all"])
            assert len(cuts) == 5
            assert encoder.encode(batch, cuts)["layer1.0"].shape == (3, 4)
    floats = load_target((rng.random((8, 20, 24, 3)), np.arange(8) % 2), modality="image")
    with pytest.raises(SourceError, match="its transform takes 8-bit images"):
        transform.prepare(floats.take(range(1))[0])
    with pytest.raises(SourceError, match="needs images; the target holds table"):
        transform.fitted(load_target("sklearn:iris"))
    assert transform.key == FunctionTransform(prepare).key


def test_a_function_that_keeps_the_size_needs_photos_of_one_size() -> None:
    def prepare(image):
        return torch.zeros(3, *image.size[::-1])

    transform = FunctionTransform(prepare)
    sizes = [(20, 24), (20, 30)]
    prepared = [transform.prepare(np.zeros((*size, 3), np.uint8)) for size in sizes]
    with pytest.raises(SourceError, match="its transform gives images of several sizes"):
        transform.collate(prepared)


def test_transforms_of_torchvision() -> None:
    try:
        from torchvision.models import ResNet18_Weights
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision cannot be imported: {error}")
    one, two = (ResNet18_Weights.DEFAULT.transforms(resize_size=size) for size in (256, 300))
    keys = [FunctionTransform(each).key for each in (one, one, two)]
    assert keys[0] == keys[1] != keys[2]


def test_a_source_can_be_pickled(table) -> None:
    source = source_of((_net(), ImagePreprocessing(size=8)))
    again = pickle.loads(pickle.dumps(source))
    assert isinstance(again, ModuleSource)
    assert dict(again.identity()) == dict(source.identity())
