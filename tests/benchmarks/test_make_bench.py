"""`make bench` runs all programs, skips what the machine lacks, and stops at a failure."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make_bench(folder, *statuses):
    """`make bench` in an environment that is ready, with programs that end so."""
    for stamp in ("tools", "core", "test"):
        path = folder / "venv" / "stamps" / stamp
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    for number, status in enumerate(statuses):
        program = f"import sys; print('ran', {number}, flush=True); sys.exit({status})"
        (folder / f"program{number}.py").write_text(program)
    programs = " ".join(str(folder / f"program{number}.py") for number in range(len(statuses)))
    return subprocess.run(
        ["make", "-s", "-C", ROOT, "bench", f"VENV={folder / 'venv'}", f"BENCHMARKS={programs}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_the_machine_lacks_is_skipped_by_name(tmp_path):
    run = make_bench(tmp_path, 0, 77, 0)
    assert run.returncode == 0, run.stderr
    lines = [line for line in run.stdout.splitlines() if line.startswith(("ran", "skipped"))]
    assert lines == ["ran 0", "ran 1", f"skipped: {tmp_path / 'program1.py'}", "ran 2"]


def test_a_failure_stops_the_rest(tmp_path):
    run = make_bench(tmp_path, 0, 1, 0)
    assert run.returncode != 0
    assert "ran 1" in run.stdout
    assert "ran 2" not in run.stdout


def test_modules_that_programs_share_are_not_programs():
    listed = subprocess.run(
        ["make", "-s", "-C", ROOT, "-n", "bench"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert "benchmarks/peers.py" in listed
    assert "_common.py" not in listed
