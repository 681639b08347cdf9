"""Measurements as CSV and JSON."""

import csv
import io
import json

import pytest

pytest.importorskip("threadpoolctl", reason="the benchmarks need threadpoolctl")

from _cases import Case, Measurement
from _limits import Limits
from _machine import Machine, measurements_csv, write_measurements
from kernels import throughput_json, throughput_tables, write_throughput

MACHINE = Machine(
    cpu="Foo 9, fast",
    instruction_set="avx9",
    processors=2,
    system="Linux",
    python="3.11",
    numpy="2",
    blas="openblas",
    zoorank="0.1",
    compiler="gcc",
)
LIMITS = Limits(
    threads=1,
    multiply_add={"avx9": (4e9, 2e9)},
    gemm={8: (3e9, 1.5e9)},
    read=1e9,
    instruction_set="avx9",
)


def measurement(error=1e-7, seconds=1e-3):
    return Measurement(
        case=Case("silhouette", "euclidean", "float32", 100, 8, 5),
        error=error,
        tolerance=5e-6,
        seconds=seconds,
        flops=8e4,
        pairs=4950.0,
        bound_seconds=2e-5,
        gemm_flops=3e9,
    )


def test_csv_has_the_machine_in_every_row():
    text = measurements_csv([{"a": 1, "b": 0.123456789}, {"a": 2, "b": None}], MACHINE)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["a"] for row in rows] == ["1", "2"]
    assert [row["b"] for row in rows] == ["0.12346", ""]
    assert {row["cpu"] for row in rows} == {"Foo 9, fast"}
    assert text.endswith("\n")


def test_csv_refuses_rows_of_different_columns():
    with pytest.raises(ValueError, match="columns differ: b and a"):
        measurements_csv([{"a": 1}, {"b": 1}], MACHINE)
    assert measurements_csv([], MACHINE) == ""


def test_files_are_named_by_machine(tmp_path):
    path = write_measurements([{"a": 1}], MACHINE, tmp_path, "exact")
    assert path == tmp_path / "foo-9-fast-avx9" / "exact.csv"
    table, facts = write_throughput(tmp_path, MACHINE, LIMITS, [measurement()])
    (row,) = csv.DictReader(io.StringIO(table.read_text()))
    assert row["metric"] == "euclidean"
    assert float(row["gflops"]) == pytest.approx(0.08)
    assert row["threads"] == "1"
    assert json.loads(facts.read_text())["machine"]["cpu"] == "Foo 9, fast"


def test_json_holds_machine_limits_and_kernels():
    found = json.loads(throughput_json(MACHINE, LIMITS, [measurement(seconds=None, error=1.0)]))
    assert found["limits"]["multiply_add_gflops"] == {"avx9": {"float32": 4.0, "float64": 2.0}}
    assert found["limits"]["gemm_gflops"]["8"]["float64"] == 1.5
    assert found["limits"]["read_gb_per_second"] == 1.0
    (kernel,) = found["kernels"]
    assert kernel["seconds"] is None
    assert kernel["classes"] == 5


def test_an_error_that_is_no_number_is_no_json_number():
    found = json.loads(throughput_json(MACHINE, LIMITS, [measurement(float("nan"), None)]))
    assert found["kernels"][0]["error"] is None


def test_the_table_shows_a_wrong_kernel_as_wrong():
    from rich.console import Console

    console = Console(width=160, file=io.StringIO())
    found = [measurement(), measurement(error=0.5, seconds=None)]
    console.print(*throughput_tables(MACHINE, LIMITS, found), sep="\n")
    text = console.file.getvalue()
    right, wrong = [line for line in text.splitlines() if "euclidean float32" in line]
    cells = "euclidean float32 100 8 5 1 0.02 2 0.08 3 0.00495 1.0e-07"
    assert right.split() == cells.split()
    assert "wrong" in wrong
    assert "5.0e-01" in wrong
    assert "avx9 (in use)" in text
