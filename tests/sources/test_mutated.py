"""Damaged manifests, weights, networks, words, rankings and stores are refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")
pytest.importorskip("safetensors")

from tests.sources.mutants import NEEDS, NETWORKS

KINDS = (
    *("manifest", "words", "words-binary", "words-packed", "torch", "safetensors"),
    *("ranking", "record", "encoding", "ledger", "store", "store-json"),
)
# A process each, for their libraries take long to load.
GROUPS = sorted({NEEDS[kind] for kind in NETWORKS})


def _run(kinds: str, seed: int, seconds: float, folder: Path) -> None:
    program = Path(__file__).with_name("mutate.py")
    call = [sys.executable, str(program), kinds, str(seed), str(seconds), str(folder)]
    limit = (seconds + 120) * (1 + kinds.count(",")) + 180
    done = subprocess.run(call, capture_output=True, text=True, timeout=limit, check=False)
    lasts = {path.parent.name: path.read_bytes().hex()[:4000] for path in folder.glob("*/last")}
    assert done.returncode == 0, (done.stderr[-2000:], lasts)
    for kind, found in json.loads(done.stdout.splitlines()[-1]).items():
        assert not found["wrong"], (kind, found)
        assert found["tried"] > 3


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind: str, tmp_path: Path) -> None:
    _run(kind, 0, 0.5, tmp_path)


@pytest.mark.parametrize("library", GROUPS)
def test_damaged_networks(library: str, tmp_path: Path) -> None:
    if library:
        pytest.importorskip(library)
    _run(",".join(kind for kind in NETWORKS if NEEDS[kind] == library), 0, 0.5, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("kind", [*KINDS, *NETWORKS])
def test_ten_minutes_of_damaged_files(kind: str, tmp_path: Path) -> None:
    if library := NEEDS.get(kind):
        pytest.importorskip(library)
    _run(kind, 1, 600, tmp_path)
