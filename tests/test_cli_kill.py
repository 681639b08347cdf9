"""A run killed in the middle goes on where it was and gives the same table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")
pytest.importorskip("typer", reason="the command line needs typer: pip install 'zoorank[cli]'")

from tests.ranking.race_zoo import race_zoo
from tests.ranking.tiny_zoo import tiny_zoo

from zoorank.ranking import Ranking
from zoorank.ranking.rank import rank
from zoorank.ranking.rows import CutFacts

# Two cannot be told apart and go on to the last round, which is on all rows.
RACERS = {"worse": ("Keep", 0, 1.0), "best": ("Keep", 3, 0.2), "same": ("Keep", 3, 0.2)}
FIRST, ALL = 160, 640

# Before the pass: a cut network stops at its deepest cut, and nothing after it is reached.
SLOW = """

import time

_forward = Keep.forward


def _late(self, x):
    time.sleep(0.1)
    return _forward(self, x)


Keep.forward = _late
"""


def start(zoo, out, *more):
    line = ["rank", zoo.manifest, "--allow-code", zoo.code, "--out", out, *more]
    return subprocess.Popen(
        [sys.executable, "-m", "zoorank.cli", *map(str, line)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition):
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def leftovers(out):
    """Files that were being written."""
    return [path.name for path in out.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_resumes(tmp_path, how):
    zoo = tiny_zoo(tmp_path / "zoo", models=3, delay=0.2)
    out = tmp_path / "out"
    process = start(zoo, out)
    wait_for(lambda: sum(name == "net1" for name, _ in zoo.passes()) >= 1)
    os.kill(process.pid, how)
    _, error = process.communicate(timeout=180)
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    assert not (out / "ranking.json").exists()
    if how == signal.SIGINT:
        last = error.splitlines()[-1]
        assert last.startswith(f"zoorank: interrupted; encodings made so far are in {out}")
        assert "Traceback" not in error

    before = len(zoo.passes())
    process = start(zoo, out)
    _, error = process.communicate(timeout=180)
    assert process.returncode == 0, error
    again = [name for name, _ in zoo.passes()[before:]]
    assert again == ["net1"] * 3 + ["net2"] * 3
    assert "net0: 2 cuts, 2 from the store" in error

    resumed = Ranking.from_json(out / "ranking.json")
    whole_zoo = tiny_zoo(tmp_path / "whole", models=3)
    whole = rank(whole_zoo.manifest, allow_code=[whole_zoo.code], store=tmp_path / "store")

    def table(ranking):
        return [(row.rank, row.model, row.cut, row.scores, row.per_class) for row in ranking]

    assert table(resumed) == table(whole)
    assert leftovers(out) == []


def test_a_race_that_was_killed_in_its_last_round_goes_on(tmp_path):
    undisturbed = race_zoo(tmp_path / "undisturbed", RACERS, n=ALL)
    whole = rank(
        undisturbed.manifest, allow_code=[undisturbed.code], store=tmp_path / "store", race=True
    )
    zoo = race_zoo(tmp_path / "zoo", RACERS, n=ALL)
    (zoo.code / "race_code.py").write_text((zoo.code / "race_code.py").read_text() + SLOW)
    out = tmp_path / "out"
    process = start(zoo, out, "--race")
    wait_for(lambda: zoo.passes().get("same", 0) > FIRST)
    process.kill()
    process.communicate(timeout=180)
    assert process.returncode == -signal.SIGKILL
    assert not (out / "ranking.json").exists()
    assert leftovers(out)

    before = zoo.passes()
    process = start(zoo, out, "--race")
    _, error = process.communicate(timeout=180)
    assert process.returncode == 0, error
    again = {name: count - before[name] for name, count in zoo.passes().items()}
    assert again == {"worse": 0, "best": 0, "same": ALL - FIRST}

    resumed = Ranking.from_json(out / "ranking.json")
    assert [(each.rows, each.models) for each in whole.race.rounds] == [(FIRST, 3), (ALL, 2)]
    assert resumed.race == whole.race

    def table(ranking):
        # The code of the two zoos differs, and so do the names of what they encode.
        alike = {"encode_seconds": None, "score_seconds": None, "reused": False, "encoding": ""}
        return [replace(row, facts=CutFacts(), **alike) for row in ranking]

    assert table(resumed) == table(whole)
    assert leftovers(out) == []
