"""Damaged files of every kind are refused in one line: no other exception, crash, hang or flood."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.targets.mutate import KINDS

NEEDS = {"parquet": "pyarrow", "state": "datasets", "sound": "soundfile"}


def _run(kind: str, seed: int, seconds: float, folder: Path) -> None:
    pytest.importorskip(NEEDS.get(kind.partition("-")[0], "numpy"))
    program = Path(__file__).with_name("mutate.py")
    call = [sys.executable, str(program), kind, str(seed), str(seconds), str(folder)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=seconds + 120, check=False)
    assert done.returncode == 0, (done.stderr[-2000:], (folder / "last").read_bytes().hex()[:4000])
    found = json.loads(done.stdout)
    assert not found["wrong"], found
    assert found["tried"] > 3
    assert found["refused"] > 0 or "-" in kind


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind: str, tmp_path: Path) -> None:
    _run(kind, 0, 0.5, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_ten_minutes_of_damaged_files(kind: str, tmp_path: Path) -> None:
    _run(kind, 1, 600, tmp_path)
