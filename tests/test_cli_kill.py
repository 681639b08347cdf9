"""A run killed in the middle goes on where it was and gives the same table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")
pytest.importorskip("typer", reason="the command line needs typer: pip install 'zoorank[cli]'")

from tests.selection.tiny_zoo import tiny_zoo

from zoorank.selection import Ranking, rank


def start(zoo, out):
    line = ["rank", zoo.manifest, "--allow-code", zoo.code, "--out", out]
    return subprocess.Popen(
        [sys.executable, "-m", "zoorank.cli", *map(str, line)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_resumes(tmp_path, how):
    zoo = tiny_zoo(tmp_path / "zoo", models=3, delay=0.2)
    out = tmp_path / "out"
    process = start(zoo, out)
    wait_for(lambda: sum(name == "net1" for name, _ in zoo.passes()) >= 1)
    os.kill(process.pid, how)
    _, error = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    assert not (out / "ranking.json").exists()
    if how == signal.SIGINT:
        last = error.splitlines()[-1]
        assert last.startswith(f"zoorank: interrupted; encodings made so far are in {out}")
        assert "Traceback" not in error

    before = len(zoo.passes())
    process = start(zoo, out)
    _, error = process.communicate(timeout=60)
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
    leftovers = [path.name for path in out.rglob("*") if path.name.startswith(".")]
    assert leftovers == []
