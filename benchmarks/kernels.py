"""How fast is every kernel on this machine, beside what the machine could do?

Each case is checked against the float64 definition before it is timed. The bound is the
arithmetic at its peak or the memory at its peak, whichever is longer, by the quickest way.
``zoorank bench`` runs this program.

    python benchmarks/kernels.py --out benchmarks/results
    python benchmarks/kernels.py --metric euclidean --n 20000 --d 128,512 --classes 10,100
    python benchmarks/kernels.py --device cuda --json
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from _cases import OPERATIONS, Case, Measurement, grid, measure
from _limits import GEMM_ROWS, DeviceLimits, Limits, measure_device_limits, measure_limits
from _machine import Machine, measurements_json, this_machine, write_measurements
from _problems import METRICS
from _timing import blas_threads
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from zoorank import build_info
from zoorank.engine.environment import check_choice

QUICK_SIZES = "500", "64", "10"
QUICK_EFFORT = 1e-3
DTYPES = ("float32", "float64")
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


def main(argv=None):
    parser = _parser()
    chosen = parser.parse_args(argv)
    if chosen.quick:
        chosen.n, chosen.d, chosen.classes = QUICK_SIZES
    try:
        wanted = cases(chosen)
        unavailable = build_info()["cuda_unavailable_reason"]
        if chosen.device == "cuda" and unavailable:
            raise ValueError(f"--device cuda: {unavailable}")
    except ValueError as mistake:
        parser.error(str(mistake))
    if chosen.out is not None:
        try:
            chosen.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return f"cannot write results to {chosen.out}: {error.strerror}"
    limits = _limits(chosen)
    found = watched(measure(wanted, limits), len(wanted))
    here = this_machine(limits.name if isinstance(limits, DeviceLimits) else "")
    if chosen.json:
        print(throughput_json(here, limits, found), end="")
    else:
        Console().print(*throughput_tables(here, limits, found), sep="\n")
    if chosen.out is not None:
        written = ", ".join(map(str, write_throughput(chosen.out, here, limits, found)))
        print(f"written: {written}", file=sys.stderr)
    wrong = sum(not measured.correct for measured in found)
    return f"{wrong} of {len(found)} kernels are wrong" if wrong else 0


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="Example: zoorank bench --metric euclidean --n 20000 --d 128,512 --classes 10,100",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--metric", metavar="NAME,...", default=",".join(METRICS), help="default: %(default)s")
    add("--dtype", metavar="NAME,...", default=",".join(DTYPES), help="default: %(default)s")
    add("--n", metavar="N,...", default="4000", help="samples; default: %(default)s")
    add("--d", metavar="D,...", default="64,512,2048", help="features; default: %(default)s")
    add("--classes", metavar="K,...", default="10,1000", help="default: %(default)s")
    add("--threads", metavar="N", type=int, default=1, help="of the engine and of BLAS")
    add("--device", default="cpu", help="cpu, or cuda: the first CUDA device")
    add("--quick", action="store_true", help="one small shape: does it work?")
    add("--json", action="store_true", help="one JSON object in place of tables")
    add("--out", type=Path, metavar="DIR", help="write MACHINE/kernels.csv and .json there")
    return parser


def cases(chosen) -> list[Case]:
    """The grid that the options ask for.

    On a device without distances: what would be measured is their way to the host.
    """
    check_choice(chosen.device, ("cpu", "cuda"), "device")
    if chosen.threads < 1:
        raise ValueError(f"threads must be at least 1, got {chosen.threads}")
    samples, counts = _numbers(chosen.n, "n"), _numbers(chosen.classes, "classes")
    for count in counts:
        if not 2 <= count < min(samples):
            raise ValueError(f"classes {count} is not from 2 to n - 1 = {min(samples) - 1}")
    return grid(
        n=samples,
        d=_numbers(chosen.d, "d"),
        classes=counts,
        metrics=[check_choice(name, METRICS, "metric") for name in chosen.metric.split(",")],
        dtypes=[check_choice(name, DTYPES, "dtype") for name in chosen.dtype.split(",")],
        operations=OPERATIONS if chosen.device == "cpu" else ("silhouette",),
    )


def _numbers(text: str, what: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise ValueError(f"{what} {text!r} is not whole numbers from 1, such as 64,512")
    return numbers


def _limits(chosen) -> Limits | DeviceLimits:
    if chosen.device == "cuda":
        return measure_device_limits(QUICK_EFFORT if chosen.quick else 1.0)
    features = sorted(set(_numbers(chosen.d, "d")))
    with blas_threads(chosen.threads):
        rows = 256 if chosen.quick else GEMM_ROWS
        return measure_limits(features, threads=chosen.threads, gemm_rows=rows)


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
            style="" if measured.correct else "red",
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


if __name__ == "__main__":
    sys.exit(main())
