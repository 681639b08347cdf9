"""A command killed at any moment, given again, ends as if nothing had been."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")
pytest.importorskip("typer", reason="the command line needs typer: pip install 'zoorank[cli]'")

import psutil
from tests.ranking.tiny_zoo import TinyZoo, tiny_zoo

from zoorank.ranking import Ranking


def start(zoo: TinyZoo, out: Path) -> subprocess.Popen[str]:
    line = ["rank", zoo.manifest, "--allow-code", zoo.code, "--out", out]
    return subprocess.Popen(
        [sys.executable, "-m", "zoorank.cli", *map(str, line)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def table(out: Path):
    ranking = Ranking.from_json(out / "ranking.json")
    timeless = {"encode_seconds": None, "score_seconds": None, "reused": False}
    return [
        replace(row, facts=replace(row.facts, milliseconds=None, memory=None), **timeless)
        for row in ranking
    ]


def committed(out: Path) -> dict[object, object]:
    """Files of whole encodings, each with its number, which another one would not have.

    And what the ledger holds of their scores, each with the time at which it was recorded.
    """
    store = out / "encodings"
    found: dict[object, object] = {
        path.name: path.stat().st_ino for path in store.glob("[0-9a-f]*.json")
    }
    if (store / "ledger-1.sqlite").exists():
        with closing(sqlite3.connect(store / "ledger-1.sqlite")) as database:
            rows = database.execute("SELECT job, part, content FROM outcomes").fetchall()
        found |= {(job, part): text for job, part, text in rows if "value" in json.loads(text)}
    return found


def kill_and_resume(folder: Path, moments: int, seed: int) -> None:
    zoo = tiny_zoo(folder / "zoo", models=4, delay=0.02, broken=True)
    began = time.monotonic()
    process = start(zoo, folder / "whole")
    _, error = process.communicate(timeout=600)
    assert process.returncode == 0, error
    whole = time.monotonic() - began

    chance = random.Random(seed)
    out = folder / "killed"
    known: dict[str, int] = {}
    for _ in range(moments):
        # The first half of it is the start of Python and its libraries.
        moment = chance.uniform(0.3, 1.1) * whole
        process = start(zoo, out)
        time.sleep(moment)
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        left = psutil.wait_procs(family, timeout=10)[1]
        assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []
        found = committed(out)
        assert {name: found.get(name) for name in known} == known  # nothing was made twice
        known = found
    process = start(zoo, out)
    _, error = process.communicate(timeout=600)
    assert process.returncode == 0, error
    found = committed(out)
    assert {name: found.get(name) for name in known} == known
    assert table(out) == table(folder / "whole")
    assert [path for path in out.rglob("*") if path.name.endswith(".partial")] == []


@pytest.mark.slow
def test_two_moments(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, 2, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 4))
def test_twenty_moments(tmp_path: Path, seed: int) -> None:
    kill_and_resume(tmp_path, 20, seed)
