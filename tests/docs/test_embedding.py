"""docs/embedding.md shows the files that are tested, and names what exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
HEADERS = ROOT / "csrc" / "include" / "zoorank"


@pytest.mark.parametrize("name", ["CMakeLists.txt", "main.cpp", "main.c"])
def test_the_files_shown_are_the_files_tested(name):
    shown = re.search(
        rf"^`{re.escape(name)}`:\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE
    )
    assert shown is not None
    assert shown[1] == (ROOT / "tests" / "consumer" / name).read_text(encoding="utf-8")


def test_every_header_that_is_installed_and_has_functions_is_listed():
    listed = set(re.findall(r"^\| `(\w+\.hpp)` \|", PAGE, re.MULTILINE))
    with_functions = {
        path.name for path in HEADERS.glob("*.hpp") if "ZOORANK_API" in path.read_text()
    } - {"export.hpp"}
    assert listed == with_functions


def test_the_options_listed_are_those_of_cmake():
    listed = set(re.findall(r"^\| `(ZOORANK_\w+)` \|", PAGE, re.MULTILINE))
    files = [ROOT / "CMakeLists.txt", *(ROOT / "cmake").glob("*.cmake")]
    cmake = "\n".join(path.read_text() for path in files)
    assert listed
    assert all(re.search(rf"(option|set)\({option}\b", cmake) for option in listed)


def test_the_status_codes_listed_are_those_of_the_header():
    header = (HEADERS / "zoorank.h").read_text()
    enumeration = header[: header.index("} zoorank_status;")]
    codes = set(re.findall(r"^ +(ZOORANK_[A-Z_]+) = ", enumeration, re.MULTILINE)) - {"ZOORANK_OK"}
    assert codes == set(re.findall(r"`(ZOORANK_[A-Z_]+)` \|$", PAGE, re.MULTILINE))
