"""What counts as the code of a model, and what does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zoorank.errors import SourceError
from zoorank.sources.torch import factory
from zoorank.sources.torch.factory import fingerprint_code
from zoorank.sources.trust import Found


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "pkg" / "inner").mkdir(parents=True)
    for name in ("__init__.py", "net.py", "inner/layers.py"):
        (tmp_path / "pkg" / name).write_text(f"# {name}\n")
    return tmp_path / "pkg"


def _of_package(package: Path) -> str:
    return fingerprint_code(Found("pkg", package / "__init__.py", (package,)))


@pytest.mark.parametrize("name", ["__init__.py", "net.py", "inner/layers.py", "inner/new.py"])
def test_every_source_of_a_package_counts(package: Path, name: str) -> None:
    before = _of_package(package)
    (package / name).write_text("edited = True\n")
    assert _of_package(package) != before


def test_a_file_that_moves_counts(package: Path) -> None:
    before = _of_package(package)
    (package / "net.py").rename(package / "nets.py")
    assert _of_package(package) != before


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "__pycache__/x.py",
        ".hidden/x.py",
        ".hidden.py",
        "venv/lib/x.py",
        "../beside.py",
    ],
)
def test_what_is_no_source_of_it_does_not_count(package: Path, name: str) -> None:
    (package / "venv").mkdir()
    (package / "venv" / "pyvenv.cfg").touch()
    before = _of_package(package)
    (package / name).parent.mkdir(parents=True, exist_ok=True)
    (package / name).write_text("other = True\n")
    assert _of_package(package) == before


def test_the_lock_that_an_editor_leaves_and_a_name_of_no_encoding_are_no_fault(package: Path):
    (package / ".#net.py").symlink_to("user@host.1234")
    Path(os.fsdecode(os.fsencode(package) + b"/n\xff.py")).touch()
    assert len(_of_package(package)) == 64


def test_the_same_code_elsewhere_is_the_same(package: Path, tmp_path: Path) -> None:
    before = _of_package(package)
    assert _of_package(package.rename(tmp_path / "moved")) == before


def test_a_single_module_is_its_file(package: Path) -> None:
    found = Found("net", package / "net.py", ())
    before = fingerprint_code(found)
    (package / "__init__.py").write_text("other = True\n")
    assert fingerprint_code(found) == before
    (package / "net.py").write_text("edited = True\n")
    assert fingerprint_code(found) != before


def test_an_allowed_directory_counts_whole(package: Path) -> None:
    found = Found("net", package / "net.py", (), in_directory=True)
    before = fingerprint_code(found, (package,))
    (package / "inner" / "layers.py").write_text("edited = True\n")
    assert fingerprint_code(found, (package,)) != before


def test_a_directory_of_everything_is_refused(package: Path, monkeypatch) -> None:
    monkeypatch.setattr(factory, "_MOST_FILES", 2)
    found = Found("net", package / "net.py", (), in_directory=True)
    with pytest.raises(SourceError, match="holds more than 2 Python files; name the directory"):
        fingerprint_code(found, (package,))
    _of_package(package)  # an installed package may be as large as it is


def test_the_version_of_a_distribution_counts(package: Path, monkeypatch) -> None:
    monkeypatch.setattr(factory, "_distributions_of_packages", lambda: {"pkg": ["the-dist"]})
    seen = set()
    for version in ("1.0", "1.1"):
        monkeypatch.setattr(factory.metadata, "version", lambda _name, version=version: version)
        seen.add(_of_package(package))
    assert len(seen) == 2
