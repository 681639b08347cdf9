"""How many samples go together, what memory is kept meanwhile, and in what is computed."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from tests.encoding.numpy_source import Model, NumpySource, Rows
from torch import nn

from zoorank import rank
from zoorank.encoding.costs import Clock, Stages
from zoorank.encoding.encode import encode_source
from zoorank.encoding.passes import BatchSize, Feed
from zoorank.encoding.trial import batch_sizes
from zoorank.errors import SourceError, UsageError
from zoorank.sources.base import ModelFacts, OpenOptions
from zoorank.sources.torch.encoder import TorchEncoder
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target
from zoorank.transforms import transform_of
from zoorank.transforms.base import Prepared
from zoorank.transforms.specs import ImagePreprocessing, TablePreprocessing

IMAGES = np.random.default_rng(0).integers(0, 255, (12, 64, 64, 3), dtype=np.uint8)
LABELS = np.arange(12) % 2


@pytest.fixture
def store(tmp_path) -> EncodingStore:
    return EncodingStore(tmp_path / "store")


def feed_of(module: nn.Module, preprocessing, X) -> Feed:
    target = load_target((X, np.arange(len(X)) % 2))
    transform = transform_of(preprocessing).fitted(target)
    encoder = TorchEncoder(module, transform, OpenOptions(target.modality, "cpu"))
    feed = Feed(encoder, transform, target)
    encoder.cuts(transform.collate(feed.prepared(range(2))), ["all"])
    return feed


def test_the_largest_output_of_a_layer_tells_how_many_samples_go_together() -> None:
    wide = nn.Sequential(nn.Conv2d(3, 96, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    feed = feed_of(wide, ImagePreprocessing(), IMAGES)
    assert feed.encoder.facts.largest == 96 * 64 * 64 * 4
    assert batch_sizes(feed) == BatchSize(24 * 2**20 // (96 * 64 * 64 * 4))
    narrow = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    assert batch_sizes(feed_of(narrow, ImagePreprocessing(), IMAGES)) == BatchSize(64)
    usual = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    assert batch_sizes(feed_of(usual, ImagePreprocessing(), IMAGES)) == BatchSize(32)
    table = feed_of(nn.Sequential(nn.Linear(4, 8), nn.ReLU()), TablePreprocessing(), np.eye(4))
    assert batch_sizes(table) == BatchSize(256)


def test_samples_of_unequal_length_fill_a_batch_by_its_longest() -> None:
    prepared = [Prepared(None, length) for length in (1, 2, 3, 5, 8, 100)]
    assert BatchSize(4).of(prepared) == 4
    assert BatchSize(9).of(prepared) == 6
    assert BatchSize(9, 20).of(prepared) == 4
    assert BatchSize(9, 14).of(prepared) == 3
    assert BatchSize(9, 20).of(prepared[5:]) == 1, "a long one goes alone"
    equal = [Prepared(None, 10)] * 100
    assert BatchSize(256, 6000).of(equal) == 100
    assert BatchSize(256, 3000).of(equal) == 50
    assert BatchSize(256, 600).of(equal) == 32
    assert BatchSize(256, 300).of(equal) == 30


def test_texts_of_all_lengths_are_padded_little_in_batches_that_are_not_small(store) -> None:
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(3.4, 0.7, 700), 8, 256).astype(int)
    X = np.column_stack([lengths / 100 + 1e-3, rng.normal(size=(700, 3))]).astype(np.float32)
    pair = int(max(lengths[:2]))
    # As an encoder of 1536 numbers a token: batches of 4096 tokens at most.
    facts = ModelFacts("numpy", 30, 120, 100, largest=pair * 1536 * 4)
    model, batches = Model(transform=Rows(lengths=True), facts=facts), []

    def see(given, two):
        batches.append((given[:, 0] * 100).astype(int))
        return two

    model.fault = see
    target = load_target((X, np.arange(700) % 2))
    encode_source(NumpySource(model), target, cuts=["two"], store=store)
    passed = batches[-next(n for n in range(1, 99) if sum(map(len, batches[-n:])) >= 700) :]
    filled = [len(each) * each.max() for each in passed]
    assert sum(filled) < 1.1 * sum(each.sum() for each in passed)
    assert max(filled) <= 4096
    assert np.median(filled) >= 512, filled


FAULTS = """
import resource

import numpy as np

from zoorank.encoding.costs import memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        # More than the C library keeps by itself, in parts that it can be told to keep.
        parts = [np.ones(30 * 2**20, dtype=np.uint8) for _ in range(4)]
        del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

loose = faults()
with memory_kept():
    faults()  # what it holds has to be asked for once
    print(loose, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_memory_is_kept_between_batches() -> None:
    """In a process of its own: what others have asked for decides what is kept, too."""
    environment = {name: os.environ[name] for name in os.environ if "MALLOC" not in name}
    told = subprocess.run(
        [sys.executable, "-c", FAULTS], env=environment, check=True, capture_output=True, text=True
    )
    loose, held = map(int, told.stdout.split())
    assert loose == 0 or held < loose / 2


class Viewing(nn.Module):
    """Looks at what a convolution gives as at one long vector."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.head = nn.Linear(4 * 62 * 62, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        return self.head(x.view(len(x), -1))


@pytest.mark.parametrize("calibrates", [False, True])
def test_a_network_that_takes_one_layout_alone_gets_that(calibrates) -> None:
    torch.manual_seed(0)
    module = Viewing()
    expected = {name: value.clone() for name, value in module.state_dict().items()}
    target = load_target((IMAGES, LABELS))
    transform = transform_of(ImagePreprocessing()).fitted(target)
    encoder = TorchEncoder(module, transform, OpenOptions("image", "cpu"), calibrates=calibrates)
    feed = Feed(encoder, transform, target)
    batch = transform.collate(feed.prepared(range(12)))
    pixels = torch.from_numpy(batch.only)
    assert module.conv.weight.is_contiguous(memory_format=torch.channels_last)
    if calibrates:
        encoder.calibrate(batch)
        maps = nn.functional.conv2d(pixels, expected["conv.weight"], expected["conv.bias"])
        assert torch.allclose(module.norm.running_mean, maps.mean(dim=(0, 2, 3)), atol=1e-5)
    cuts = encoder.cuts(batch, ["conv", "logits"])
    assert module.conv.weight.is_contiguous()
    encoded = encoder.encode(batch, cuts)
    assert torch.allclose(encoded["logits"], module(pixels), atol=1e-5)


def test_channels_last_change_no_more_than_rounding() -> None:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.AdaptiveAvgPool2d(1)
    module = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 2))
    feed = feed_of(module, ImagePreprocessing(), IMAGES)
    batch = feed.transform.collate(feed.prepared(range(12)))
    encoded = feed.encoder.encode(batch, feed.encoder.cuts(batch, ["logits"]))["logits"]
    assert module[0].weight.is_contiguous(memory_format=torch.channels_last)
    for layer in (module[0], module[2]):
        layer.weight.data = layer.weight.data.contiguous()
    assert torch.allclose(encoded, module(torch.from_numpy(batch.only)), atol=1e-5)


def test_bf16_is_refused_by_what_does_not_compute_in_it(store) -> None:
    target = load_target((np.eye(4, dtype=np.float32), [0, 0, 1, 1]))
    source = NumpySource(Model(None))
    with pytest.raises(SourceError, match="computes in float32 alone, not in bf16"):
        encode_source(source, target, cuts=["two"], store=store, precision="bf16")


def test_a_precision_that_nobody_has_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown precision 'fp16'"):
        OpenOptions("image", precision="fp16")  # type: ignore[arg-type]


def test_bf16_has_keys_of_its_own_and_the_table_says_so(store) -> None:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    module = nn.Sequential(*layers, nn.Linear(8, 2))
    zoo = [(module, ImagePreprocessing())]
    rows = {
        precision: rank(zoo, (IMAGES, LABELS), store=store.directory, precision=precision).best
        for precision in ("float32", "bf16")
    }
    one, other = (store.load(row.encoding) for row in rows.values())
    assert rows["float32"].encoding != rows["bf16"].encoding
    assert 0 < np.abs(one - other).max() < 0.03 * np.abs(one).max()
    assert "computed in bf16" in rows["bf16"].note
    assert "bf16" not in rows["float32"].note


def test_a_ranking_says_what_its_time_went_into(store) -> None:
    module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    ranking = rank([(module, TablePreprocessing())], (X, np.arange(40) % 2), store=store.directory)
    shares = ranking.stages.shares()
    assert set(shares) == {"opening", "preparing", "network", "writing", "scoring"}
    assert sum(shares.values()) == pytest.approx(1)
    assert type(ranking).from_json(ranking.to_json()) == ranking


def test_a_stage_within_another_counts_once() -> None:
    clock = Clock()
    with clock.timing("network"), clock.timing("preparing"):
        sum(range(200_000))
    assert clock.stages.preparing > clock.stages.network
    assert Stages() + clock.stages == clock.stages
