"""An environment of its own for some extras: what they name, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import zoorank
from zoorank.sources.toml import parse

ROOT = Path(__file__).parents[2]


class Environment:
    """A virtual environment that holds hard links to what is installed here.

    Parameters
    ----------
    folder : Path
        Where to make it.
    extras : iterable of str
        Of this project, as pyproject.toml lists them now.
    others : iterable of str
        Distributions beside them; what these require is left out.
    """

    def __init__(self, folder: Path, extras: Iterable[str], others: Iterable[str] = ()) -> None:
        venv.create(folder, with_pip=False)
        self.python = folder / "bin" / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        site = folder / "lib" / version / "site-packages"
        self.distributions = {*_closure(_of_extras(extras)), *map(canonicalize_name, others)}
        for name in sorted(self.distributions):
            _link(metadata.distribution(name), site)
        # The project itself as it lies here, with the compiled modules wherever they are.
        package = site / "zoorank"
        shutil.copytree(ROOT / "python" / "zoorank", package, copy_function=_hard_link)
        for compiled in {Path(each) for each in zoorank.__path__} - {ROOT / "python" / "zoorank"}:
            for file in compiled.glob("_*.so"):
                _hard_link(file, package / file.name)

    def run(self, *arguments: str, **keys: str) -> subprocess.CompletedProcess[str]:
        """Run its Python."""
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
        return subprocess.run(
            [str(self.python), *arguments],
            env={**kept, "OMP_NUM_THREADS": "1", **keys},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


def _of_extras(extras: Iterable[str]) -> list[Requirement]:
    """What some extras of this project stand for, with those that they name themselves."""
    project = parse((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found, left = [Requirement(each) for each in project["dependencies"]], list(extras)
    seen: set[str] = set()
    while left:
        if (extra := left.pop()) in seen:
            continue
        seen.add(extra)
        for requirement in map(Requirement, project["optional-dependencies"][extra]):
            if requirement.name == "zoorank":
                left += requirement.extras
            else:
                found.append(requirement)
    return found


def _closure(requirements: Iterable[Requirement]) -> set[str]:
    """Names of all distributions that some requirements bring."""
    left = [(each, "") for each in requirements]
    names: set[tuple[str, str]] = set()
    while left:
        requirement, extra = left.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), wanted)
            if key not in names:
                names.add(key)
                further = metadata.requires(requirement.name) or []
                left += [(Requirement(each), wanted) for each in further]
    return {name for name, _ in names}


def _link(distribution: metadata.Distribution, site: Path) -> None:
    for file in _files(distribution):
        place = site / file
        place.parent.mkdir(parents=True, exist_ok=True)
        _hard_link(str(distribution.locate_file(file)), str(place))


def _files(distribution: metadata.Distribution) -> Iterator[str]:
    for file in distribution.files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            yield str(file)


def _hard_link(source: str | Path, place: str | Path) -> None:
    if re.search(r"__pycache__", str(source)) or not Path(source).exists() or Path(place).exists():
        return
    try:
        os.link(source, place)
    except OSError:  # another file system
        shutil.copyfile(source, place)
