"""benchmarks/kernels.py: formats, exit codes, mistakes. Never a time."""

import csv
import json
import re
import shlex

import pytest

pytest.importorskip("rich", reason="the program needs rich")
pytest.importorskip("threadpoolctl", reason="the program needs threadpoolctl")

import _cases
import _limits
import kernels
from kernels import main

import zoorank

SMALL = ("--n", "60", "--d", "8", "--classes", "3,4", "--metric", "cosine,euclidean")


@pytest.fixture(autouse=True)
def quick_limits(monkeypatch):
    monkeypatch.setattr(kernels, "GEMM_ROWS", 32)
    monkeypatch.setattr(_limits, "READ_BYTES", 1 << 20)
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
    assert main(["--quick", "--dtype", "float32", "--out", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "multiply-adds, baseline" in captured.out
    assert "manhattan float32" in captured.out
    (table,) = tmp_path.glob("*/kernels.csv")
    assert str(table) in captured.err
    assert len(list(csv.DictReader(table.read_text().splitlines()))) == 4 * 2
    assert json.loads(table.with_suffix(".json").read_text())["kernels"]


def test_a_wrong_kernel_fails_the_command(capsys, monkeypatch):
    right = _cases._run
    monkeypatch.setattr(_cases, "_run", lambda *given: right(*given) + 1)
    assert main([*SMALL, "--dtype", "float64"]) == "6 of 6 kernels are wrong"
    assert "wrong" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--metric", "cosin"],
            "unknown metric 'cosin'; did you mean 'cosine'? allowed: euclidean, ",
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
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_known_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "measure", None)  # not reached
    (tmp_path / "file").touch()
    said = main([*SMALL, "--out", str(tmp_path / "file")])
    assert said == f"cannot write results to {tmp_path / 'file'}: File exists"


@pytest.fixture
def device(monkeypatch):
    """A device that is the host."""
    from zoorank.engine import cuda, environment

    rates = {"bfloat16": 4e12, "float32": 1e12, "float64": 5e11, "copy": 1e12}
    info = {**zoorank.build_info(), "cuda_unavailable_reason": ""}
    monkeypatch.setattr(kernels, "build_info", lambda: info)
    monkeypatch.setattr(_limits, "device_rates", lambda effort: dict(rates))
    monkeypatch.setattr(environment, "device_names", lambda: ["NVIDIA Abacus (9.0)"])
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
    reason = zoorank.build_info()["cuda_unavailable_reason"]
    if not reason:
        pytest.skip("this machine has a usable CUDA device")
    with pytest.raises(SystemExit, match="2"):
        main([*SMALL, "--device", "cuda"])
    assert f"--device cuda: {reason}" in capsys.readouterr().err


def test_a_mistaken_variable_of_the_environment_is_named(capsys, monkeypatch):
    monkeypatch.setenv("ZOORANK_NUM_THREADS", "many")
    with pytest.raises(SystemExit, match="2"):
        main([*SMALL])
    assert "ZOORANK_NUM_THREADS must be a number of at least 1" in capsys.readouterr().err


def test_the_example_of_the_help_is_understood(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    (example,) = re.findall(r"Example: zoorank bench (.*)", capsys.readouterr().out)
    chosen = kernels._parser().parse_args(shlex.split(example))
    assert len(kernels.cases(chosen)) == (2 * 2 + 2) * 2
