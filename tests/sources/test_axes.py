"""Where the channels of a cut's output are, and how it is pooled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.sources import tiny_nets
from tests.sources.opened import batch_of, opened
from torch import Tensor, nn

from zoorank.sources.base import Refusal
from zoorank.sources.torch.cuts import LAST, SECOND, Axes, AxisPooling, ModuleCut
from zoorank.sources.torch.pooling import TokenPooling
from zoorank.transforms.base import Batch

IMAGE, SERIES = torch.randn(3, 3, 16, 12), torch.randn(3, 1, 20)


class Steps(nn.Module):
    """Modules and functions, one after the other."""

    def __init__(self, *steps: nn.Module | Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            step if isinstance(step, nn.Module) else Function(step) for step in steps
        )

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = step(x)
        return x


class Function(nn.Module):
    """A module that torch knows nothing of."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._function = (function,)

    def forward(self, x: Tensor) -> Tensor:
        return self._function[0](x)


def _found(model: nn.Module, example: Tensor, cut: str, **declared) -> ModuleCut | Refusal:
    (found,) = opened(model, **declared).cuts(batch_of(example), [cut])
    return found


def _axes(model: nn.Module, example: Tensor, cut: str, **declared) -> Axes:
    found = _found(model, example, cut, **declared)
    assert isinstance(found, ModuleCut), found
    return found.axes


def _nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


CONV = nn.Conv2d(3, 6, 3, padding=1)


@pytest.mark.parametrize(
    ("steps", "cut", "axes"),
    [
        ([CONV], 0, Axes(SECOND)),
        ([CONV, nn.ReLU()], 1, Axes(SECOND)),
        ([CONV, lambda x: x + 1], 1, Axes(SECOND)),
        ([lambda x: torch.nn.functional.conv2d(x, torch.ones(5, 3, 1, 1))], 0, Axes(SECOND)),
        ([CONV, lambda x: torch.nn.functional.interpolate(x, size=9)], 1, Axes(SECOND)),
        ([CONV, nn.MaxPool2d(2)], 1, Axes(SECOND)),
        ([CONV, _nhwc, nn.LayerNorm(6)], 2, Axes(LAST)),
        ([CONV, _nhwc, nn.Linear(6, 7), nn.GELU()], 3, Axes(LAST)),
        ([CONV, _nhwc, nn.Linear(6, 7), lambda x: x.permute(0, 3, 1, 2), nn.BatchNorm2d(7)], 3,
         Axes(SECOND)),
        ([nn.Conv1d(1, 4, 3, padding=1)], 0, Axes(SECOND)),
        ([lambda x: x.transpose(1, 2), nn.Linear(1, 8)], 1, Axes(LAST)),
        ([lambda x: x.transpose(1, 2), nn.LSTM(1, 8, batch_first=True)], 1, Axes(LAST)),
    ],
)  # fmt: skip
def test_layers_say_where_channels_are(steps, cut: int, axes: Axes) -> None:
    example = SERIES if isinstance(steps[-1], nn.Conv1d | nn.LSTM | nn.Linear) else IMAGE
    example = IMAGE if steps[0] is CONV else example
    assert _axes(Steps(*steps), example, f"steps.{cut}") == axes


def test_a_layer_of_normalization_that_turns_its_axes_itself() -> None:
    class LayerNorm2d(nn.LayerNorm):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(_nhwc(x)).permute(0, 3, 1, 2)

    assert _axes(Steps(CONV, LayerNorm2d(6)), IMAGE, "steps.1") == Axes(SECOND)


def test_the_layout_of_the_input_says_it_too() -> None:
    model = Steps(nn.Identity(), lambda x: x * 2)
    assert _axes(model, IMAGE, "steps.1", layout="nchw") == Axes(SECOND)
    assert _axes(model, IMAGE, "steps.1", layout="nhwc") == Axes(LAST)
    found = _found(model, IMAGE, "steps.1")
    assert isinstance(found, Refusal)
    assert "nothing tells whether the channels of its output" in found.reason
    assert "preprocessing.pooling = 'mean'" in found.reason


def test_axes_of_equal_length_have_to_be_agreed_on() -> None:
    square = torch.randn(3, 3, 6, 6)
    assert _axes(Steps(CONV, nn.ReLU()), square, "steps.1") == Axes(SECOND)
    turned = Steps(CONV, _nhwc, nn.Linear(6, 6), lambda x: x.permute(0, 3, 1, 2), nn.ReLU())
    found = _found(turned, square, "steps.4")
    assert isinstance(found, Refusal)
    assert "nothing tells" in found.reason
    assert _axes(turned, square, "steps.4", pooling="mean") == Axes(SECOND)
    assert _axes(turned, square, "steps.4", pooling="token_mean") == Axes(LAST)
    # A default declares nothing.
    found = _found(turned, square, "steps.4", pooling="mean", is_declared=False)
    assert isinstance(found, Refusal)


@pytest.mark.parametrize(
    ("pooling", "model", "words"),
    [
        ("mean", Steps(CONV, _nhwc, nn.LayerNorm(6)), "has its channels last, as tokens have"),
        ("max", Steps(CONV, _nhwc, nn.LayerNorm(6)), "say preprocessing.pooling = 'token_mean'"),
        ("token_mean", Steps(CONV, nn.ReLU(), nn.ReLU()), "has its channels second"),
        ("first_token", Steps(CONV, nn.ReLU(), nn.ReLU()), "say preprocessing.pooling = 'mean'"),
    ],
)
def test_a_pooling_that_contradicts_the_layers(pooling: str, model: nn.Module, words: str) -> None:
    found = _found(model, IMAGE, "steps.2", pooling=pooling)
    assert isinstance(found, Refusal)
    assert words in found.reason
    flat = _found(model, IMAGE, "steps.2", pooling="flatten")
    assert isinstance(flat, ModuleCut)


class _TokensFirst(nn.Module):
    """Attention in its default order, between permutations."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(1, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x.transpose(1, 2)).permute(1, 0, 2)
        return self.head(self.layer(tokens).permute(1, 0, 2).mean(dim=1))


def test_samples_behind_tokens_are_asked_about() -> None:
    model = _TokensFirst().eval()
    found = _found(model, SERIES, "layer")
    assert isinstance(found, Refusal)
    assert "comes from layers that are not batch_first: say preprocessing.batch_first" in (
        found.reason
    )
    encoder = opened(model, "token_mean", batch_first=False)
    cuts = encoder.cuts(batch_of(SERIES), ["layer", "penultimate"])
    assert [cut.shape for cut in cuts] == [(20, 8), (8,)]
    encoded = encoder.encode(batch_of(SERIES), cuts)
    assert encoded["layer"].shape == (3, 8)
    assert torch.allclose(encoded["layer"], encoded["penultimate"], atol=1e-6)
    fed_otherwise = opened(nn.LSTM(1, 8), "token_mean", batch_first=True)
    (cut,) = fed_otherwise.cuts(batch_of(torch.randn(3, 20, 1)), ["penultimate"])
    assert cut.axes == Axes(LAST)


@pytest.mark.parametrize(
    ("pooling", "axes", "shape", "expected"),
    [
        ("mean", SECOND, (2, 3, 4, 5), (2, 3)),
        ("max", SECOND, (2, 3, 4), (2, 3)),
        (None, SECOND, (2, 3, 4, 5), (2, 3)),
        (None, LAST, (2, 4, 5, 3), (2, 3)),
        ("flatten", None, (2, 3, 4, 5), (2, 60)),
        ("token_mean", LAST, (2, 7, 3), (2, 3)),
        ("first_token", LAST, (2, 7, 3), (2, 3)),
        ("token_mean", LAST, (2, 4, 4, 3), (2, 3)),
        ("first_token", None, (2, 3), (2, 3)),
    ],
)
def test_pooling(pooling, axes, shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    output = torch.randn(shape, dtype=torch.float16)
    pooled = AxisPooling(pooling).pool(output, Axes(axes))
    assert pooled.shape == expected
    assert pooled.dtype == torch.float32
    assert pooled.data_ptr() != output.data_ptr()
    plain = np.asarray(output, dtype=np.float64)
    if pooling in ("mean", "token_mean", None) and len(shape) > 2:
        others = tuple(range(2, len(shape))) if axes == SECOND else tuple(range(1, len(shape) - 1))
        assert np.allclose(pooled, plain.mean(axis=others), atol=1e-6)
    elif pooling == "max":
        assert np.array_equal(pooled, plain.max(axis=2))
    elif pooling == "first_token" and len(shape) > 2:
        assert np.array_equal(pooled, plain[:, 0])


@pytest.mark.parametrize(
    ("model", "cut", "words"),
    [
        (Steps(lambda x: x.flatten(1).sum(dim=1)), "steps.0", "its output is torch.float32 of"),
        (Steps(lambda x: x.long()), "steps.0", "its output is torch.int64 of shape (3, 3, 16, 12)"),
        (Steps(lambda _x: "text", lambda _x: IMAGE), "steps.0", "its output is not a tensor"),
    ],
)
def test_what_cannot_be_pooled_is_refused(model: nn.Module, cut: str, words: str) -> None:
    found = _found(model, IMAGE, cut)
    assert isinstance(found, Refusal)
    assert words in found.reason


def test_a_transformer_of_images_is_cut_at_its_tokens() -> None:
    model = tiny_nets.TinyTransformer().eval()
    example = torch.randn(2, 3, 16, 16)
    encoder = opened(model)  # nothing declared: the mean over what are no channels
    cuts = encoder.cuts(batch_of(example), ["vit.embeddings", "vit.encoder.layer.0"])
    encoded = encoder.encode(batch_of(example), cuts)
    assert {name: each.shape[1] for name, each in encoded.items()} == {
        "vit.embeddings": 8,
        "vit.encoder.layer.0": 8,
    }


class _Texts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.head = nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        tokens = self.mix(self.embed(input_ids))
        return self.head((tokens * attention_mask[..., None]).sum(dim=1))


def test_tokens_of_texts() -> None:
    from zoorank.sources.torch.hooks import feed_named

    ids = np.array([[1, 2, 3], [4, 5, 0]])
    inputs = {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}
    words = (np.array([[0, 1], [1, 3]]), np.array([[0, 2]]))
    model = _Texts().eval()
    settings = {"feed": feed_named, "pooler": TokenPooling("mean")}
    encoder = opened(model, **settings)
    texts = Batch(inputs, 2)
    cuts = encoder.cuts(texts, ["mix", "penultimate"])
    encoded = encoder.encode(texts, cuts)
    tokens = model.mix(model.embed(torch.from_numpy(ids)))
    assert torch.allclose(encoded["mix"][1], tokens[1, :2].mean(dim=0))
    assert encoded["penultimate"].shape == (2, 4)
    by_word = Batch(inputs, 2, words)
    found = opened(model, **settings).cuts(by_word, ["mix", "penultimate"])
    refused, cut = found
    assert refused == Refusal("penultimate", "it gives one vector a sentence, not one a word")
    encoded = encoder.encode(by_word, [cut])["mix"]
    assert encoded.shape == (by_word.rows, 4) == (3, 4)
    assert torch.allclose(encoded[1], tokens[0, 1:].mean(dim=0))
