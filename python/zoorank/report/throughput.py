"""Kernel throughput as a table for people, and as files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from zoorank.engine.throughput import DeviceLimits, Limits, Machine, Measurement
from zoorank.report.measurements import measurements_json, write_measurements
from zoorank.report.table import FAILED

HEADS = (
    "n",
    "d",
    "classes",
    "time\nms",
    "bound\nms",
    "of limit\n%",
    "\nGFLOP/s",
    "gemm\nGFLOP/s",
    "Gpairs/s",
    "error",
)


def watched(
    measuring: Iterable[Measurement], total: int, *, console: Console | None = None
) -> list[Measurement]:
    """All measurements, counted on a terminal's standard error as they come."""
    console = console or Console(stderr=True)
    found: list[Measurement] = []
    with console.status(f"measuring 1 of {total}") as status:
        for measured in measuring:
            found.append(measured)
            status.update(f"measuring {len(found) + 1} of {total}")
    return found


def throughput_tables(
    machine: Machine, limits: Limits | DeviceLimits, measurements: Sequence[Measurement]
) -> Iterator[RenderableType]:
    """Draw the machine, its limits and one table for each operation."""
    if isinstance(limits, DeviceLimits):
        yield Text.assemble((machine.device, "bold"), f": zoorank {machine.zoorank}")
        yield Text()
        yield _device_limits_table(limits)
    else:
        yield Text.assemble(
            (machine.cpu, "bold"),
            f": {machine.instruction_set}, threads: {limits.threads}, zoorank {machine.zoorank}, "
            f"NumPy {machine.numpy} with {machine.blas}",
        )
        yield Text()
        yield _limits_table(limits)
    for operation in dict.fromkeys(measured.case.operation for measured in measurements):
        yield Text()
        yield _kernel_table(
            operation, [found for found in measurements if found.case.operation == operation]
        )
    yield Text()
    if isinstance(limits, DeviceLimits):
        yield Text(
            "Rows lie on the device, labels and results on the host. A product of float32 rows may "
            "be three of bfloat16. Distances are left out: they all go to the host.",
            style="dim",
        )
    yield Text(
        "Checked against the definition before it was timed. The bound is the arithmetic at its "
        "peak or the memory at its peak, whichever is longer, by the quickest way. Flops are "
        "n²d for euclidean and "
        "manhattan silhouettes, each pair once; 2ndK for the others, which need the means of "
        "classes only; 2n²d for distances.",
        style="dim",
    )


def throughput_json(
    machine: Machine, limits: Limits | DeviceLimits, measurements: Sequence[Measurement]
) -> str:
    """All of it as one JSON object: ``machine``, ``limits`` and ``kernels``."""
    return measurements_json(
        machine,
        limits=_limits_json(limits),
        kernels=[measured.row() for measured in measurements],
    )


def write_throughput(
    directory: Path,
    machine: Machine,
    limits: Limits | DeviceLimits,
    measurements: Sequence[Measurement],
) -> tuple[Path, Path]:
    """Write ``kernels.csv`` and ``kernels.json`` into the machine's own directory."""
    rows = [{**measured.row(), "threads": limits.threads} for measured in measurements]
    table = write_measurements(rows, machine, directory, "kernels")
    facts = table.with_suffix(".json")
    facts.write_text(throughput_json(machine, limits, measurements), encoding="utf-8")
    return table, facts


def _limits_json(limits: Limits | DeviceLimits) -> dict[str, object]:
    if isinstance(limits, DeviceLimits):
        return {
            "copy_gb_per_second": limits.read / 1e9,
            "gflops": {name: rate / 1e9 for name, rate in limits.rates.items()},
        }
    return {
        "threads": limits.threads,
        "read_gb_per_second": limits.read / 1e9,
        "multiply_add_gflops": {
            name: _by_dtype(rates) for name, rates in limits.multiply_add.items()
        },
        "bf16x3_gflops": {name: rate / 1e9 for name, rate in limits.bf16x3.items()},
        "gemm_gflops": {str(d): _by_dtype(rates) for d, rates in limits.gemm.items()},
    }


def _device_limits_table(limits: DeviceLimits) -> Table:
    table = _table("limit", "GFLOP/s")
    for name, rate in limits.rates.items():
        what = "products" if name == "bfloat16" else "multiply-adds"
        table.add_row(f"{what}, {name}", _figure(rate / 1e9))
    table.add_row(f"memory: {limits.read / 1e9:.0f} GB/s copied", "")
    return table


def _limits_table(limits: Limits) -> Table:
    table = _table("limit", "float32\nGFLOP/s", "float64\nGFLOP/s")
    for name, rates in limits.multiply_add.items():
        used = " (in use)" if name == limits.instruction_set else ""
        table.add_row(f"multiply-adds, {name}{used}", *(f"{rate / 1e9:.1f}" for rate in rates))
    for name, rate in limits.bf16x3.items():
        table.add_row(f"products as bf16x3, {name}", f"{rate / 1e9:.1f}", "")
    for d, rates in limits.gemm.items():
        table.add_row(f"NumPy gemm, d = {d}", *(f"{rate / 1e9:.1f}" for rate in rates))
    table.add_row(f"memory: {limits.read / 1e9:.1f} GB/s read", "", "")
    return table


def _kernel_table(operation: str, measurements: Sequence[Measurement]) -> Table:
    table = _table(f"{operation}\nmetric", *HEADS)
    for measured in measurements:
        row = measured.row()
        table.add_row(
            f"{measured.case.metric} {measured.case.dtype}",
            str(row["n"]),
            str(row["d"]),
            str(row["classes"] or ""),
            _milliseconds(measured.seconds) if measured.correct else "wrong",
            _milliseconds(measured.bound_seconds),
            _figure(row["limit_percent"]),
            _figure(row["gflops"]),
            _figure(row["gemm_gflops"]),
            _figure(row["gpairs_per_second"]),
            f"{measured.error:.1e}",
            style="" if measured.correct else FAILED,
        )
    return table


def _table(first: str, *heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column(first, no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _milliseconds(seconds: float | None) -> str:
    return _figure(None if seconds is None else 1e3 * seconds)


def _figure(value: object) -> str:
    """Three digits, and no exponent before a million."""
    if not isinstance(value, float):
        return ""
    return f"{value:.0f}" if 100 <= value < 1e6 else f"{value:.3g}"


def _by_dtype(rates: tuple[float, float]) -> dict[str, float]:
    return {"float32": rates[0] / 1e9, "float64": rates[1] / 1e9}
