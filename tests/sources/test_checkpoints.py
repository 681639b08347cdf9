"""Weights as they are found in published files."""

from __future__ import annotations

import argparse
import collections
import pathlib
import tarfile
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.sources import tiny_nets
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from zoorank.errors import SourceError
from zoorank.sources.files import SourceFile
from zoorank.sources.torch.checkpoint import read_checkpoint
from zoorank.sources.torch.match import Filled, fill
from zoorank.sources.torch.source import StateDict

State = dict[str, Tensor]


def _net(seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return tiny_nets.TinyResNet()


def _other(state: State) -> State:
    return {name: value + 1 for name, value in state.items()}


def _prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


def _map(value: Tensor, made: Callable[[Tensor], Tensor]) -> Tensor:
    return made(value) if value.is_floating_point() else value


def _without_head(state: State) -> State:
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def _optimizer(state: State) -> dict[str, Any]:
    moments = {
        place: {"step": torch.tensor(3.0), "exp_avg": value, "exp_avg_sq": value}
        for place, value in enumerate(state.values())
    }
    return {"state": moments, "param_groups": [{"lr": 0.1, "params": list(moments)}]}


def _lightning(state: State) -> dict[str, Any]:
    return {
        "epoch": 3,
        "global_step": 100,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": _prefixed(state, "model."),
        "loops": {},
        "callbacks": {"EarlyStopping": {"best_score": torch.tensor(0.5)}},
        "optimizer_states": [_optimizer(state)],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 0.1},
    }


# How files are wrapped, and what a note says was found.
WRAPPED: dict[str, tuple[Callable[[State], Any], str]] = {
    "plain": (lambda s: s, ""),
    "an ordered dictionary": (collections.OrderedDict, ""),
    "parameters": (
        lambda s: {k: nn.Parameter(v) if v.is_floating_point() else v for k, v in s.items()},
        "",
    ),
    "half precision": (
        lambda s: {k: v.half() if v.is_floating_point() else v for k, v in s.items()},
        "",
    ),
    "state_dict": (lambda s: {"state_dict": s}, "from 'state_dict'"),
    "model": (lambda s: {"model": s, "epoch": 3}, "from 'model'"),
    "params": (lambda s: {"params": s}, "from 'params'"),
    "net": (lambda s: {"net": s, "acc": 0.9}, "from 'net'"),
    "model_state_dict and optimizer": (
        lambda s: {"model_state_dict": s, "optimizer_state_dict": _optimizer(s), "loss": 0.1},
        "from 'model_state_dict'",
    ),
    "model.ema": (lambda s: {"model": {"ema": s}, "step": 7}, "from 'model.ema'"),
    "DataParallel": (lambda s: _prefixed(s, "module."), "from 'module'"),
    "DataParallel under state_dict": (
        lambda s: {"state_dict": _prefixed(s, "module."), "arch": "resnet50", "best_acc1": 76.1},
        "from 'state_dict.module'",
    ),
    "torch.compile": (lambda s: _prefixed(s, "_orig_mod."), "from '_orig_mod'"),
    "Lightning": (_lightning, "from 'state_dict.model'"),
    "a list": (lambda s: [s, _optimizer(s)], "from '0'"),
    "DeepSpeed": (lambda s: {"module": s, "dp_world_size": 8, "ds_config": {}}, "from 'module'"),
    "a detector's backbone": (
        lambda s: _prefixed(_without_head(s), "backbone.") | {"roi_head.weight": torch.ones(2)},
        "from 'backbone'; w.pt lacks fc.weight, fc.bias",
    ),
    "timm's average": (
        lambda s: {"state_dict": _other(s), "state_dict_ema": s, "epoch": 1, "arch": "x"},
        "from 'state_dict_ema', not 'state_dict'",
    ),
    "torchvision's average": (
        lambda s: {"model": _other(s), "model_ema": _prefixed(s, "module."), "epoch": 1},
        "from 'model_ema.module', not 'model'",
    ),
    "BasicSR": (
        lambda s: {"params": _other(s), "params_ema": s},
        "from 'params_ema', not 'params'",
    ),
    "stochastic weight averaging": (
        lambda s: {"n_averaged": torch.tensor(4), **_prefixed(s, "module.")},
        "from 'module'",
    ),
    "DINO": (
        lambda s: {
            "student": _prefixed(_other(s), "module.backbone."),
            "teacher": _prefixed(s, "backbone."),
            "args": argparse.Namespace(lr=1),
        },
        "from 'teacher.backbone', not 'student.module.backbone'",
    ),
    "MoCo": (
        lambda s: {
            "state_dict": _prefixed(_without_head(s), "module.encoder_q.")
            | _prefixed(_without_head(_other(s)), "module.encoder_k.")
            | {"module.queue": torch.ones(2, 3), "module.queue_ptr": torch.zeros(1)}
        },
        "from 'state_dict.module.encoder_q', not 'state_dict.module.encoder_k'",
    ),
    "the same twice": (lambda s: {"model": s, "state_dict": s}, "from 'model'"),
    "a wrapper inside": (
        lambda s: {k.replace(".", ".module.", 1) if "." in k else k: v for k, v in s.items()},
        "",
    ),
    "activation checkpoints": (
        lambda s: {
            k.replace("layer1.0.", "layer1.0._checkpoint_wrapped_module."): v for k, v in s.items()
        },
        "",
    ),
    "numbers and texts beside tensors": (
        lambda s: {"epoch": 3, "note": "x", **s},
        "left out of w.pt: epoch, note",
    ),
    "arguments of argparse": (
        lambda s: {"model": s, "args": argparse.Namespace(lr=1, out=pathlib.Path("x"))},
        "from 'model'",
    ),
    "NumPy's numbers": (
        lambda s: {"state_dict": s, "best": np.float64(0.5), "curve": np.ones(3)},
        "from 'state_dict'",
    ),
    "settings and defaults": (
        lambda s: {
            "model": s,
            "cfg": types.SimpleNamespace(depth=3),
            "meta": collections.defaultdict(list, a=[1]),
        },
        "from 'model'",
    ),
    "no head": (_without_head, "w.pt lacks fc.weight, fc.bias"),
    "a head of other classes": (
        lambda s: {**s, "fc.weight": torch.ones(7, 8), "fc.bias": torch.ones(7)},
        "w.pt lacks fc.weight (network (3, 8), file (7, 8)), fc.bias (network (3,), file (7,))",
    ),
    "a head by another name": (
        lambda s: {**_without_head(s), "head.weight": s["fc.weight"]},
        "w.pt lacks fc.weight, fc.bias; it holds head.weight, which the network lacks",
    ),
    "another head too": (lambda s: {**s, "aux.weight": torch.ones(2)}, ""),
    "no counters": (lambda s: {k: v for k, v in s.items() if "num_batches" not in k}, ""),
}


def _filled(model: nn.Module, path: Path, **where: str) -> Filled:
    return fill(model, read_checkpoint(SourceFile(str(path), path).pin(), StateDict(**where)))


def _save(content: Any, path: Path, *, old: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return path


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old"])
@pytest.mark.parametrize("wrapping", WRAPPED)
def test_weights_are_found_and_that_is_said(tmp_path: Path, wrapping: str, old: bool) -> None:
    wrap, expected = WRAPPED[wrapping]
    state, model = _net().state_dict(), _net(2)
    filled = _filled(model, _save(wrap(state), tmp_path / "w.pt", old=old))
    note = "; ".join(filled.notes)
    assert expected in note if expected else note == ""
    for name, value in model.state_dict().items():
        if name in filled.fresh:
            assert name.startswith("fc.")
        elif "num_batches" not in name:
            tolerance = 1e-3 if wrapping == "half precision" else 0
            assert torch.allclose(value, state[name].to(value.dtype), atol=tolerance), name


def test_there_are_at_least_25_ways() -> None:
    assert len(WRAPPED) >= 25


@pytest.mark.parametrize("name", ["w.ckpt", "w.tar", "w.pth.tar", "w.bin", "w.th", "W.PTH"])
def test_names_that_files_have(tmp_path: Path, name: str) -> None:
    filled = _filled(_net(2), _save({"state_dict": _net().state_dict()}, tmp_path / name))
    assert filled == Filled({}, (f"weights of {name} from 'state_dict'",))


def test_safetensors_by_another_name(tmp_path: Path) -> None:
    save_file(_net().state_dict(), tmp_path / "w.bin")
    assert _filled(_net(2), tmp_path / "w.bin") == Filled({}, ())
    _save(_net().state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(SourceError, match="not a readable safetensors file"):
        _filled(_net(2), tmp_path / "w.safetensors")


def test_an_archive_is_none(tmp_path: Path) -> None:
    _save(_net().state_dict(), tmp_path / "w.pt")
    with tarfile.open(tmp_path / "w.tar", "w") as archive:
        archive.add(tmp_path / "w.pt")
    with pytest.raises(SourceError, match="is an archive of files; unpack it"):
        _filled(_net(2), tmp_path / "w.tar")


def test_several_sets_of_weights_are_for_the_user_to_choose(tmp_path: Path) -> None:
    state = _net().state_dict()
    path = _save({"a": state, "b": _other(state)}, tmp_path / "w.pt")
    with pytest.raises(SourceError) as caught:
        _filled(_net(2), path)
    assert str(caught.value).endswith(
        "holds several sets of weights that fit: 'a', 'b'; say state_dict.key or state_dict.prefix"
    )
    model = _net(2)
    assert _filled(model, path, key="a").notes == ()
    assert torch.equal(model.conv1.weight, state["conv1.weight"])
    flat = {**_prefixed(state, "a."), **_prefixed(_other(state), "b.")}
    path = _save(flat, tmp_path / "flat.pt")
    with pytest.raises(SourceError, match=r"'a', 'b'; say state_dict\.key or state_dict.prefix"):
        _filled(_net(2), path)
    assert _filled(model, path, prefix="b.").notes == ()
    assert torch.equal(model.conv1.weight, state["conv1.weight"] + 1)


def test_a_network_that_wraps_what_the_file_holds(tmp_path: Path) -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = _net(2)
            self.head = nn.Linear(3, 2)

    model, state = Wrapper(), _net().state_dict()
    filled = _filled(model, _save({"model": state}, tmp_path / "w.pt"))
    assert torch.equal(model.backbone.conv1.weight, state["conv1.weight"])
    assert set(filled.fresh) == {"head.weight", "head.bias"}
    assert filled.notes == (
        "weights of w.pt from 'model'",
        "weights of w.pt for 'backbone'",
        "w.pt lacks head.weight, head.bias",
    )


class _Normed(nn.Module):
    def __init__(self, norm: Callable[[nn.Module], nn.Module]) -> None:
        super().__init__()
        self.body, self.fc = norm(nn.Linear(4, 6)), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.relu(self.body(x)))


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize(
    ("former", "later"),
    [
        (torch.nn.utils.weight_norm, parametrizations.weight_norm),
        (torch.nn.utils.spectral_norm, parametrizations.spectral_norm),
    ],
    ids=["weight", "spectral"],
)
def test_normalized_weights_by_their_former_and_later_names(tmp_path: Path, former, later) -> None:
    torch.manual_seed(1)
    x = torch.randn(3, 4)
    for one, other in ((former, later), (later, former)):
        saved = _Normed(one).eval()
        torch.manual_seed(2)
        model = _Normed(other).eval()
        filled = _filled(model, _save(saved.state_dict(), tmp_path / "w.pt"))
        assert filled == Filled({}, ())
        assert torch.allclose(model(x), saved(x), atol=1e-6)


def test_layer_normalization_by_tensorflow_s_names(tmp_path: Path) -> None:
    state = {"norm.gamma": torch.full((3,), 2.0), "norm.beta": torch.ones(3)}
    model = nn.Sequential(collections.OrderedDict(norm=nn.LayerNorm(3)))
    assert _filled(model, _save(state, tmp_path / "w.pt")) == Filled({}, ())
    assert model.norm.weight.tolist() == [2, 2, 2]


def test_the_names_of_the_first_densenets(tmp_path: Path) -> None:
    def layer() -> nn.Module:
        parts = {"norm1": nn.BatchNorm2d(2), "conv1": nn.Conv2d(2, 2, 1)}
        return nn.ModuleDict({"denselayer1": nn.ModuleDict(parts)})

    saved, model = layer(), layer()
    former = {
        name.replace("norm1", "norm.1").replace("conv1", "conv.1"): value
        for name, value in saved.state_dict().items()
    }
    assert _filled(model, _save(former, tmp_path / "w.pt")) == Filled({}, ())
    assert torch.equal(model.denselayer1.conv1.weight, saved.denselayer1.conv1.weight)


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.fc = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.b.weight = self.a.weight


def test_tied_tensors(tmp_path: Path) -> None:
    state = _Tied().state_dict()
    assert _filled(_Tied(), _save(state, tmp_path / "w.pt")) == Filled({}, ())
    once = {name: value for name, value in state.items() if name != "b.weight"}
    save_file(once, tmp_path / "w.safetensors")
    model = _Tied()
    assert _filled(model, tmp_path / "w.safetensors") == Filled({}, ())
    assert torch.equal(model.b.weight, state["a.weight"])
    two = {**state, "b.weight": state["a.weight"] + 1}
    with pytest.raises(SourceError, match=r"a\.weight and b\.weight are one tensor there and two"):
        _filled(_Tied(), _save(two, tmp_path / "w.pt"))


def test_tables_of_whole_numbers_are_the_network_s_own(tmp_path: Path) -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)
            self.register_buffer("position_ids", torch.arange(5))
            self.register_buffer("scale", torch.ones(1))

    state = Positions().state_dict()
    path = _save({k: v for k, v in state.items() if k.startswith("fc")}, tmp_path / "w.pt")
    assert _filled(Positions(), path).fresh == {"scale": "scale"}


def test_lazy_layers_take_any_shape(tmp_path: Path) -> None:
    state = {"0.weight": torch.ones(2, 5), "0.bias": torch.ones(2)}
    model = nn.Sequential(nn.LazyLinear(2))
    assert _filled(model, _save(state, tmp_path / "w.pt")) == Filled({}, ())
    assert model[0].weight.shape == (2, 5)


def test_a_content_that_holds_itself(tmp_path: Path) -> None:
    content: dict[str, Any] = {"model": _net().state_dict()}
    content["self"] = content
    assert "from 'model'" in _filled(_net(2), _save(content, tmp_path / "w.pt")).notes[0]


def test_nothing_of_a_file_is_run_to_leave_it_out(tmp_path: Path) -> None:
    class Evil(argparse.Namespace):
        def __reduce__(self) -> Any:
            return argparse.Namespace, (), {"lr": _Touch(tmp_path / "ran")}

    path = _save({"model": _net().state_dict(), "args": Evil()}, tmp_path / "w.pt")
    with pytest.raises(SourceError, match="would run code when loaded"):
        _filled(_net(2), path)
    assert not (tmp_path / "ran").exists()


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_length_of_a_tensor_whatever_stands_before_its_name(tmp_path: Path) -> None:
    content = {"state_dict": _prefixed(_net().state_dict(), "module.")}
    checkpoint = read_checkpoint(SourceFile("w.pt", _save(content, tmp_path / "w.pt")).pin())
    assert checkpoint.length("fc.bias") == 3
    assert checkpoint.length("bias") is None  # of several layers
    assert checkpoint.length("fc.none") is None


def _complex(value: Tensor) -> Tensor:
    return value.to(torch.complex64) * (1 + 1j)


def _whole(value: Tensor) -> Tensor:
    return (value * 100).to(torch.int8)


def _quantized(value: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # files of earlier versions hold such tensors
        return torch.quantize_per_tensor(value, 0.1, 0, torch.qint8)


@pytest.mark.parametrize(
    ("made", "kind"), [(_complex, "complex64"), (_whole, "int8"), (_quantized, "qint8")]
)
def test_numbers_of_another_kind_are_not_taken_for_weights(tmp_path: Path, made, kind) -> None:
    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))

    state = net().state_dict()
    state["0.weight"] = made(state["0.weight"])
    model = net()
    before = model[0].weight.clone()
    filled = _filled(model, _save(state, tmp_path / "w.pt"))
    assert filled.fresh == {"0.weight": f"0.weight (network float32, file {kind})"}
    assert torch.equal(model[0].weight, before)
    assert torch.equal(model[1].weight, state["1.weight"])


def test_sparse_weights_are_weights(tmp_path: Path) -> None:
    state = nn.Linear(4, 3).state_dict()
    model = nn.Linear(4, 3)
    sparse = {name: value.to_sparse() for name, value in state.items()}
    assert _filled(model, _save(sparse, tmp_path / "w.pt")) == Filled({}, ())
    assert torch.equal(model.weight, state["weight"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_weights(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {name: value.to(dtype) for name, value in nn.Linear(4, 3).state_dict().items()}
    model = nn.Linear(4, 3)
    assert _filled(model, _save(state, tmp_path / "w.pt")) == Filled({}, ())
    assert torch.equal(model.weight, state["weight"].float())
