"""A truncated network gives what the full one gives on the way, and runs nothing after."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.sources import tiny_nets
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zoorank.cli import DEMO_MANIFEST
from zoorank.errors import SourceError
from zoorank.sources.manifest import load_zoo
from zoorank.sources.torch.cuts import list_cuts, resolve_cuts
from zoorank.sources.torch.load import load_model
from zoorank.sources.torch.truncate import output_tensor, pooler, run_to_cuts
from zoorank.targets import load_target
from zoorank.transforms.preprocess import prepare

ROOT = Path(__file__).parents[2]


def _lite(name: str) -> tuple[nn.Module, Tensor, str, str]:
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
    return load_model(spec), prepare(spec.preprocessing, target, range(2)), "mean", "image"


def _fcn() -> tuple[nn.Module, Tensor, str, str]:
    sys.path.insert(0, str(ROOT / "examples" / "ucr"))
    try:
        from fcn import FCN
    finally:
        sys.path.pop(0)
    torch.manual_seed(0)
    return FCN(n_classes=3).eval(), torch.randn(2, 1, 60), "mean", "series"


def _tiny(network: str) -> tuple[nn.Module, Tensor, str, str]:
    torch.manual_seed(0)
    model = getattr(tiny_nets, network)().eval()
    if network == "TinyMLP":
        return model, torch.randn(2, 4), "mean", "table"
    pooling = "first_token" if network == "TinyTransformer" else "mean"
    return model, torch.randn(2, 3, 16, 16), pooling, "image"


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
def subject(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor, str, str]:
    return MODELS[request.param]()


def _pool_plainly(output: Tensor, pooling: str) -> Tensor:
    if output.ndim == 2:
        return output
    return (
        output[:, 0] if pooling == "first_token" else output.mean(dim=tuple(range(2, output.ndim)))
    )


def _intermediates(model: nn.Module, batch: Tensor, pooling: str) -> dict[str, Tensor]:
    """Record every cut of a full pass, independently of the code under test."""
    found: dict[str, Tensor] = {}
    handles = []
    for cut in list_cuts(model, batch):
        module = model.get_submodule(cut.module)
        if cut.side == "input":

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
    model, batch, pooling, kind = subject
    full = _intermediates(model, batch, pooling)
    cuts = list_cuts(model, batch)
    assert len(cuts) > 1
    together = run_to_cuts(model, batch, cuts, pooler(pooling, kind))
    for cut in cuts:
        alone = run_to_cuts(model, batch, [cut], pooler(pooling, kind))
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
    model, batch, pooling, kind = subject
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(batch)
    total = counter.get_total_flops()
    for cut in list_cuts(model, batch):
        with FlopCounterMode(display=False) as counter, _starts(model) as started:
            run_to_cuts(model, batch, [cut], pooler(pooling, kind))
        assert counter.get_total_flops() == round(cut.flops_share * total), cut.name
        assert started[-1] == cut.module or started[-1].startswith(f"{cut.module}."), cut.name


def test_penultimate_is_what_the_classifier_gets(subject) -> None:
    model, batch, pooling, kind = subject
    (cut,) = resolve_cuts(model, batch, ["penultimate"])
    encoded = run_to_cuts(model, batch, [cut], pooler(pooling, kind))["penultimate"]
    with torch.inference_mode():
        assert torch.equal(model.get_submodule(cut.module)(encoded), model(batch))


@pytest.mark.parametrize("fails", [False, True])
def test_hooks_are_gone_afterwards(fails: bool) -> None:
    model, batch, *_ = _tiny("TinyResNet")
    cuts = list_cuts(model, batch)

    def pool(_output: Tensor) -> Tensor:
        if fails:
            raise ValueError("will not")
        return _output

    if fails:
        with pytest.raises(SourceError, match=r"cut 'layer1.0': will not"):
            run_to_cuts(model, batch, cuts, pool)
    else:
        run_to_cuts(model, batch, cuts, pool)
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_an_encoding_survives_what_overwrites_its_source_in_place() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)).eval()
    batch = torch.randn(5, 3)
    cuts = resolve_cuts(model, batch, ["0", "penultimate"])
    encoded = run_to_cuts(model, batch, cuts, pooler("mean", "table"))
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
    cuts = resolve_cuts(model, batch, ["1"])
    assert run_to_cuts(model, batch, cuts, pooler("mean", "table"))["1"].shape == (2, 6)


@pytest.mark.parametrize(
    ("pooling", "shape", "expected"),
    [
        ("mean", (2, 3, 4, 5), (2, 3)),
        ("max", (2, 3, 4), (2, 3)),
        ("flatten", (2, 3, 4, 5), (2, 60)),
        ("token_mean", (2, 7, 3), (2, 3)),
        ("first_token", (2, 7, 3), (2, 3)),
        ("token_mean", (2, 4, 4, 3), (2, 3)),
        ("first_token", (2, 3), (2, 3)),
    ],
)
def test_pooling(pooling: str, shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    output = torch.randn(shape, dtype=torch.float16)
    pooled = pooler(pooling, "series")(output)
    assert pooled.shape == expected
    assert pooled.dtype == torch.float32
    if pooling == "mean":
        assert torch.equal(pooled, output.float().mean(dim=(2, 3)))


def test_tokens_are_not_mixed_up() -> None:
    with pytest.raises(ValueError, match=r"looks like tokens.*'token_mean' or 'first_token'"):
        pooler("mean", "image")(torch.zeros(2, 7, 3))


@pytest.mark.parametrize("output", [torch.zeros(3), torch.zeros(2, 3, dtype=torch.int64)])
def test_what_cannot_be_pooled_is_refused(output: Tensor) -> None:
    with pytest.raises(ValueError, match="its output is torch"):
        pooler("mean", "image")(output)


def test_outputs_that_are_not_tensors() -> None:
    one, two = torch.zeros(2, 3), torch.ones(2, 3)
    assert output_tensor((one, two)) is one
    assert output_tensor([(one,)]) is one
    assert output_tensor({"logits": two, "extra": one}) is two
    assert output_tensor({"only": one, "n": 3}) is one
    for bad in ({"a": one, "b": two}, {}, (), None, "text", [None]):
        with pytest.raises(ValueError, match="its output"):
            output_tensor(bad)
