"""The versions of Python that the package names are those that the README says were tried."""

import re
import sys
from pathlib import Path

import pytest

if sys.version_info < (3, 11):
    tomllib = pytest.importorskip("tomli")
else:
    import tomllib

ROOT = Path(__file__).parents[2]


def test_every_place_names_the_same_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = [
        int(each.rpartition(".")[2])
        for each in project["project"]["classifiers"]
        if each.startswith("Programming Language :: Python :: 3.")
    ]
    assert named == list(range(named[0], named[-1] + 1))
    readme = (ROOT / "README.md").read_text()
    assert re.findall(r"under 3\.(\d+) to 3\.(\d+)", readme) == [(str(named[0]), str(named[-1]))]
    assert project["project"]["requires-python"] == f">=3.{named[0]}"
    assert project["tool"]["mypy"]["python_version"] == f"3.{named[0]}"
    assert f"Python 3.{named[0]} or newer" in (ROOT / "CONTRIBUTING.md").read_text()


def test_the_version_is_that_of_the_changelog_and_the_citation():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] in (version, "Unreleased")
    assert version in headings
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    asked = re.findall(r"find_package\(zoorank ([\d.]+)", (ROOT / "docs/embedding.md").read_text())
    assert asked == [version.rpartition(".")[0]]


def test_hooks_of_commits_have_the_versions_of_the_constraints():
    pinned = re.findall(r"^([\w-]+==[\d.]+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    for name in ("ruff", "clang-format", "check-jsonschema"):
        (pin,) = (each for each in pinned if each.startswith(f"{name}=="))
        assert f"[{pin}]" in hooks
        assert len(re.findall(rf"\[{name}==[\d.]+\]", hooks)) == hooks.count(pin)
