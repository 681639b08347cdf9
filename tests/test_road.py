"""One ranking can be followed: it travels through few files of the package, in few hops."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the network is one of torch")

ROAD = Path(__file__).parents[1] / "tools" / "road.py"
MOST_FILES, MOST_HOPS = 45, 130


def road() -> tuple[int, int]:
    # Of one thread, as benchmarks ask for, other files are on the road.
    free = {name: each for name, each in os.environ.items() if "NUM_THREADS" not in name}
    call = [sys.executable, str(ROAD)]
    done = subprocess.run(call, env=free, capture_output=True, text=True, check=True, timeout=180)
    files, _, hops, _ = done.stdout.split()
    return int(files), int(hops)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one thread then computes every score")
def test_a_ranking_takes_a_short_road() -> None:
    # Which scores the thread that asks computes is a matter of chance: it may try again.
    for _ in range(3):
        files, hops = road()
        if files <= MOST_FILES and hops <= MOST_HOPS:
            break
    assert 20 < files <= MOST_FILES  # fewer than twenty: nothing was counted
    assert 50 < hops <= MOST_HOPS
