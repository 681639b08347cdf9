"""A truncated network gives what the full one gives on the way, and runs nothing after."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from tests.sources import tiny_nets
from tests.sources.opened import batch_of, find, opened, prepared, run
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zoorank.cli import DEMO_MANIFEST
from zoorank.errors import SourceError
from zoorank.sources.manifest import load_zoo
from zoorank.sources.torch.cuts import AxisPooling, ModuleCut
from zoorank.sources.torch.hooks import output_tensor
from zoorank.sources.torch.source import load
from zoorank.targets import load_target

ROOT = Path(__file__).parents[2]


Subject = tuple[nn.Module, Tensor, "str | None"]


def _lite(name: str) -> Subject:
    pytest.importorskip("efficientnet_lite_pytorch", reason="pip install 'zoorank[demo]'")
    spec = next(spec for spec in load_zoo(DEMO_MANIFEST).models if spec.name == name)
    # The network is the same at any size; small images keep the test short.
    spec = spec.model_copy(
        update={
            "arguments": {**spec.arguments, "image_size": 32},
            "preprocessing": spec.preprocessing.model_copy(update={"size": (32, 32)}),
        }
    )
    target = load_target("sklearn:digits", limit=20)
    return load(spec).module, prepared(spec.preprocessing, target, range(2)), "mean"


def _fcn() -> Subject:
    sys.path.insert(0, str(ROOT / "examples" / "ucr"))
    try:
        from fcn import FCN
    finally:
        sys.path.pop(0)
    torch.manual_seed(0)
    return FCN(n_classes=3).eval(), torch.randn(2, 1, 60), "mean"


def _tiny(network: str) -> Subject:
    torch.manual_seed(0)
    model = getattr(tiny_nets, network)().eval()
    if network == "TinyMLP":
        return model, torch.randn(2, 4), "mean"
    pooling = "first_token" if network == "TinyTransformer" else "mean"
    return model, torch.randn(2, 3, 16, 16), pooling


MODELS = {
    "lite0": lambda: _lite("lite0"),
    "lite1": lambda: _lite("lite1"),
    "lite2": lambda: _lite("lite2"),
    "lite0-random": lambda: _lite("lite0-random"),
    "fcn": _fcn,
    "resnet": lambda: _tiny("TinyResNet"),
    "transformer": lambda: _tiny("TinyTransformer"),
    "mlp": lambda: _tiny("TinyMLP"),
}


@pytest.fixture(params=MODELS, scope="module")
def subject(request: pytest.FixtureRequest) -> Subject:
    return MODELS[request.param]()


def _pool_plainly(output: Tensor, pooling: str) -> Tensor:
    if output.ndim == 2:
        return output
    return (
        output[:, 0] if pooling == "first_token" else output.mean(dim=tuple(range(2, output.ndim)))
    )


def _intermediates(
    model: nn.Module, batch: Tensor, pooling: str, cuts: Sequence[ModuleCut]
) -> dict[str, Tensor]:
    """Record every cut of a full pass, independently of the code under test."""
    found: dict[str, Tensor] = {}
    handles = []
    for cut in cuts:
        module = model.get_submodule(cut.place.module)
        if cut.place.side == "input":

            def record(_module, args, name=cut.name):
                found[name] = args[0].clone()

            handles.append(module.register_forward_pre_hook(record))
        else:

            def record(_module, _args, output, name=cut.name):
                found[name] = (output[0] if isinstance(output, tuple) else output).clone()

            handles.append(module.register_forward_hook(record))
    with torch.inference_mode():
        model(batch)
    for handle in handles:
        handle.remove()
    return {name: _pool_plainly(output, pooling) for name, output in found.items()}


def test_every_cut_equals_the_full_model_bit_for_bit(subject) -> None:
    model, batch, pooling = subject
    cuts = find(model, batch, ["all", "logits"], pooling=pooling)
    full = _intermediates(model, batch, pooling, cuts)
    assert len(cuts) > 2
    together = run(model, batch, cuts, pooling=pooling)
    for cut in cuts:
        alone = run(model, batch, [cut], pooling=pooling)
        assert torch.equal(alone[cut.name], full[cut.name]), cut.name
        assert torch.equal(together[cut.name], full[cut.name]), cut.name


@contextlib.contextmanager
def _starts(model: nn.Module) -> Iterator[list[str]]:
    started: list[str] = []
    handles = [
        module.register_forward_pre_hook(lambda *_, name=name: started.append(name))
        for name, module in model.named_modules()
    ]
    yield started
    for handle in handles:
        handle.remove()


def test_nothing_runs_after_the_deepest_cut(subject) -> None:
    model, batch, pooling = subject
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(batch)
    total = counter.get_total_flops()
    for cut in find(model, batch, ["all"], pooling=pooling):
        with FlopCounterMode(display=False) as counter, _starts(model) as started:
            run(model, batch, [cut], pooling=pooling)
        assert counter.get_total_flops() == round(cut.flops_share * total), cut.name
        module = cut.place.module
        assert started[-1] == module or started[-1].startswith(f"{module}."), cut.name


def test_penultimate_is_what_the_classifier_gets(subject) -> None:
    model, batch, pooling = subject
    encoder = opened(model, pooling)
    (cut,) = encoder.cuts(batch_of(batch), ["penultimate"])
    encoded = encoder.encode(batch_of(batch), [cut])["penultimate"]
    with torch.inference_mode():
        assert torch.equal(model.get_submodule(cut.place.module)(encoded), model(batch))
        assert encoder.facts.flops > 0


@pytest.mark.parametrize("fails", [False, True])
def test_hooks_are_gone_afterwards(fails: bool) -> None:
    class Failing(AxisPooling):
        def pool(self, output, *_):
            raise ValueError("will not")

    model, batch, _ = _tiny("TinyResNet")
    encoder = opened(model, pooler=Failing() if fails else AxisPooling())
    cuts = encoder.cuts(batch_of(batch), ["all"])
    if fails:
        with pytest.raises(SourceError, match=r"cut 'layer1.0': will not"):
            encoder.encode(batch_of(batch), cuts)
    else:
        encoder.encode(batch_of(batch), cuts)
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_an_encoding_survives_what_overwrites_its_source_in_place() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)).eval()
    batch = torch.randn(5, 3)
    cuts = find(model, batch, ["0", "penultimate"])
    encoded = run(model, batch, cuts)
    assert torch.equal(encoded["0"], model[0](batch))
    assert encoded["0"].min() < 0


def test_a_model_that_catches_everything_cannot_catch_the_stop() -> None:
    class Stubborn(tiny_nets.TinyMLP):
        def forward(self, x: Tensor) -> Tensor:
            try:
                return super().forward(x)
            except Exception:  # noqa: BLE001 - as published models do
                raise AssertionError("caught") from None

    model, batch = Stubborn().eval(), torch.randn(2, 4)
    assert run(model, batch, find(model, batch, ["1"]))["1"].shape == (2, 6)


def test_each_call_of_a_module_is_a_place_of_its_own() -> None:
    model, batch = tiny_nets.Twice().eval(), torch.randn(3, 4)
    encoder = opened(model)
    cuts = encoder.cuts(batch_of(batch), ["shared@1", "shared@2"])
    encoded = encoder.encode(batch_of(batch), cuts)
    once = model.shared(batch)
    assert torch.equal(encoded["shared@1"], once)
    assert torch.equal(encoded["shared@2"], model.shared(once))
    (alone,) = encoder.cuts(batch_of(batch), ["shared@1"])
    with FlopCounterMode(display=False) as counter:
        encoder.encode(batch_of(batch), [alone])
    assert counter.get_total_flops() == 2 * 3 * 4 * 4


def test_what_a_later_batch_does_not_reach_is_said() -> None:
    class Sometimes(tiny_nets.TinyMLP):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if len(x) < 3 else x

    encoder = opened(Sometimes())
    cuts = encoder.cuts(batch_of(torch.randn(2, 4)), ["1"])
    with pytest.raises(SourceError, match="the forward pass does not reach cut 1"):
        encoder.encode(batch_of(torch.randn(3, 4)), cuts)


def test_outputs_that_are_not_tensors() -> None:
    one, two = torch.zeros(2, 3), torch.ones(2, 3)
    assert output_tensor((one, two)) is one
    assert output_tensor([(one,)]) is one
    assert output_tensor({"logits": two, "extra": one}) is two
    assert output_tensor({"only": one, "n": 3}) is one
    for bad in ({"a": one, "b": two}, {}, (), None, "text", [None]):
        with pytest.raises(ValueError, match="its output"):
            output_tensor(bad)
