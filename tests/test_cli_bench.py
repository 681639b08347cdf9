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
        (
            ["--metric", "cosin"],
            "unknown metric 'cosin'; did you mean 'cosine'? allowed: euclidean, cosine",
        ),
        (
            ["--dtype", "float16"],
            "unknown dtype 'float16'; did you mean 'float64'? allowed: float32, float64",
        ),
        (["--n", "x"], "n 'x' is not whole numbers from 1, such as 64,512"),
        (["--d", "64,0"], "d '64,0' is not whole numbers from 1"),
        (["--n", "100", "--classes", "2,100"], "classes 100 is not from 2 to n - 1 = 99"),
        (["--classes", "1"], "classes 1 is not from 2"),
        (["--device", "gpu"], "unknown device 'gpu'; did you mean 'cpu'? allowed: cpu, cuda"),
    ],
)
def test_mistakes_are_named(arguments, message, capsys):
    assert main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_place_that_cannot_be_written_is_known_before_the_work(capsys, tmp_path, monkeypatch):
    from zoorank.cli import bench

    monkeypatch.setattr(bench, "run", None)  # not reached
    (tmp_path / "file").touch()
    assert main([*SMALL, "--out", str(tmp_path / "file")]) == 1
    assert f"cannot write results to {tmp_path / 'file'}: " in capsys.readouterr().err


@pytest.fixture
def device(monkeypatch):
    """A device that is the host."""
    from zoorank.cli import bench
    from zoorank.engine import cuda

    rates = {"bfloat16": 4e12, "float32": 1e12, "float64": 5e11, "copy": 1e12}
    monkeypatch.setattr(bench, "build_info", lambda: {"cuda_unavailable_reason": ""})
    monkeypatch.setattr(cuda, "measure_limits", lambda effort: dict(rates))
    monkeypatch.setattr(cuda, "device_names", lambda: ["NVIDIA Abacus (9.0)"])
    monkeypatch.setattr(cuda, "to_device", lambda X: X)


def test_a_device_is_held_against_its_own_limits(capsys, device, tmp_path):
    assert main([*SMALL, "--device", "cuda", "--json", "--out", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["device"] == "NVIDIA Abacus (9.0)"
    assert found["limits"]["gflops"]["bfloat16"] == 4000
    assert found["limits"]["copy_gb_per_second"] == 1000
    assert {row["operation"] for row in found["kernels"]} == {"silhouette"}
    bounds = {(row["metric"], row["dtype"]): row["bound_seconds"] for row in found["kernels"]}
    assert bounds["euclidean", "float32"] == pytest.approx(3 * 60**2 * 8 / 4e12)
    assert bounds["euclidean", "float64"] == pytest.approx(60**2 * 8 / 5e11)
    (table,) = tmp_path.glob("nvidia-abacus-9-0/kernels.csv")
    assert {row["device"] for row in csv.DictReader(table.read_text().splitlines())} == {
        "NVIDIA Abacus (9.0)"
    }


def test_the_table_of_a_device_says_what_is_left_out(capsys, device):
    assert main([*SMALL, "--device", "cuda"]) == 0
    shown = capsys.readouterr().out
    assert "products, bfloat16" in shown
    assert "Distances are left out" in shown


def test_without_a_device_the_reason_is_given(capsys):
    import zoorank

    reason = zoorank.build_info()["cuda_unavailable_reason"]
    if not reason:
        pytest.skip("this machine has a usable CUDA device")
    assert main([*SMALL, "--device", "cuda"]) == 2
    assert f"--device cuda: {reason}" in capsys.readouterr().err
