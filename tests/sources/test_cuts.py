"""Which cuts a network has, and what is said about each."""

from __future__ import annotations

import pytest
import torch
from tests.sources import tiny_nets
from tests.sources.opened import batch_of, find, opened, run
from torch import nn

from zoorank.errors import SourceError, UsageError
from zoorank.sources.base import Refusal

IMAGE = torch.zeros(2, 3, 16, 16)
ROW = torch.zeros(2, 4)


def _names(model: nn.Module, example: torch.Tensor) -> list[str]:
    return [cut.name for cut in find(model, example, ["all"])]


def _refusal(model: nn.Module, example: torch.Tensor, name: str, **settings) -> str:
    (found,) = opened(model, **settings).cuts(batch_of(example), [name])
    assert isinstance(found, Refusal)
    assert found.name == name
    return found.reason


def test_blocks_of_a_resnet() -> None:
    expected = ["layer1.0", "layer1.1", "layer2.0", "layer2.1", "penultimate"]
    assert _names(tiny_nets.TinyResNet(), IMAGE) == expected


def test_blocks_of_a_transformer_within_a_wrapper() -> None:
    expected = [f"vit.encoder.layer.{i}" for i in range(3)] + ["penultimate"]
    assert _names(tiny_nets.TinyTransformer(), IMAGE) == expected


def test_blocks_beside_a_vocabulary_that_outweighs_them() -> None:
    class Texts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(9000, 8)
            self.encoder = nn.Module()
            self.encoder.layers = nn.ModuleList(
                nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(2)
            )

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            tokens = self.words(ids)
            for layer in self.encoder.layers:
                tokens = layer(tokens)
            return tokens

    ids = torch.zeros(2, 5, dtype=torch.long)
    names = [cut.name for cut in find(Texts(), ids, ["all"], pooling="token_mean")]
    assert names == ["encoder.layers.0", "encoder.layers.1", "penultimate"]


def test_a_plain_stack_is_cut_before_each_layer_with_weights() -> None:
    assert _names(tiny_nets.TinyMLP(), ROW) == ["1", "3", "penultimate"]


def test_a_sequential_of_sequentials() -> None:
    def block(a: int, b: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(a, b, 3), nn.BatchNorm2d(b), nn.ReLU())

    model = nn.Sequential(
        block(3, 4), block(4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    assert _names(model, IMAGE) == ["0", "1", "penultimate"]


def test_blocks_that_are_attributes_of_the_root() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fire1 = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
            self.fire2 = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())
            self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.fire2(self.fire1(x)))

    assert _names(Net(), IMAGE) == ["fire1", "fire2", "penultimate"]


def test_order_is_that_of_execution() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.final = nn.Linear(4, 2)
            self.second = nn.Linear(4, 4)
            self.first = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.final(self.second(self.first(x)))

    cuts = find(Backwards(), ROW, ["penultimate", "second", "first"])
    assert [cut.name for cut in cuts] == ["first", "second", "penultimate"]


def test_shares_and_parameters() -> None:
    cuts = find(tiny_nets.TinyMLP(), ROW, ["all"])
    first, second, penultimate = cuts
    assert first.shape == (6,)
    assert first.parameters_kept == 4 * 6 + 6
    assert second.parameters_kept == penultimate.parameters_kept == 4 * 6 + 6 + 6 * 6 + 6
    assert first.flops_share == pytest.approx(24 / (24 + 36 + 18))
    assert penultimate.parameters_share == pytest.approx(72 / (72 + 21))


def test_parameters_of_what_is_used_without_being_called_count() -> None:
    model = tiny_nets.TinyTransformer().eval()
    last = find(model, IMAGE, ["penultimate"])[0]
    kept = sum(parameter.numel() for parameter in model.vit.parameters())
    assert last.parameters_kept == kept  # with cls_token and attention's out_proj


def test_module_and_all_and_repeats() -> None:
    model = tiny_nets.TinyResNet().eval()
    cuts = find(model, IMAGE, ["bn1", "all", "layer2", "penultimate"])
    names = [cut.name for cut in cuts]
    assert names[0] == "bn1"
    assert names[-1] == "penultimate"
    assert sorted(names) == sorted(set(names))
    assert names.index("layer2") == names.index("layer2.1") + 1


def test_unknown_cut_names_the_near_one_and_the_valid_ones() -> None:
    model = tiny_nets.TinyResNet().eval()
    with pytest.raises(UsageError) as caught:
        find(model, IMAGE, ["layer_2.0"])
    text = str(caught.value)
    assert "unknown cut 'layer_2.0'; did you mean 'layer2.0'?" in text
    assert "penultimate, logits, all, layer1.0" in text
    assert "\n" not in text
    with pytest.raises(UsageError, match="did you mean 'penultimate'"):
        find(model, IMAGE, ["penultimat"])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("shared", "runs 2 times in one pass; say which: shared@1 to shared@2"),
        ("shared@3", "runs 2 times in one pass"),
        ("final@2", "runs 1 time in one pass"),
        ("never", "does not run in a forward pass; choose another module"),
    ],
)
def test_modules_that_cannot_be_cut_at(name: str, reason: str) -> None:
    assert _refusal(tiny_nets.Twice(), ROW, name) == reason


def test_a_call_of_a_module_that_runs_several_times() -> None:
    cuts = find(tiny_nets.Twice(), ROW, ["shared@2", "shared@1", "final@1", "penultimate"])
    assert [cut.name for cut in cuts] == ["shared@1", "shared@2", "penultimate", "final@1"]
    first, second, *_ = cuts
    assert first.parameters_kept == second.parameters_kept == 20
    assert first.flops_share < second.flops_share
    with pytest.raises(UsageError, match="unknown cut 'shard@2'; did you mean 'shared'"):
        find(tiny_nets.Twice(), ROW, ["shard@2"])


def test_blocks_that_run_several_times_are_cut_at_each_call() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
            self.head = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(3):
                x = self.block(x)
            return self.head(x)

    assert _names(Shared(), ROW) == ["block@1", "block@2", "block@3", "penultimate"]


def test_of_a_headless_network_the_penultimate_cut_is_its_output() -> None:
    model = tiny_nets.TinyTransformer(n_classes=0)
    pooled = {"pooling": "token_mean"}
    names = [cut.name for cut in find(model, IMAGE, ["all"], **pooled)]
    assert names == [*(f"vit.encoder.layer.{i}" for i in range(3)), "penultimate"]
    (cut,) = find(model, IMAGE, ["penultimate"], **pooled)
    assert (cut.shape, cut.flops_share) == ((8,), 1.0)
    assert "has no classifier: its output is no linear map" in _refusal(model, IMAGE, "logits")
    (cut,) = find(model.vit, IMAGE, ["penultimate"], **pooled)
    assert cut.shape == (17, 8)


def test_a_network_of_convolutions_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    assert _names(model, IMAGE) == ["1", "penultimate"]
    assert [cut.shape for cut in find(model, IMAGE, ["all"])] == [(4, 14, 14), (4, 14, 14)]


def test_a_batch_that_does_not_fit_gives_the_reason() -> None:
    with pytest.raises(SourceError, match=r"cannot be fed a batch of shape \(2, 4\)") as caught:
        find(tiny_nets.TinyResNet(), ROW, ["all"])
    assert "\n" not in str(caught.value)


def test_plain_dropout_says_nothing_of_axes() -> None:
    """Of the layers that drop, those that drop whole channels alone know where these are."""
    net = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Sequential(nn.Linear(6, 6)))
    tokens = torch.randn(2, 5, 4)
    encoded = run(net, tokens, find(net, tokens, ("1",), pooling=None), pooling=None)["1"]
    with torch.no_grad():
        torch.testing.assert_close(encoded, net[0](tokens).mean(dim=1))
