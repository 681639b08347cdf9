"""Load one model: its network, with its weights, safely and strictly."""

from __future__ import annotations

import io
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoorank.errors import SourceError, UsageError
from zoorank.messages import hint, listing, one_line
from zoorank.sources.specs import ModelSpec, StateDict
from zoorank.sources.torch.factory import build
from zoorank.sources.weights import PinnedFile

_SHOWN = 3
_SAFE_TORCH = (2, 10)  # before, weights_only let some crafted files run code


def load_model(spec: ModelSpec) -> nn.Module:
    """Build the network of ``spec`` and load its weights.

    Weights are read as safetensors, or by ``torch.load(weights_only=True)``; there is no
    other way in. Every tensor of the network must be in the file and the other way round.

    Parameters
    ----------
    spec : ModelSpec

    Returns
    -------
    torch.nn.Module
        In evaluation mode, on the CPU, without gradients.

    Raises
    ------
    SourceError
        When the factory, the file, its digest or a tensor is wrong.
    """
    return load_checked(spec, pin_weights(spec))


def load_checked(spec: ModelSpec, file: PinnedFile | None) -> nn.Module:
    """Do what `load_model` does, with a file that `pin_weights` has hashed before."""
    weights = None if file is None else read_weights(file, spec.state_dict)
    model = build(spec, {**spec.arguments, **_lengths(spec, weights or {})})
    if file is not None and weights is not None:
        _fill(model, weights, file.path)
    return model.eval().requires_grad_(False)


def pin_weights(spec: ModelSpec) -> PinnedFile | None:
    """Hash the weights file and compare with the manifest, before anything reads it.

    Returns
    -------
    PinnedFile or None
        None where there is no file.
    """
    path = spec.weights.locate()
    if path is None:
        if spec.sha256 is not None:
            raise SourceError("sha256 is given, but random weights have no file")
        return None
    return PinnedFile.of(path, spec.sha256)


def read_weights(file: PinnedFile, state_dict: StateDict | None = None) -> dict[str, Tensor]:
    """Read named tensors from ``.safetensors``, ``.pt``, ``.pth`` or ``.bin``.

    The file is read once: its tensors come from the bytes that its digest is compared with.

    Raises
    ------
    SourceError
        When the file cannot be read without running code in it, or holds no tensors.
    """
    state_dict, path = state_dict or StateDict(), file.path
    match path.suffix.lower():
        case ".safetensors":
            content = _read_safetensors(path, file.read())
        case ".pt" | ".pth" | ".bin":
            content = _read_torch(path, file.read())
        case suffix:
            allowed = ".safetensors, .pt, .pth and .bin"
            raise SourceError(f"{path}: weights of kind {suffix!r}; {allowed} are read")
    weights = _unwrap(path, content, state_dict.key)
    if not state_dict.prefix:
        return weights
    prefix = state_dict.prefix
    taken = {
        name.removeprefix(prefix): weights[name] for name in weights if name.startswith(prefix)
    }
    if not taken:
        raise SourceError(
            f"{path}: no tensor begins with {prefix!r}; it holds {listing(weights, _SHOWN)}"
        )
    return taken


def _read_safetensors(file: Path, data: bytes) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(data)
    except (SafetensorError, ValueError) as error:
        raise SourceError(f"{file}: not a readable safetensors file: {one_line(error)}") from error


def _read_torch(file: Path, data: bytes) -> Any:
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < _SAFE_TORCH:
        raise SourceError(
            f"{file}: torch {torch.__version__} does not load pickles safely; "
            f"install torch {'.'.join(map(str, _SAFE_TORCH))} or use safetensors"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats; whether it loads is what counts
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(file, data[:2], str(error)) from error
    except (RuntimeError, OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        cause = one_line(error).partition(". ")[0]
        raise SourceError(f"{file}: not a readable PyTorch file: {cause}") from error
    except Exception as error:  # what bytes that are no pickle raise depends on the bytes
        raise _foreign(file) from error


def _foreign(file: Path) -> SourceError:
    return SourceError(f"{file}: not a readable PyTorch file: torch.save did not write it")


def _refused(file: Path, start: bytes, text: str) -> SourceError:
    """Say what a pickle wanted; what torch says advises to load it unsafely."""
    if name := re.search(r"GLOBAL ([\w.]+)", text):
        what = f"it holds more than tensors and would run code when loaded: {name[1]}"
    elif start[:1] == pickle.PROTO:
        what = "it is a plain pickle, which may run code when loaded, not a file of torch.save"
    elif start == b"PK":
        what = "its pickle does more than hold tensors"
    else:
        return _foreign(file)
    return SourceError(f"{file}: refused, as {what}; save the state_dict alone with torch.save")


def _unwrap(file: Path, content: Any, key: str | None) -> dict[str, Tensor]:
    for part in key.split(".") if key else ():
        if not isinstance(content, Mapping) or part not in content:
            keys = listing(map(str, content), 8) if isinstance(content, Mapping) else "no keys"
            raise SourceError(f"{file}: no entry {part!r} for state_dict.key; it holds {keys}")
        content = content[part]
    if not isinstance(content, Mapping):
        raise SourceError(f"{file}: holds a {type(content).__name__}, not named tensors")
    if all(isinstance(value, Tensor) for value in content.values()):
        return {str(name): value for name, value in content.items()}
    holders = [str(name) for name, value in content.items() if _holds_tensors(value)]
    advice = f"; say state_dict.key = {holders[0]!r}" if holders else ""
    raise SourceError(f"{file}: holds {listing(map(str, content), 8)}, not only tensors{advice}")


def _holds_tensors(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(each, Tensor) for each in value.values())
    )


def _lengths(spec: ModelSpec, weights: Mapping[str, Tensor]) -> dict[str, int]:
    lengths = {}
    for argument, name in spec.arguments_from_weights.items():
        if name not in weights or not weights[name].ndim:
            near = hint(name, weights) if weights else "random weights have no file"
            raise SourceError(f"argument {argument!r} needs the tensor {name!r}; {near}")
        lengths[argument] = len(weights[name])
    return lengths


def _fill(model: nn.Module, weights: dict[str, Tensor], file: Path) -> None:
    own = model.state_dict()
    unexpected = [name for name in weights if name not in own]
    reshaped = {
        name: f"{name} (network {tuple(own[name].shape)}, file {tuple(value.shape)})"
        for name, value in weights.items()
        if name in own and own[name].shape != value.shape
    }
    fitting = {name: weights[name] for name in own if name in weights and name not in reshaped}
    try:
        # torch knows what an older file may lack: the counters of batch normalization.
        loaded = model.load_state_dict(fitting, strict=False)
    except RuntimeError as error:
        raise SourceError(f"{file.name} does not fit the network: {one_line(error)}") from None
    missing = [name for name in loaded.missing_keys if name not in reshaped]
    groups = (
        ("missing", missing),
        ("unexpected", unexpected),
        ("of another shape", reshaped.values()),
    )
    faults = [f"{what} {listing(names, _SHOWN)}" for what, names in groups if names]
    if faults:
        raise SourceError(f"{file.name} does not fit the network: {'; '.join(faults)}")


def torch_device(name: str) -> torch.device:
    """Turn "auto", "cpu" or "cuda:N" into a device that is there, or raise UsageError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UsageError(
            f"unknown device {name!r}; {hint(name, ['auto', 'cpu', 'cuda', 'cuda:N'])}"
        )
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device {name!r}: torch sees {torch.cuda.device_count()} CUDA devices")
    return device
