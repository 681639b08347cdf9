"""Build the network that a manifest names, from known or allowed code, and hash that code."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import inspect
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import nn

from zoorank.errors import SourceError
from zoorank.messages import failed_import, hint
from zoorank.sources.base import Trust
from zoorank.sources.trust import (
    ALLOW_CODE,
    KNOWN,
    NEVER,
    Admitted,
    Found,
    admit,
    allow_package,
    find_module,
    is_library,
    lies_in,
    no_network,
)

if TYPE_CHECKING:
    from zoorank.sources.torch.source import TorchSource

_MOST_FILES = 10_000

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


class _Imported(NamedTuple):
    """The module of a factory, why it was imported, and where code lies that the user allows."""

    admitted: Admitted
    places: tuple[Path, ...]
    module: ModuleType


def build(spec: TorchSource, arguments: Mapping[str, Any], seed: int = 0) -> nn.Module:
    """Call the factory of ``spec`` under a seed, with no weights loaded yet.

    Raises
    ------
    SourceError
        When there is no such factory, it may not be called, or it fails in any way.
    """
    with _importing(spec.trust):
        factory = find_factory(spec.factory, spec.trust)
        if factory.home == "known":
            from zoorank.sources.torch.known import safe_arguments

            arguments = safe_arguments(factory.build, arguments)
        guard = contextlib.nullcontext() if factory.home == "directory" else no_network()
        with torch.random.fork_rng(), only_safe_loads(), guard:
            torch.manual_seed(seed)
            with _failing(f"factory {spec.factory} failed"):
                model = factory.build(**arguments)
    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        raise SourceError(f"factory {spec.factory} returned a {kind}, not a torch.nn.Module")
    return model


def fingerprint_imported(spec: TorchSource) -> str:
    """SHA-256 of the code that the factory belongs to, so that edited code is another source.

    It is taken once for a package as imported: what is edited later does not run in this
    process, and must not name its results.
    """
    with _importing(spec.trust):
        admitted = _imported(spec.factory, spec.trust).admitted
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
    admitted, places, module = _imported(name, trust)
    if admitted.why == "directory" and not lies_in(admitted.module, trust.code):
        raise SourceError(
            f"module {admitted.module} does not come from a directory of {ALLOW_CODE}, "
            "where its package was found"
        )
    owner, value = _look_up(admitted, module)
    if not callable(value):
        raise SourceError(f"factory {name} is not callable")
    if _is_known(value):
        return Factory(value, "known")
    if admitted.why == "directory" and _is_defined_in(value, owner, trust.code):
        return Factory(value, "directory")
    # Code in a directory of the user's needs none of the lists.
    from zoorank.sources.torch.known import builds_modules

    if builds_modules(value, owner) and _is_defined_in(value, owner, places):
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
                else f"is not in {top}'s list of models; {allow_package(top)}"
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


def _is_known(value: object) -> bool:
    """Tell whether a callable is a class of torch.nn or in a package's list of models."""
    package = str(getattr(value, "__module__", "")).partition(".")[0]
    if not callable(value) or package not in KNOWN:
        return False
    from zoorank.sources.torch.known import known

    return any(value == each for each in known(package).values())


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
        if _is_known(value):
            return True
    home = value if owner is None else owner
    module = getattr(home, "__module__", None) or type(home).__module__
    return lies_in(module, places)


def _imported(name: str, trust: Trust) -> _Imported:
    """Import the module of a factory, once it is known where all lies that the user allows."""
    admitted, places = admit(name, trust), _places(trust)
    _forget_namesake(admitted.found)
    if admitted.module not in sys.modules:
        importlib.invalidate_caches()  # its file may be new
    with _failing(f"module {admitted.module} cannot be imported"):
        return _Imported(admitted, places, importlib.import_module(admitted.module))


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


@contextlib.contextmanager
def only_safe_loads() -> Iterator[None]:
    """Hold every ``torch.load`` of this process to ``weights_only``, whatever it asks for.

    A factory may call it on a path among its arguments, and a library on one that a
    configuration names: earlier versions of timm do so without ``weights_only``.
    """
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


def fingerprint_code(found: Found, allowed: Sequence[Path] = ()) -> str:
    """Hash every Python source that a factory may run as its own.

    Parameters
    ----------
    found : Found
        The package or module of the factory. All of its sources count; for an installed
        distribution its name and version do too, as they stand for what is compiled.
    allowed : sequence of Path
        Directories that code is allowed from. All of their sources count.

    Returns
    -------
    str
        SHA-256 in hexadecimal. Names count as they are within the package or directory,
        so that the same code elsewhere is the same.

    Raises
    ------
    SourceError
        When a source cannot be read, or a directory holds too many to be one of models.
    """
    digest = hashlib.sha256()
    if not found.in_directory:
        digest.update(repr(_distributions(found.name)).encode())
    roots = list(dict.fromkeys([*allowed, *found.folders]))
    try:
        for root in roots:
            for path in _sources(root, limited=root in allowed):
                _add(digest, path.relative_to(root).as_posix(), path)
        if found.file and not any(found.file.is_relative_to(root) for root in roots):
            _add(digest, found.file.name, found.file)
    except OSError as error:
        raise SourceError(f"{error.filename}: {error.strerror}") from None
    return digest.hexdigest()


def _add(digest: hashlib._Hash, name: str, path: Path) -> None:
    digest.update(os.fsencode(name) + b"\0")
    digest.update(hashlib.sha256(path.read_bytes()).digest())


def _sources(root: Path, *, limited: bool) -> Iterator[Path]:
    count = 0
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if _may_hold_sources(Path(folder, name)))
        for name in sorted(names):
            # No import finds a hidden file, such as the lock an editor leaves beside a source.
            if name.endswith(".py") and not name.startswith("."):
                count += 1
                yield Path(folder, name)
        if limited and count > _MOST_FILES:
            raise SourceError(
                f"{root}, which code is allowed from, holds more than {_MOST_FILES:,} Python "
                "files; name the directory that holds the code of the models alone"
            )


def _may_hold_sources(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name == "__pycache__"
    return not hidden and not (folder / "pyvenv.cfg").exists()


def _distributions(name: str) -> list[str]:
    names = _distributions_of_packages().get(name, [])
    return sorted({f"{each}=={metadata.version(each)}" for each in names})


@cache
def _distributions_of_packages() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())
