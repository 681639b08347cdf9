"""Whoever interrupts a run has the table so far."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")

from tests.ranking.tiny_zoo import TinyZoo, tiny_zoo

from zoorank.ranking import rank
from zoorank.ranking.strategy import Interrupted
from zoorank.ranking.work import Silent


class Impatient(Silent):
    """Interrupts when so many sources are done."""

    def __init__(self, after: int) -> None:
        self.left = after

    def finished(self, model, rows) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.fixture
def zoo(tmp_path: Path) -> TinyZoo:
    return tiny_zoo(tmp_path / "zoo", models=4)


@pytest.mark.parametrize("budget", [None, 600.0])
def test_the_table_so_far(zoo: TinyZoo, tmp_path: Path, budget: float | None) -> None:
    settings = {"allow_code": zoo.code, "store": tmp_path / "store", "budget": budget}
    with pytest.raises(Interrupted) as caught:
        rank(zoo.manifest, progress=Impatient(2), **settings)
    so_far = caught.value.ranking
    done = {row.model: row for row in so_far if row.status == "ok"}
    assert len(done) == 2
    assert so_far.best is not None
    assert so_far.best.rank == 1
    assert {row.model for row in so_far if row.status == "untried"} == {
        f"net{i}" for i in range(4)
    } - set(done)
    before = len(zoo.passes())
    whole = rank(zoo.manifest, **{**settings, "budget": None})
    assert len([row for row in whole if row.status == "ok"]) == 8
    assert {name for name, _ in zoo.passes()[before:]}.isdisjoint(done)


def test_before_any_source_there_is_no_table(zoo: TinyZoo, tmp_path: Path) -> None:
    class Never(Silent):
        def started(self, target, models) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        rank(zoo.manifest, allow_code=zoo.code, store=tmp_path, progress=Never())
    assert not isinstance(caught.value, Interrupted)


def test_the_command_prints_it(tmp_path: Path) -> None:
    pytest.importorskip("typer", reason="the command line needs typer")
    pytest.importorskip("psutil", reason="worker processes need psutil")
    zoo = tiny_zoo(tmp_path / "zoo", models=3, delay=0.5)
    line = ["rank", zoo.manifest, "--allow-code", zoo.code, "--out", tmp_path / "out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "zoorank.cli", *map(str, line)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 180
    while not any(name == "net1" for name, _ in zoo.passes()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    shown, error = process.communicate(timeout=180)
    assert process.returncode == 130
    assert "net0" in shown
    assert "net2" in shown  # which has not been tried
    assert error.splitlines()[-1].startswith("zoorank: interrupted; encodings made so far")
    assert not (tmp_path / "out" / "ranking.json").exists()
