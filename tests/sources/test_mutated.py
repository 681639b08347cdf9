"""Damaged manifests, weights, words, rankings and encodings are refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")
pytest.importorskip("safetensors")

KINDS = ("manifest", "words", "words-binary", "torch", "safetensors", "ranking", "encoding")


def _run(kind: str, seed: int, seconds: float, folder: Path) -> None:
    program = Path(__file__).with_name("mutate.py")
    call = [sys.executable, str(program), kind, str(seed), str(seconds), str(folder)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=seconds + 300, check=False)
    assert done.returncode == 0, (done.stderr[-2000:], (folder / "last").read_bytes().hex()[:4000])
    found = json.loads(done.stdout)
    assert not found["wrong"], found
    assert found["tried"] > 3


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind: str, tmp_path: Path) -> None:
    _run(kind, 0, 0.5, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_ten_minutes_of_damaged_files(kind: str, tmp_path: Path) -> None:
    _run(kind, 1, 600, tmp_path)
