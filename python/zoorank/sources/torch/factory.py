"""Build the network that a manifest names, from code that is known or allowed, with its weights."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import nn

from zoorank.errors import SourceError
from zoorank.messages import failed_import, hint
from zoorank.sources.base import Trust
from zoorank.sources.code import fingerprint_code
from zoorank.sources.torch.known import is_known, safe_arguments
from zoorank.sources.trust import (
    ALLOW_CODE,
    NEVER,
    Admitted,
    Found,
    admit,
    find_module,
    is_library,
    lies_in,
    no_network,
    only_safe_loads,
)

if TYPE_CHECKING:
    from zoorank.sources.torch.checkpoint import Checkpoint
    from zoorank.sources.torch.source import TorchSource

_fingerprints: WeakKeyDictionary[ModuleType, dict[tuple[Path, ...], str]] = WeakKeyDictionary()


class Factory(NamedTuple):
    """What builds a network, and whose code it is.

    Attributes
    ----------
    build : callable
    home : {"known", "package", "directory"}
        One of a list of models that zoorank knows, or defined in what the user allows.
    """

    build: Callable[..., Any]
    home: Literal["known", "package", "directory"]


@dataclass(frozen=True)
class Loaded:
    """A network with its weights.

    Attributes
    ----------
    module : nn.Module
        In evaluation mode, on the CPU, without gradients.
    fresh : mapping of str to str
        Names of what the checkpoint does not hold, and what to say of each.
    notes : tuple of str
        What was found.
    """

    module: nn.Module
    fresh: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def load(source: TorchSource) -> Loaded:
    """Build the network of a source and load its weights.

    Weights are read as safetensors, or by ``torch.load(weights_only=True)``; there is no
    other way in.

    Parameters
    ----------
    source : TorchSource

    Raises
    ------
    SourceError
        When the factory, the file or its digest is wrong, or the file holds nothing of the
        network.
    """
    file = source.pin()
    if file is None:
        module = build(source, {**source.arguments, **_lengths(source, None)})
        return Loaded(module.eval().requires_grad_(False))
    from zoorank.sources.torch.checkpoint import read_checkpoint
    from zoorank.sources.torch.match import fill

    checkpoint = read_checkpoint(file, source.state_dict)
    module = build(source, {**source.arguments, **_lengths(source, checkpoint)})
    filled = fill(module, checkpoint)
    return Loaded(module.eval().requires_grad_(False), filled.fresh, filled.notes)


def build(spec: TorchSource, arguments: Mapping[str, Any]) -> nn.Module:
    """Call the factory of ``spec`` under its seed, with no weights loaded yet.

    Raises
    ------
    SourceError
        When there is no such factory, it may not be called, or it fails in any way.
    """
    with _importing(spec.trust):
        factory = find_factory(spec.factory, spec.trust)
        if factory.home == "known":
            arguments = safe_arguments(factory.build, arguments)
        guard = contextlib.nullcontext() if factory.home == "directory" else no_network()
        with torch.random.fork_rng(), only_safe_loads(), guard:
            torch.manual_seed(spec.weights.init_seed)
            with _failing(f"factory {spec.factory} failed"):
                model = factory.build(**arguments)
    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        raise SourceError(f"factory {spec.factory} returned a {kind}, not a torch.nn.Module")
    return model


def _lengths(source: TorchSource, checkpoint: Checkpoint | None) -> dict[str, int]:
    """Arguments that are the lengths of tensors in the file."""
    lengths = {}
    for argument, name in source.arguments_from_weights.items():
        length = None if checkpoint is None else checkpoint.length(name)
        if length is None:
            near = hint(name, checkpoint.tensors) if checkpoint else "random weights have no file"
            raise SourceError(f"argument {argument!r} needs the tensor {name!r}; {near}")
        lengths[argument] = length
    return lengths


def code_fingerprint(spec: TorchSource) -> str:
    """SHA-256 of the code that the factory belongs to, so that edited code is another source.

    It is taken once for a package as imported: what is edited later does not run in this
    process, and must not name its results.
    """
    admitted = admit(spec.factory, spec.trust)
    with _importing(spec.trust):
        _module(admitted)
    package = sys.modules[admitted.found.name]
    allowed = spec.trust.code if admitted.found.in_directory else ()
    known = _fingerprints.setdefault(package, {})
    if allowed not in known:
        known[allowed] = fingerprint_code(admitted.found, allowed)
    return known[allowed]


def find_factory(name: str, trust: Trust) -> Factory:
    """Resolve ``module:function`` to something that may be called with a stranger's arguments.

    In a directory that the user allows that is whatever is defined there; in a package that
    the user allows, what builds networks; elsewhere what zoorank knows. `joblib.load` with
    a path must not run because some module has imported it.

    Raises
    ------
    SourceError
        Naming the nearest public name, or why this one is not called.
    """
    admitted = admit(name, trust)
    places = _places(trust)
    module = _module(admitted)
    if admitted.why == "directory" and not lies_in(admitted.module, trust.code):
        raise SourceError(
            f"module {admitted.module} does not come from a directory of {ALLOW_CODE}, "
            "where its package was found"
        )
    owner, value = _look_up(admitted, module)
    if not callable(value):
        raise SourceError(f"factory {name} is not callable")
    if is_known(value):
        return Factory(value, "known")
    if admitted.why == "directory" and _is_defined_in(value, owner, trust.code):
        return Factory(value, "directory")
    if _builds_modules(value, owner) and _is_defined_in(value, owner, places):
        return Factory(value, "package")
    raise SourceError(f"factory {name} {_why_not(admitted)}")


def _why_not(admitted: Admitted) -> str:
    own = f"wrap it in a file of your own and say {ALLOW_CODE}"
    match admitted.why:
        case "directory":
            return f"is neither defined there nor a builder of networks that zoorank knows; {own}"
        case "package":
            return (
                f"is neither a torch.nn.Module class of {admitted.found.name}, nor a class method "
                f"of one, nor a function annotated to return one; {own}"
            )
        case "known":
            top = admitted.found.name
            return (
                f"is not in the list of models of {top} that zoorank knows"
                if top == "torch"
                else f"is not in {top}'s list of models; if you trust its code with any "
                f"arguments, say --allow-package {top} (in Python: allow_packages={top!r})"
            )


def _look_up(admitted: Admitted, module: ModuleType) -> tuple[type | None, Any]:
    """Follow the names from the module; from a class only to what it or a base defines."""
    owner: type | None = None
    value: Any = module
    for name in admitted.names:
        if isinstance(value, ModuleType):
            owner, found = None, getattr(value, name, None)
            names = [each for each in vars(value) if each[0] != "_"]
        elif isinstance(value, type):
            # Not getattr: what a metaclass has is no part of the class.
            owner = next((base for base in value.__mro__ if name in vars(base)), None)
            static = None if owner is None else vars(owner)[name]
            fit = isinstance(static, classmethod | staticmethod | type) or inspect.isfunction(
                static
            )
            found = getattr(value, name) if fit else None
            names = [each for each in dir(value) if each[0] != "_"]
        else:
            owner, found, names = None, None, []
        if found is None or isinstance(found, ModuleType):
            raise SourceError(
                f"{admitted.module} has no class or function {name!r}; {hint(name, names)}"
            )
        value = found
    return owner, value


def _places(trust: Trust) -> tuple[Path, ...]:
    """Where code lies that the user allows."""
    found: list[Path] = list(trust.code)
    # What another allowed package has imported of torch is no more allowed than torch is.
    for package in set(trust.packages) - set(NEVER):
        with contextlib.suppress(SourceError):
            place = find_module(package)
            found += place.folders or ([place.file] if place.file else [])
    return tuple(found)


def _is_defined_in(value: Any, owner: type | None, places: Sequence[Path]) -> bool:
    while isinstance(value, functools.partial):
        value = value.func
        if is_known(value):
            return True
    home = value if owner is None else owner
    module = getattr(home, "__module__", None) or type(home).__module__
    return lies_in(module, places)


def _builds_modules(value: Any, owner: type | None) -> bool:
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


def _module(admitted: Admitted) -> ModuleType:
    _forget_namesake(admitted.found)
    if admitted.module not in sys.modules:
        importlib.invalidate_caches()  # its file may be new
    with _failing(f"module {admitted.module} cannot be imported"):
        return importlib.import_module(admitted.module)


@contextlib.contextmanager
def _failing(what: str) -> Iterator[None]:
    """Make every exception of a stranger's code, `SystemExit` too, this source's own."""
    try:
        # Some model packages print while they build; standard output is for results.
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise SourceError(f"{what}: {type(error).__name__}: {failed_import(error)}") from error


def _forget_namesake(found: Found) -> None:
    # Two zoos may each bring a module of the same name from a directory of their own.
    loaded = sys.modules.get(found.name)
    file = getattr(loaded, "__file__", None)
    if found.in_directory and file and found.file and Path(file).resolve() != found.file:
        if is_library(Path(file)):
            raise SourceError(
                f"{found.file} has the name of a module that is loaded already, {file}; rename it"
            )
        for name in [name for name in sys.modules if name.partition(".")[0] == found.name]:
            del sys.modules[name]


@contextlib.contextmanager
def _importing(trust: Trust) -> Iterator[None]:
    added = [str(folder) for folder in trust.code]
    sys.path[:0] = added
    try:
        yield
    finally:
        for folder in added:
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)
