"""Build the network that a manifest names, from code that is installed or allowed."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from torch import nn

from zoorank.errors import SourceError, UsageError
from zoorank.messages import hint, one_line
from zoorank.sources.code import fingerprint_code
from zoorank.sources.specs import ModelSpec
from zoorank.sources.trust import ALLOW, Found, find_installed

Factory = Callable[..., Any]

_fingerprints: WeakKeyDictionary[ModuleType, dict[tuple[Path, ...], str]] = WeakKeyDictionary()


def build(spec: ModelSpec, arguments: Mapping[str, Any]) -> nn.Module:
    """Call the factory of ``spec`` under its seed, with no weights loaded yet.

    Raises
    ------
    SourceError
        When there is no such factory, it may not be called, or it fails.
    """
    with _importing(spec):
        factory = find_factory(spec)
        with torch.random.fork_rng(), _only_safe_loads():
            torch.manual_seed(spec.weights.init_seed)
            try:
                # Some model packages print while they build; standard output is for results.
                with contextlib.redirect_stdout(io.StringIO()):
                    model = factory(**arguments)
            except Exception as error:
                reason = f"{type(error).__name__}: {one_line(error)}"
                raise SourceError(f"factory {spec.factory} failed: {reason}") from error
    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        raise SourceError(f"factory {spec.factory} returned a {kind}, not a torch.nn.Module")
    return model


def check_code(specs: Sequence[ModelSpec]) -> None:
    """Refuse at once what would refuse every source for one reason; imports nothing.

    Raises
    ------
    UsageError
        When no factory may be imported, and all for the same reason.
    """
    reasons = {_refusal(spec) for spec in specs}
    if len(reasons) == 1 and (reason := reasons.pop()):
        raise UsageError(f"no model of the zoo can be built: {reason}")


def _refusal(spec: ModelSpec) -> str:
    try:
        find_installed(_split(spec.factory)[0], spec.allow_code)
    except SourceError as error:
        return str(error)
    return ""


def code_fingerprint(spec: ModelSpec) -> str:
    """SHA-256 of the code that the factory belongs to, so that edited code is another source.

    It is taken once for a package as imported: what is edited later does not run in this
    process, and must not name its results.
    """
    name = _split(spec.factory)[0]
    with _importing(spec):
        _module(spec, name)
    found = find_installed(name, spec.allow_code)
    package = sys.modules[found.name]
    allowed = spec.allow_code if found.trusted_by_flag else ()
    known = _fingerprints.setdefault(package, {})
    if allowed not in known:
        known[allowed] = fingerprint_code(found, allowed)
    return known[allowed]


def find_factory(spec: ModelSpec) -> Factory:
    """Resolve ``module:function`` to something safe to call.

    A manifest chooses what is called and with which arguments, so among installed
    packages only builders of networks qualify; ``joblib.load`` with a path must not.

    Raises
    ------
    SourceError
        Naming the nearest public name, or why this one is not called.
    """
    module_name, names = _split(spec.factory)
    found = find_installed(module_name, spec.allow_code)
    module = _module(spec, module_name)
    owner: Any = module
    for name in names:
        parent, owner = owner, getattr(owner, name, None)
        if owner is None or isinstance(owner, ModuleType):
            public = [each for each in vars(parent) if each[0] != "_"]
            raise SourceError(
                f"{module_name} has no class or function {name!r}; {hint(name, public)}"
            )
    if not callable(owner):
        raise SourceError(f"factory {spec.factory} is not callable")
    if not found.trusted_by_flag and not _builds_modules(owner):
        raise SourceError(
            f"factory {spec.factory} is neither a torch.nn.Module class, nor a class method of "
            "one, nor a function annotated to return one; wrap it in a file of your own and "
            f"say {ALLOW}"
        )
    return cast("Factory", owner)


def _builds_modules(factory: Any) -> bool:
    owner = getattr(factory, "__self__", None)
    if _is_module_class(factory) or _is_module_class(owner):
        return True
    if not inspect.isfunction(factory):
        return False
    try:
        return _is_module_class(typing.get_type_hints(factory).get("return"))
    except Exception:  # noqa: BLE001 - annotations are that package's code and may raise anything
        return False


def _is_module_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)


def _split(factory: str) -> tuple[str, list[str]]:
    module, _, names = factory.partition(":") if ":" in factory else factory.rpartition(".")
    return module, names.split(".")


def _module(spec: ModelSpec, name: str) -> ModuleType:
    found = find_installed(name, spec.allow_code)
    _forget_namesake(found)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return importlib.import_module(name)
    except Exception as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise SourceError(f"module {name} cannot be imported: {reason}") from error


def _forget_namesake(found: Found) -> None:
    # Two zoos may each bring a module of the same name from a directory of their own.
    loaded = sys.modules.get(found.name)
    file = getattr(loaded, "__file__", None)
    if found.trusted_by_flag and file and found.file and Path(file).resolve() != found.file:
        for name in [name for name in sys.modules if name.partition(".")[0] == found.name]:
            del sys.modules[name]


@contextlib.contextmanager
def _importing(spec: ModelSpec) -> Iterator[None]:
    added = [str(folder) for folder in spec.allow_code]
    sys.path[:0] = added
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for folder in added:
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)


@contextlib.contextmanager
def _only_safe_loads() -> Iterator[None]:
    # A factory may itself call torch.load on a path among its arguments.
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
