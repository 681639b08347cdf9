"""examples/ucr leaves out the network that has seen the target's labels."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from safetensors.torch import save_file

from zoorank.sources.manifest import load_zoo

EXAMPLE = Path(__file__).parents[2] / "examples" / "ucr"

pytest.importorskip("rich", reason="the example draws a table: pip install 'zoorank[cli]'")


@pytest.fixture
def run() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ucr_run", EXAMPLE / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def networks(tmp_path: Path, monkeypatch) -> Path:
    """Two untrained networks and a data set with the name of one."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.delitem(sys.modules, "fcn", raising=False)
    fcn = importlib.import_module("fcn")
    monkeypatch.setenv("ZOORANK_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for folder in ("fcn-zoo", "ucr"):
        (tmp_path / folder).mkdir()
    for name in ("Coffee", "Beef"):
        save_file(fcn.FCN(n_classes=2).state_dict(), tmp_path / f"fcn-zoo/{name}.safetensors")
    X, y = np.random.default_rng(0).normal(size=(12, 20)), np.arange(12) % 2
    np.savez(tmp_path / "ucr" / "Coffee.npz", X_train=X, y_train=y, X_test=X, y_test=y)
    return tmp_path


def test_the_network_of_the_target_is_left_out(run, networks: Path, capsys) -> None:
    assert run.main(["--out", str(networks / "others")]) == 0
    said = capsys.readouterr().out
    assert said.count("left out Coffee, the network trained on the target") == 1
    assert "Beef" in said
    ranking = (networks / "others" / "ranking.csv").read_text()
    assert "Beef" in ranking
    assert "Coffee" not in ranking


def test_it_is_kept_when_asked(run, networks: Path, capsys) -> None:
    assert run.main(["Coffee", "--with-own", "--out", str(networks / "all")]) == 0
    assert "left out" not in capsys.readouterr().out
    ranking = (networks / "all" / "ranking.csv").read_text()
    assert "Beef" in ranking
    noted = [line for line in ranking.splitlines() if "trained on this target" in line]
    assert len(noted) == 3
    assert all("Coffee" in line for line in noted)


def test_a_target_without_a_network_of_its_own_says_nothing(run, networks: Path, capsys) -> None:
    zoo = load_zoo(EXAMPLE / "zoo.toml", allow_code=[EXAMPLE])
    assert run.without(zoo, "Wine").models == zoo.models
    assert capsys.readouterr().out == ""


def test_mistakes_are_one_line(run, networks: Path, capsys) -> None:
    assert run.main(["Cofee"]) == 1
    assert capsys.readouterr().err.strip().startswith("error: data ")


def test_no_data_is_a_skip(run, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("ZOORANK_DATA", str(tmp_path))
    assert run.main([]) == 0
    assert capsys.readouterr().out.startswith("skipped: no fcn-zoo")
