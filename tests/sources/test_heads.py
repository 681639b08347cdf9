"""What logits and penultimate cut are, for heads of every make."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.sources import tiny_nets
from tests.sources.opened import batch_of, opened
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from zoorank.sources.base import Refusal
from zoorank.sources.torch.cuts import ModuleCut

ROW, IMAGE = torch.randn(3, 4), torch.randn(3, 3, 16, 16)


class Net(nn.Module):
    """A trunk and an end that a test chooses."""

    def __init__(self, end: Callable[[Net, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
        for name, part in parts.items():
            self.add_module(name, part)
        self._end = (end,)

    def forward(self, x: Tensor) -> Tensor:
        return self._end[0](self, self.trunk(x))


class ConvNet(Net):
    def __init__(self, end: Callable[[Net, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__(end, **parts)
        self.trunk = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU())


def _fc() -> nn.Linear:
    return nn.Linear(6, 5)


def _found(model: nn.Module, name: str, example: Tensor = ROW) -> ModuleCut | Refusal:
    torch.manual_seed(0)
    (found,) = opened(model).cuts(batch_of(example), [name])
    return found


def _encoded(model: nn.Module, name: str, example: Tensor = ROW) -> Tensor:
    encoder = opened(model)
    (cut,) = encoder.cuts(batch_of(example), [name])
    assert isinstance(cut, ModuleCut), cut
    return encoder.encode(batch_of(example), [cut])[name]


def _close(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, atol=1e-6)


# Heads whose logits are fc's output and whose penultimate cut is the trunk's.
ENDS: dict[str, Callable[[], Net]] = {
    "a layer": lambda: Net(lambda net, x: net.fc(x), fc=_fc()),
    "a softmax module": lambda: Net(lambda n, x: n.soft(n.fc(x)), fc=_fc(), soft=nn.Softmax(1)),
    "a log-softmax module": lambda: Net(
        lambda net, x: net.soft(net.fc(x)), fc=_fc(), soft=nn.LogSoftmax(1)
    ),
    "a softmax function": lambda: Net(lambda net, x: F.softmax(net.fc(x), dim=1), fc=_fc()),
    "a log-softmax function": lambda: Net(lambda n, x: F.log_softmax(n.fc(x), 1), fc=_fc()),
    "a sigmoid": lambda: Net(lambda net, x: torch.sigmoid(net.fc(x)), fc=_fc()),
    "dropout before it": lambda: Net(
        lambda net, x: net.fc(F.dropout(x, training=net.training)), fc=_fc()
    ),
    "a sequence": lambda: Net(
        lambda net, x: net.head(x), head=nn.Sequential(nn.Dropout(), nn.Flatten(), _fc())
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_logits_are_before_any_softmax_and_penultimate_feeds_them(end: str) -> None:
    torch.manual_seed(0)
    model = ENDS[end]().eval()
    fc = model.fc if hasattr(model, "fc") else model.head[-1]
    features = model.trunk(ROW)
    assert torch.equal(_encoded(model, "penultimate"), features)
    assert torch.equal(_encoded(model, "logits"), fc(features))


def test_heads_without_a_layer_of_their_own() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(5, 6))

    class Functional(Net):
        def __init__(self) -> None:
            super().__init__(lambda net, x: F.linear(x, net.weight))
            self.weight = weight

    model = Functional().eval()
    assert torch.equal(_encoded(model, "penultimate"), model.trunk(ROW))
    assert torch.equal(_encoded(model, "logits"), model(ROW))
    weighted = nn.utils.parametrizations.weight_norm(_fc())
    model = Net(lambda net, x: net.fc(x), fc=weighted).eval()
    assert torch.equal(_encoded(model, "penultimate"), model.trunk(ROW))
    # A cosine head: what it multiplies by its weights no module gives.
    model = Net(
        lambda net, x: 30 * F.linear(F.normalize(x), F.normalize(net.fc.weight)), fc=_fc()
    ).eval()
    assert torch.equal(_encoded(model, "logits"), model(ROW))
    found = _found(model, "penultimate")
    assert isinstance(found, Refusal)
    assert "no module gives what its last linear map takes" in found.reason


def test_two_heads_that_are_averaged_are_neither() -> None:
    model = Net(lambda net, x: (net.a(x) + net.b(x)) / 2, a=_fc(), b=_fc()).eval()
    assert torch.equal(_encoded(model, "logits"), model(ROW))
    found = _found(model, "penultimate")
    assert isinstance(found, Refusal)
    assert "its output is made of 2 linear maps, so none is its classifier" in found.reason
    assert [each.name for each in opened(model).cuts(batch_of(ROW), ["all"])] == ["trunk"]


def test_heads_that_are_stacked_are_neither_too() -> None:
    """As CrossViT's: the mean of a stack of heads."""
    model = Net(lambda n, x: torch.stack([n.a(x), n.b(x)]).mean(0), a=_fc(), b=_fc()).eval()
    assert torch.equal(_encoded(model, "logits"), model(ROW))
    found = _found(model, "penultimate")
    assert isinstance(found, Refusal)
    assert "its output is made of 2 linear maps" in found.reason


def test_of_an_output_that_nothing_is_known_of_no_head_is_guessed() -> None:
    model = Net(lambda net, x: torch.sin(net.fc(x)), fc=_fc()).eval()
    assert torch.equal(_encoded(model, "logits"), model(ROW))
    found = _found(model, "penultimate")
    assert isinstance(found, Refusal)
    assert "nothing tells what of its output, made by 'sin', is; name a module" in found.reason


def test_a_head_of_two_layers_has_its_hidden_layer_as_penultimate() -> None:
    head = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5))
    model = Net(lambda net, x: net.head(x), head=head).eval()
    assert torch.equal(_encoded(model, "penultimate"), head[:2](model.trunk(ROW)))


def test_a_head_of_maps_of_scores() -> None:
    """As SqueezeNet's: a convolution to the classes, rectified and pooled."""
    model = ConvNet(
        lambda net, x: net.pool(F.relu(net.scores(x))).flatten(1),
        scores=nn.Conv2d(6, 5, 1),
        pool=nn.AdaptiveAvgPool2d(1),
    ).eval()
    model.to(memory_format=torch.channels_last)  # as encoders have it: to the last bit
    features = model.trunk(IMAGE).mean(dim=(2, 3))
    assert torch.equal(_encoded(model, "penultimate", IMAGE), features)
    assert torch.equal(_encoded(model, "logits", IMAGE), model(IMAGE))


def test_a_head_of_segmentation() -> None:
    model = ConvNet(
        lambda net, x: F.interpolate(net.scores(x), size=16, mode="bilinear"),
        scores=nn.Conv2d(6, 5, 1),
    ).eval()
    model.to(memory_format=torch.channels_last)  # as encoders have it: to the last bit
    features = model.trunk(IMAGE).mean(dim=(2, 3))
    assert torch.equal(_encoded(model, "penultimate", IMAGE), features)
    assert torch.equal(_encoded(model, "logits", IMAGE), model(IMAGE).mean(dim=(2, 3)))


@pytest.mark.parametrize(
    "model",
    [
        ConvNet(lambda _net, x: x),
        ConvNet(lambda _net, x: x.mean(dim=(2, 3))),
        ConvNet(lambda net, x: F.relu(net.conv(x) + x), conv=nn.Conv2d(6, 6, 3, padding=1)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU()),
        tiny_nets.TinyTransformer(n_classes=0),
    ],
    ids=["features", "pooled", "residual", "rectified", "transformer"],
)
def test_without_a_head_penultimate_is_the_output(model: nn.Module) -> None:
    model.eval()
    output = model(IMAGE)
    pooled = output if output.ndim == 2 else output.mean(dim=(2, 3))
    assert _close(_encoded(model, "penultimate", IMAGE), pooled)
    found = _found(model, "logits", IMAGE)
    assert isinstance(found, Refusal)
    assert "has no classifier" in found.reason


def test_attention_is_no_head() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.Sequential(nn.Linear(1, 8), nn.TransformerEncoder(layer, 2))
    found = _found(model.eval(), "penultimate", torch.randn(3, 5, 1))
    assert isinstance(found, ModuleCut)
    assert found.place.module == ""
    assert found.shape == (5, 8)


def test_the_last_linear_layer_of_a_mixer_is_no_head() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.mlp = nn.LayerNorm(4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.mlp(self.norm(x))

    model = nn.Sequential(Block(), Block()).eval()
    assert torch.equal(_encoded(model, "penultimate"), model(ROW))
    with_head = nn.Sequential(Block(), Block(), nn.Linear(4, 2)).eval()
    assert torch.equal(_encoded(with_head, "penultimate"), with_head[:2](ROW))


def test_a_recurrent_network() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.fc = nn.LSTM(1, 6, batch_first=True), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.rnn(x)[0][:, -1])

    model, x = Recurrent().eval(), torch.randn(3, 7, 1)
    assert torch.equal(_encoded(model, "penultimate", x), model.rnn(x)[0][:, -1])


class _Swish(torch.autograd.Function):
    @staticmethod
    def forward(_context, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


def test_a_function_of_its_own_does_not_hide_what_is_before_it() -> None:
    """Such as EfficientNet's activation: its result is no object that an operation made."""
    model = Net(lambda net, x: net.fc(_Swish.apply(x)), fc=_fc()).eval()
    features = model.trunk(ROW)
    assert torch.equal(_encoded(model, "penultimate"), features * torch.sigmoid(features))


def test_outputs_of_several_tensors() -> None:
    class Outputs(Net):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            features = self.trunk(x)
            return {"logits": self.fc(features), "features": features}

    model = Outputs(lambda *_: None, fc=_fc()).eval()
    assert torch.equal(_encoded(model, "logits"), model(ROW)["logits"])
    assert torch.equal(_encoded(model, "penultimate"), model.trunk(ROW))

    class Unnamed(Net):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"a": self.trunk(x), "b": x}

    for name in ("logits", "penultimate"):
        found = _found(Unnamed(lambda *_: None).eval(), name)
        assert isinstance(found, Refusal)
        assert "the network's own output is no tensor; name a module" in found.reason


PUBLISHED = """
    resnet18 squeezenet1_1 vgg11 densenet121 vit_b_16 swin_t convnext_tiny efficientnet_b0 alexnet
    mobilenet_v3_small googlenet shufflenet_v2_x0_5 regnet_x_400mf mnasnet0_5
"""


@pytest.mark.parametrize("name", PUBLISHED.split())
def test_heads_of_published_networks(name: str) -> None:
    try:
        from torchvision import models
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision cannot be imported: {error}")
    torch.manual_seed(0)
    extra = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    model = models.get_model(name, num_classes=5, **extra).eval()
    side = 224 if name == "vit_b_16" else 64
    x = torch.randn(2, 3, side, side)
    encoder = opened(model)
    found = encoder.cuts(batch_of(x), ["penultimate", "logits"])
    assert [each.name for each in found] == ["penultimate", "logits"], found
    encoded = encoder.encode(batch_of(x), found)
    with torch.inference_mode():
        assert torch.equal(encoded["logits"], model(x))
        head = model.get_submodule(found[0].place.module)
        if isinstance(head, nn.Linear):
            assert torch.equal(head(encoded["penultimate"]), model(x))
