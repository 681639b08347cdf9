"""Builders of networks that may be called with whatever a stranger's manifest says.

Each list is that of the package itself, so that a new version's models need no line here;
what a package gains by others who register theirs with it does not count.
"""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import nn

from zoorank.errors import SourceError
from zoorank.messages import guess
from zoorank.sources.trust import lies_in

Builders = Mapping[str, Callable[..., Any]]

# Builders by name, and the argument in which they take the name of a model.
_BY_NAME = {
    ("torchvision.models._api", "get_model"): "name",
    ("timm.models._factory", "create_model"): "model_name",
}

# Arguments with which they would fetch weights, or read a file that the manifest names.
_FETCHING = frozenset(
    {
        "cache_dir",
        "checkpoint_path",
        "pretrained",
        "pretrained_backbone",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "weights",
        "weights_backbone",
    }
)


def known(package: str) -> Builders:
    """Builders of one package by name; the package has been imported."""
    return LISTS[package]()


def builds_modules(value: Any, owner: type | None) -> bool:
    """Tell whether a callable of a package is a class of networks, or says that it returns one."""
    if _is_module_class(value) or _is_module_class(getattr(value, "__self__", None)):
        return True
    if not inspect.isfunction(value) or (owner is not None and not _is_static(owner, value)):
        return False
    try:
        return _is_module_class(typing.get_type_hints(value).get("return"))
    except Exception:  # noqa: BLE001 - annotations are that package's code and may raise anything
        return False


def _is_static(owner: type, value: Any) -> bool:
    return isinstance(vars(owner).get(value.__name__), staticmethod)


def _is_module_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)


def safe_arguments(factory: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse arguments with which a known builder would do more than build.

    Returns
    -------
    dict
        The arguments, with None for those that would fetch weights by default.

    Raises
    ------
    SourceError
        Naming the argument and what to say instead.
    """
    refuse_fetching(arguments)
    for name, value in arguments.items():
        if not _is_plain(value):
            raise SourceError(
                f"argument {name!r} is a {type(value).__name__}; builders that zoorank knows "
                "take numbers, texts, booleans and lists of them"
            )
    parameters = inspect.signature(_named(factory, arguments)).parameters
    fetching = {name for name in _FETCHING & set(parameters) if parameters[name].default}
    return {**dict.fromkeys(fetching), **arguments}


def refuse_fetching(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments with which a builder would fetch weights, or read another file.

    Raises
    ------
    SourceError
        Naming the argument.
    """
    for name, value in arguments.items():
        if name in _FETCHING and value:
            raise SourceError(
                f"argument {name!r} would fetch weights or read a file; say where the weights "
                "lie with the key `weights`"
            )


def _named(factory: Callable[..., Any], arguments: Mapping[str, Any]) -> Callable[..., Any]:
    """The builder whose name is among the arguments, or the factory itself."""
    argument = _BY_NAME.get((factory.__module__, factory.__name__))
    if argument is None:
        return factory
    package = factory.__module__.partition(".")[0]
    builders, name = known(package), str(arguments.get(argument, ""))
    builder = builders.get(name.partition(".")[0])
    if builder is None or builder == factory or not re.fullmatch(r"\w+(\.\w+)*", name):
        raise SourceError(f"{package} has no model {name!r}; {guess(name, builders)}".rstrip("; "))
    return builder


def _is_plain(value: object) -> bool:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float | bool)


def _of_torch() -> Builders:
    return {name: getattr(nn, name) for name in nn.modules.__all__}


def _of_torchvision() -> Builders:
    from torchvision import models

    builders = {name: models.get_model_builder(name) for name in models.list_models()}
    return {**_own("torchvision", builders), "get_model": models.get_model}


def _of_timm() -> Builders:
    import timm

    builders = {name: timm.models.model_entrypoint(name) for name in timm.list_models()}
    return {**_own("timm", builders), "create_model": timm.create_model}


def _of_efficientnet() -> Builders:
    from efficientnet_lite_pytorch import EfficientNet

    return {"EfficientNet.from_name": EfficientNet.from_name}


def _own(package: str, builders: Builders) -> Builders:
    """What the package's own files define."""
    folders = [Path(folder).resolve() for folder in sys.modules[package].__path__]
    return {name: each for name, each in builders.items() if lies_in(each.__module__, folders)}


LISTS: Mapping[str, Callable[[], Builders]] = MappingProxyType(
    {
        "torch": _of_torch,
        "torchvision": _of_torchvision,
        "timm": _of_timm,
        "efficientnet_lite_pytorch": _of_efficientnet,
    }
)
