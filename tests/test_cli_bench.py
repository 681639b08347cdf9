"""``zoorank bench``: formats, exit codes, mistakes. Never a time."""

import csv
import json

import pytest

pytest.importorskip("typer", reason="the command line needs typer: pip install 'zoorank[cli]'")

from zoorank.cli import main
from zoorank.engine.throughput import kernels

SMALL = ("bench", "--n", "60", "--d", "8", "--classes", "3,4", "--metric", "cosine,euclidean")


@pytest.fixture(autouse=True)
def quick_limits(monkeypatch):
    from zoorank.cli import bench
    from zoorank.engine.throughput import limits

    monkeypatch.setattr(bench, "GEMM_ROWS", 32)
    monkeypatch.setattr(limits, "READ_BYTES", 1 << 20)
    monkeypatch.setenv("COLUMNS", "160")


def test_json_has_every_case(capsys):
    assert main([*SMALL, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"machine", "limits", "kernels"}
    assert len(found["kernels"]) == 2 * 2 * (2 + 1)
    assert all(row["seconds"] > 0 and row["gflops"] > 0 for row in found["kernels"])
    assert all(row["error"] <= row["tolerance"] for row in found["kernels"])
    assert list(found["limits"]["gemm_gflops"]) == ["8"]


def test_table_and_files(capsys, tmp_path):
    assert main(["bench", "--quick", "--dtype", "float32", "--out", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "multiply-adds, baseline" in captured.out
    assert "manhattan float32" in captured.out
    (table,) = tmp_path.glob("*/kernels.csv")
    assert str(table) in captured.err
    assert len(list(csv.DictReader(table.read_text().splitlines()))) == 4 * 2
    assert json.loads(table.with_suffix(".json").read_text())["kernels"]


def test_a_wrong_kernel_fails_the_command(capsys, monkeypatch):
    right = kernels._run
    monkeypatch.setattr(kernels, "_run", lambda *given: right(*given) + 1)
    assert main([*SMALL, "--dtype", "float64"]) == 1
    captured = capsys.readouterr()
    assert "6 of 6 kernels are wrong" in captured.err
    assert "wrong" in captured.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "cosin"], "unknown metric 'cosin'; valid: euclidean, cosine"),
        (["--dtype", "float16"], "unknown dtype 'float16'; valid: float32, float64"),
        (["--n", "x"], "n 'x' is not whole numbers from 1, such as 64,512"),
        (["--d", "64,0"], "d '64,0' is not whole numbers from 1"),
        (["--n", "100", "--classes", "2,100"], "classes 100 is not from 2 to n - 1 = 99"),
        (["--classes", "1"], "classes 1 is not from 2"),
    ],
)
def test_mistakes_are_named(arguments, message, capsys):
    assert main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
