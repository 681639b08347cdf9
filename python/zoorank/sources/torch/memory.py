"""Modules of torch that are in memory, as sources."""

from __future__ import annotations

import copy
import hashlib
import inspect
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from zoorank.errors import SourceError
from zoorank.frozen import Frozen
from zoorank.messages import reason
from zoorank.sources.base import Encoder, Entry, EntryError, Events, Json, Known, OpenOptions
from zoorank.sources.torch.encoder import TorchEncoder
from zoorank.sources.torch.factory import fingerprint_code
from zoorank.sources.torch.source import axis_pooling
from zoorank.sources.trust import find_module
from zoorank.targets.base import Modality
from zoorank.transforms import transform_of
from zoorank.transforms.base import Transform
from zoorank.transforms.image import PillowTransform
from zoorank.transforms.specs import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

# Stands for what nobody can tell the content of, so that nothing of it is ever reused.
_UNKNOWN = secrets.token_hex(16)
# What torch itself keeps in a module, and says nothing of what it computes.
_OF_TORCH = frozenset(vars(nn.Module())) | {"training"}
_PLAIN = (str, bytes, int, float, complex, bool, type(None), torch.dtype, torch.device, torch.Size)


@dataclass(frozen=True)
class ModuleSource:
    """A module of torch that is in memory, with what makes batches for it.

    Attributes
    ----------
    name : str
    module : nn.Module
        It is copied when the source is opened, and stays as it is.
    transform : Transform
    preprocessing : Preprocessing or None
        What the transform was made of.
    modalities : frozenset of Modality
    cuts, trained_on, licence
        As for every source.
    """

    name: str
    module: nn.Module
    transform: Transform
    preprocessing: Preprocessing | None
    modalities: frozenset[Modality]
    cuts: tuple[str, ...] | None = None
    trained_on: str | None = None
    licence: str | None = None

    def resolve(self, _events: Events) -> ModuleSource:
        """Everything is there already."""
        return self

    def identity(self) -> Mapping[str, Json]:
        """Its layers, their code and numbers, the transform and the version of torch."""
        spec = self.preprocessing
        said = fingerprint_object(self.transform) if spec is None else spec.model_dump(mode="json")
        return {
            "module": fingerprint_layers(self.module),
            "weights": fingerprint_weights(self.module),
            "torch": str(torch.__version__),
            "preprocessing": said,
        }

    def known(self) -> Known:
        """What was said of it when it was named."""
        return Known(licence=self.licence or "")

    def open(self, options: OpenOptions) -> Encoder:
        """Copy the module."""
        try:
            module = copy.deepcopy(self.module)
        except Exception as error:  # a stranger's code copies itself
            raise SourceError(f"the module cannot be copied: {reason(error)}") from error
        spec = self.preprocessing
        pooler = None if spec is None else axis_pooling(spec)
        return TorchEncoder(module, self.transform, options, pooler=pooler)


@dataclass(frozen=True)
class FunctionTransform(PillowTransform):
    """Images as a function prepares them, such as those of torchvision and timm.

    Attributes
    ----------
    function : callable
        From a Pillow image in colours to an array or tensor ``(channels, height, width)``.
    """

    function: Callable[[Any], Any]
    name = "transform"

    @property
    def key(self) -> str:
        """What the function is."""
        return f"function {fingerprint_object(self.function)}"

    def made(self, image: Image) -> NDArray[Any]:
        """What the function makes of an image."""
        return np.asarray(self.function(image))


def source_of_module(reference: Any, entry: Entry) -> ModuleSource:
    """Name a module, or a pair of a module and what makes batches for it.

    Parameters
    ----------
    reference : nn.Module, or (nn.Module, transform)
        The transform is a :class:`~zoorank.transforms.specs.ImagePreprocessing` or its like,
        a :class:`~zoorank.transforms.base.Transform`, or a function from a Pillow image to an
        array or a tensor, as torchvision and timm have them.
    entry : Entry
        Its preprocessing, for a module alone.

    Raises
    ------
    EntryError
        For a module alone of which nothing says what it wants.
    """
    module, transform = reference if isinstance(reference, tuple) else (reference, None)
    name = entry.name or type(module).__name__
    preprocessing: Any = transform if isinstance(transform, Frozen) else entry.preprocessing
    modalities: frozenset[Modality] = frozenset(get_args(Modality))
    made: Transform
    if isinstance(transform, Frozen) or (transform is None and preprocessing is not None):
        made, modalities = transform_of(preprocessing), frozenset({preprocessing.input})
    elif transform is None:
        raise EntryError(
            "a module has to be told its input: give (module, transform), where the transform is "
            "an ImagePreprocessing or its like, or a function from an image to a tensor"
        )
    elif all(hasattr(transform, each) for each in ("prepare", "collate", "fitted")):
        made, preprocessing = transform, None
    elif callable(transform):
        made, preprocessing = FunctionTransform(transform), None
        modalities = frozenset({"image"})
    else:
        raise EntryError(f"{type(transform).__name__} is no transform")
    said = entry.cuts, entry.trained_on, entry.licence
    return ModuleSource(name, module, made, preprocessing, modalities, *said)


def fingerprint_weights(module: nn.Module) -> str:
    """SHA-256 of all parameters and buffers with their names."""
    digest = hashlib.sha256()
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\0".encode())
        digest.update(_bytes(value))
    return digest.hexdigest()


def fingerprint_layers(module: nn.Module) -> str:
    """SHA-256 of the layers: their classes, the code of these and their plain attributes."""
    digest = hashlib.sha256()
    for name, part in module.named_modules():
        kind = type(part)
        digest.update(f"{name} {kind.__module__}.{kind.__qualname__} {_code(kind)}\0".encode())
        for key in sorted(set(vars(part)) - _OF_TORCH):
            digest.update(f"{key} {_described(vars(part)[key])}\0".encode())
    return digest.hexdigest()


def fingerprint_object(value: Any) -> str:
    """SHA-256 of what an object says of itself; of one that says nothing, another each time."""
    return hashlib.sha256(_described(value).encode()).hexdigest()


def _described(value: Any) -> str:
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)} {hashlib.sha256(_bytes(value)).hexdigest()}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, Mapping):
        return str([(_described(key), _described(each)) for key, each in value.items()])
    if isinstance(value, list | tuple):
        return str([_described(each) for each in value])
    if isinstance(value, set | frozenset):
        return str(sorted(map(_described, value)))
    if inspect.isroutine(value) or isinstance(value, type):
        name = f"{value.__module__}.{value.__qualname__}"
        return f"{name} {_code(value)}" if "<" not in name else _UNKNOWN
    if isinstance(value, nn.Module):
        return f"{fingerprint_layers(value)} {fingerprint_weights(value)}"
    inner = getattr(value, "__dict__", None)
    kind = type(value)
    if inner:
        return f"{kind.__module__}.{kind.__qualname__} {_code(kind)} {_described(inner)}"
    text = repr(value)
    return _UNKNOWN if " at 0x" in text else f"{kind.__module__}.{kind.__qualname__} {text}"


def _bytes(value: Tensor) -> memoryview:
    flat = value.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data if flat.numel() else memoryview(b"")


def _code(value: Any) -> str:
    """Digest of the code that a class or function comes with."""
    return _code_of_module(value.__module__ or "builtins")


@cache
def _code_of_module(name: str) -> str:
    top = name.partition(".")[0]
    if top in ("torch", "builtins") or top in sys.stdlib_module_names:
        return ""  # their versions are known
    try:
        return fingerprint_code(find_module(name))
    except SourceError:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None or not Path(file).is_file():
            return _UNKNOWN  # such as what was typed into a terminal
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
