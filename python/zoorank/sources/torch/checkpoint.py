"""Weights as they are found in files, read without running code.

Published checkpoints wrap the weights of a network in more ways than anybody would want to
write into a manifest: under ``state_dict`` or ``model.ema``, with ``module.`` or
``backbone.`` before every name, beside epochs, arguments and optimizers. `match.py` tells by
the names and shapes of the network which of them are its own.
"""

from __future__ import annotations

import io
import pickle
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zoorank.errors import SourceError
from zoorank.messages import listing, one_line
from zoorank.sources.files import Pin, SourceFile
from zoorank.sources.weights import StateDict

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar", ".th")

_SAFE_TORCH = (2, 10)  # before, weights_only let some crafted files run code
_DEEPEST = 8
_SHOWN = 3
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")

# Classes of what stands beside weights: arguments, paths, numbers, settings. They are not
# imported; what a file holds of them is left out.
_BESIDE = re.compile(
    r"argparse\.Namespace|types\.SimpleNamespace|pathlib(\.\w+)*|numpy(\.\w+)*|_codecs\.encode"
    r"|(omegaconf|ml_collections|mmengine|mmcv|fairseq|pytorch_lightning|lightning"
    r"|lightning_fabric)(\.\w+)+|typing\.Any"
    r"|builtins\.(list|dict|set|frozenset|tuple|int|float|str|bool|bytearray|complex)"
)
_DICTIONARIES = re.compile(r"(\w+\.)*(AttributeDict|CfgNode|EasyDict|ConfigDict|addict\.Dict)")
_MOST_CLASSES = 64


StandIns = list[Callable[..., Any] | tuple[Callable[..., Any], str]]


class _LeftOut:
    """Stands for an object of a class that is not imported; its content is dropped."""

    def __new__(cls, *_args: Any, **_keywords: Any) -> _LeftOut:  # noqa: PYI034
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_keywords: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass


def _dictionary(*_args: Any) -> OrderedDict[Any, Any]:
    return OrderedDict()


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file.

    Attributes
    ----------
    file : SourceFile
    tensors : mapping of str to Tensor
        By the keys that lead to each, joined with dots.
    others : tuple of str
        What stands beside them, by the same names.
    is_exact : bool
        Whether the manifest says what stands before the names, so that nothing else is tried.
    """

    file: SourceFile
    tensors: Mapping[str, Tensor]
    others: tuple[str, ...]
    is_exact: bool = False

    def length(self, name: str) -> int | None:
        """First axis of a tensor that goes by this name, whatever stands before it."""
        found = {
            len(value)
            for each, value in self.tensors.items()
            if (each == name or each.endswith(f".{name}")) and value.ndim
        }
        return found.pop() if len(found) == 1 else None


def read_checkpoint(pin: Pin, state_dict: StateDict | None = None) -> Checkpoint:
    """Read the tensors of a file, which are those of the bytes that its digest was taken of.

    Parameters
    ----------
    pin : Pin
    state_dict : StateDict, optional
        Where in it the weights are.

    Raises
    ------
    SourceError
        When it cannot be read without running code in it, or holds no tensors.
    """
    state_dict, file = state_dict or StateDict(), pin.file
    suffix = file.path.suffix.lower()
    if suffix not in SUFFIXES:
        *most, last = SUFFIXES
        raise file.refuse(f"weights of kind {suffix!r}; {', '.join(most)} and {last} are read")
    data = pin.read()
    content = _read_safetensors(file, data) if _is_safetensors(data) else _read_torch(file, data)
    content = _descend(file, content, state_dict.key)
    if not isinstance(content, Mapping | list | tuple):
        raise file.refuse(f"holds a {type(content).__name__}, not named tensors")
    flat = dict(_flatten(content))
    tensors = {name: value for name, value in flat.items() if isinstance(value, Tensor)}
    others = tuple(name for name in flat if name not in tensors)
    if not tensors:
        raise file.refuse(f"holds {listing(others, 8) or 'nothing'}, and no tensors")
    prefix = state_dict.prefix
    if not prefix:
        return Checkpoint(file, tensors, others)
    taken = {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
    if not taken:
        raise file.refuse(f"no tensor begins with {prefix!r}; it holds {listing(tensors, _SHOWN)}")
    return Checkpoint(file, taken, others, is_exact=True)


def read_weights(pin: Pin, state_dict: StateDict | None = None) -> dict[str, Tensor]:
    """Read tensors as :func:`read_checkpoint` does, by their names in the file."""
    return dict(read_checkpoint(pin, state_dict).tensors)


def _is_safetensors(data: bytes) -> bool:
    size = int.from_bytes(data[:8], "little")
    return data[8:9] == b"{" and size <= len(data)


def _read_safetensors(file: SourceFile, data: bytes) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(data)
    except (SafetensorError, ValueError) as error:
        raise file.refuse(f"not a readable safetensors file: {one_line(error)}") from error


def _read_torch(file: SourceFile, data: bytes) -> Any:
    if file.path.suffix.lower() == ".safetensors":
        raise file.refuse("not a readable safetensors file: it has no header")
    if data[257:262] == b"ustar":
        raise file.refuse("is an archive of files; unpack it and name the one of weights")
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < _SAFE_TORCH:
        raise file.refuse(
            f"torch {torch.__version__} does not load pickles safely; "
            f"install torch {'.'.join(map(str, _SAFE_TORCH))} or use safetensors"
        )
    return _unpickle(file, data, _stand_ins(_classes(data)))


def _unpickle(file: SourceFile, data: bytes, stand_ins: StandIns) -> Any:
    try:
        return _loaded(file, data, stand_ins)
    except pickle.UnpicklingError as error:
        # Old formats name their classes only as they are read.
        # torch writes builtins without their module here, and asks for them with it.
        found = _GLOBAL.search(re.sub(r"GLOBAL (?=\w+ )", "GLOBAL builtins.", str(error)))
        more = [each for each in _stand_ins([found[1]] if found else []) if each not in stand_ins]
        if not more or len(stand_ins) > _MOST_CLASSES:
            raise _refused(file, data[:2], str(error)) from error
        return _unpickle(file, data, [*stand_ins, *more])


def _loaded(file: SourceFile, data: bytes, stand_ins: StandIns) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(stand_ins):
            warnings.simplefilter("ignore")  # about old formats; whether it loads is what counts
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise
    except (RuntimeError, OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        cause = one_line(error).partition(". ")[0]
        raise file.refuse(f"not a readable PyTorch file: {cause}") from error
    except Exception as error:  # what bytes that are no pickle raise depends on the bytes
        raise _foreign(file) from error


def _classes(data: bytes) -> list[str]:
    """Names that a file asks for beside tensors, where it tells them without being loaded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return list(torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data)))
    except Exception:  # noqa: BLE001  whatever is wrong with it, loading it will say
        return []


def _stand_ins(names: list[str]) -> StandIns:
    """What to build instead of classes that only describe a training."""
    found: StandIns = []
    for name in names:
        if name == "collections.defaultdict":
            found.append((_dictionary, name))
        elif _DICTIONARIES.fullmatch(name):
            found.append((OrderedDict, name))
        elif _BESIDE.fullmatch(name):
            found.append((_LeftOut, name))
    return found


def _foreign(file: SourceFile) -> SourceError:
    return file.refuse("not a readable PyTorch file: torch.save did not write it")


def _refused(file: SourceFile, start: bytes, text: str) -> SourceError:
    """Say what a pickle wanted; what torch says advises to load it unsafely."""
    if name := _GLOBAL.search(text):
        what = f"it holds more than tensors and would run code when loaded: {name[1]}"
    elif start[:1] == pickle.PROTO:
        what = "it is a plain pickle, which may run code when loaded, not a file of torch.save"
    elif start == b"PK":
        what = "its pickle does more than hold tensors"
    else:
        return _foreign(file)
    return file.refuse(f"refused, as {what}; save the state_dict alone with torch.save")


def _descend(file: SourceFile, content: Any, key: str | None) -> Any:
    for part in key.split(".") if key else ():
        if not isinstance(content, Mapping) or part not in content:
            keys = listing(map(str, content), 8) if isinstance(content, Mapping) else "no keys"
            raise file.refuse(f"no entry {part!r} for state_dict.key; it holds {keys}")
        content = content[part]
    return content


def _flatten(content: Any, before: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every leaf with the keys that lead to it; a content may hold itself, so not for ever."""
    if isinstance(content, Mapping):
        entries: Iterator[tuple[Any, Any]] = iter(content.items())
    elif isinstance(content, list | tuple):
        entries = enumerate(content)
    else:
        yield before, content
        return
    if depth < _DEEPEST:
        for key, value in entries:
            yield from _flatten(value, f"{before}.{key}" if before else str(key), depth + 1)
