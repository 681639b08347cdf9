"""What the base install, which has numpy alone, can do and say."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ["torch", "faiss", "rich", "typer", "pydantic", "sklearn", "pandas", "safetensors", "PIL"]


def python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


def without(*modules):
    """Code that makes modules look as if they were not installed."""
    return f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {modules!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def test_import_loads_numpy_and_the_engine_alone():
    done = python("import json, sys, zoorank; print(json.dumps(sorted(sys.modules)))")
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "numpy" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_the_library_works_without_any_extra():
    code = without(*HEAVY) + (
        "import zoorank; print(zoorank.silhouette_score([[0.], [1.], [9.]], [0, 0, 1]))\n"
        "print(zoorank.Ranking.__name__)"
    )
    done = python(code)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines()[1] == "Ranking"


def test_every_public_name_exists():
    pytest.importorskip("torch")
    import zoorank

    assert all(getattr(zoorank, name) is not None for name in zoorank.__all__)
    assert dir(zoorank) == sorted(zoorank.__all__)
    with pytest.raises(AttributeError, match="'zoorank' has no attribute 'rnak'"):
        zoorank.rnak  # noqa: B018


@pytest.mark.parametrize(
    ("absent", "line", "message"),
    [
        ("typer", ["--help"], "zoorank: this needs typer: pip install 'zoorank[cli]'\n"),
        ("rich", ["info"], "zoorank: this needs rich: pip install 'zoorank[cli]'\n"),
        (
            "pydantic",
            ["cuts", "a.toml"],
            "zoorank: this needs pydantic: pip install 'zoorank[manifest]'\n",
        ),
    ],
)
def test_a_missing_extra_is_one_line_with_the_command(absent, line, message):
    if absent != "typer":
        pytest.importorskip("typer")
    done = python(without(absent) + "from zoorank.cli import main; sys.exit(main())", *line)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == message


def test_help_loads_nothing_heavy():
    pytest.importorskip("typer")
    code = (
        "import sys; from zoorank.cli import main; main(['rank', '--help'])\n"
        "print(sorted({'torch', 'safetensors', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    assert python(code).stdout.splitlines()[-1] == "[]"
