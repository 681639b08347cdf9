"""Whoever interrupts a run has the table so far."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")

from tests.ranking.race_zoo import RaceZoo, race_zoo
from tests.ranking.tiny_zoo import TinyZoo, tiny_zoo

from zoorank.ranking import ranking as ranking_module
from zoorank.ranking.rank import rank
from zoorank.ranking.ranking import Interrupted
from zoorank.ranking.work import Silent

STATUSES = ("ok", "sampled", "untried")


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


LATE = """__import__("time").sleep(0.3)
        if len(x) > 2:"""
RACERS = {"worse": ("Keep", 0, 1.0), "best": ("Keep", 3, 0.2), "same": ("Keep", 3, 0.2)}
FIRST, ALL = 160, 640


@pytest.fixture
def racers(tmp_path: Path) -> RaceZoo:
    return race_zoo(tmp_path / "zoo", RACERS, n=ALL)


@pytest.mark.parametrize(
    ("after", "ok", "sampled", "untried"),
    [
        (2, set(), {"worse", "best"}, {"same"}),
        (3, set(), {"worse", "best", "same"}, set()),
        (4, {"best"}, {"worse", "same"}, set()),
        (5, {"best", "same"}, {"worse"}, set()),
    ],
)
def test_the_table_so_far_of_a_race(
    racers: RaceZoo, after: int, ok: set[str], sampled: set[str], untried: set[str]
) -> None:
    settings = {"allow_code": racers.code, "store": racers.folder / "store", "race": True}
    with pytest.raises(Interrupted) as caught:
        rank(racers.manifest, progress=Impatient(after), **settings)
    so_far = caught.value.ranking
    rows = {status: [row for row in so_far if row.status == status] for status in STATUSES}
    names = {status: {row.model for row in found} for status, found in rows.items()}
    assert names == {"ok": ok, "sampled": sampled, "untried": untried}
    for row in rows["sampled"]:
        assert (row.rank, row.score, row.rows) == (None, None, FIRST)
        assert row.scores["euclidean"] is not None
        assert "interrupted" in row.note
    assert {row["rows"] for row in so_far.records() if row["status"] == "sampled"} <= {FIRST}
    assert [row.rank for row in rows["ok"]] == [1] * len(ok)
    if not ok:
        assert so_far.verdict.startswith("No source was scored on all rows")
    whole = rank(racers.manifest, **settings)
    assert racers.passes() == {"worse": FIRST, "best": ALL, "same": ALL}
    assert whole.race is not None
    assert whole.race.rounds[-1].models == 2


def test_the_table_so_far_of_a_race_of_few_rows(zoo: TinyZoo, tmp_path: Path) -> None:
    settings = {"allow_code": zoo.code, "store": tmp_path / "store", "race": True}
    with pytest.raises(Interrupted) as caught:
        rank(zoo.manifest, progress=Impatient(2), **settings)
    rows = caught.value.ranking.rows
    assert {row.model for row in rows if row.status == "ok"} == {"net0", "net1"}
    assert {row.model for row in rows if row.status == "untried"} == {"net2", "net3"}


def test_all_of_it_but_the_raw_input(
    zoo: TinyZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("zoorank.ranking.answer.baseline_rows", interrupted)
    with pytest.raises(Interrupted) as caught:
        rank(zoo.manifest, allow_code=zoo.code, store=tmp_path / "store")
    assert {row.model for row in caught.value.ranking} == {f"net{i}" for i in range(4)}
    assert caught.value.ranking.best is not None


def test_all_of_it_but_the_files(
    zoo: TinyZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ranking_module.Ranking, "write", interrupted)
    with pytest.raises(Interrupted) as caught:
        rank(zoo.manifest, allow_code=zoo.code, out=tmp_path / "out")
    assert caught.value.ranking.baseline is not None


def test_before_any_source_there_is_no_table(zoo: TinyZoo, tmp_path: Path) -> None:
    class Never(Silent):
        def started(self, target, models) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        rank(zoo.manifest, allow_code=zoo.code, store=tmp_path, progress=Never())
    assert not isinstance(caught.value, Interrupted)


def interrupted_command(*line: object, when: Callable[[], bool]) -> tuple[str, str]:
    """Interrupt a command at a moment, and give what it showed and its errors."""
    process = subprocess.Popen(
        [sys.executable, "-m", "zoorank.cli", *map(str, line)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 180
    while not when():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    shown, error = process.communicate(timeout=180)
    assert process.returncode == 130
    assert error.splitlines()[-1].startswith("zoorank: interrupted; encodings made so far")
    return shown, error


def test_the_command_prints_it(tmp_path: Path) -> None:
    pytest.importorskip("typer", reason="the command line needs typer")
    pytest.importorskip("psutil", reason="worker processes need psutil")
    zoo = tiny_zoo(tmp_path / "zoo", models=3, delay=0.5)
    shown, _ = interrupted_command(
        *("rank", zoo.manifest, "--allow-code", zoo.code, "--out", tmp_path / "out"),
        when=lambda: any(name == "net1" for name, _ in zoo.passes()),
    )
    assert "net0" in shown
    assert "net2" in shown  # which has not been tried
    assert not (tmp_path / "out" / "ranking.json").exists()


def test_the_command_prints_it_of_a_race(racers: RaceZoo, tmp_path: Path) -> None:
    pytest.importorskip("typer", reason="the command line needs typer")
    pytest.importorskip("psutil", reason="worker processes need psutil")
    code = racers.code / "race_code.py"
    code.write_text(code.read_text().replace("if len(x) > 2:", LATE))
    shown, _ = interrupted_command(
        *("rank", racers.manifest, "--allow-code", racers.code, "--out", tmp_path / "out"),
        "--race",
        when=lambda: racers.passes().get("same", 0) > 0,
    )
    assert "best" in shown
    assert "same" in shown  # which has not been tried
    assert not (tmp_path / "out" / "ranking.json").exists()
