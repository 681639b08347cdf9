"""What gpu_speed and gpu_torch share: the problems, the bound, the table, the command line."""

import argparse
import csv
import math
import statistics
import time
import traceback
from pathlib import Path

from _limits import device_rates

import zoorank
from zoorank.engine import environment

FIELDS = (
    "card", "question", "n", "d", "classes", "kernel", "seconds", "bound_seconds", "share_of_bound",
    "tera_operations_per_second", "error", "note",
)  # fmt: skip
ALLOWED = 5e-6
NOTHING_TO_RUN_ON = 77

# The two problems of the table; --quick takes small ones, to see whether the program works.
SIZES = ((100_000, 768, 100), (1_000_000, 512, 1000))
QUICK_SIZES = ((500, 96, 10), (800, 64, 30))


class CannotRunError(Exception):
    """Why a part has nothing to run on."""


class Bench:
    """One device, its bound, and where rows go."""

    def __init__(self, out, quick=False):
        self.out = out
        self.sizes = QUICK_SIZES if quick else SIZES
        self.shrink = 50 if quick else 1
        self.effort = 1e-3 if quick else 1.0
        self.card = environment.device_names()[0]
        self.wrong = 0
        self.broken = []
        self._limits = None

    @property
    def limits(self):
        if self._limits is None:
            self._limits = dict.fromkeys(("bfloat16", "float32", "float64", "copy"), math.nan)
            self._limits = device_rates(self.effort)
        return self._limits

    def bound(self, n, d):
        return 3 * n * n * d / self.limits["bfloat16"]

    def row(self, question, **values):
        """Print a row, and append it to the table at once: whatever stops the rest leaves it."""
        error = values.get("error", "")
        self.wrong += error != "" and not error <= ALLOWED
        row = {"card": self.card, "question": question, **values}
        shown = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
        print(
            "  ".join(f"{k}={v}" for k, v in shown.items() if v != "" and k != "card"), flush=True
        )
        if self.out is None:
            return
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / "gpu_check.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            table = csv.DictWriter(file, FIELDS, restval="", lineterminator="\n")
            if new:
                table.writeheader()
            table.writerow(shown)

    def timed(self, question, seconds, n, d, classes, **values):
        bound = self.bound(n, d)
        self.row(
            question, n=n, d=d, classes=classes, seconds=seconds, bound_seconds=bound,
            share_of_bound=bound / seconds, tera_operations_per_second=n * n * d / seconds / 1e12,
            **values,
        )  # fmt: skip


def median(work, runs, *, wait=lambda: None):
    """Of some runs; what is to be loaded first has been used before."""
    times = []
    for _ in range(runs):
        wait()
        begin = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def runs(name, part, bench):
    """Whether a part had something to run on. One that breaks leaves the others their turn."""
    try:
        part(bench)
    except CannotRunError as reason:
        print(f"{name}: {reason}")
        return False
    except Exception:  # noqa: BLE001  a GPU may be there once
        traceback.print_exc()
        bench.broken.append(name)
    return True


def run(description, parts, argv=None):
    """Run the parts named on the command line; the status of the program."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(parts)}; all")
    parser.add_argument("--out", type=Path, metavar="DIR", help="append to gpu_check.csv there")
    parser.add_argument("--quick", action="store_true", help="small: does the program work?")
    chosen = parser.parse_args(argv)
    if unknown := set(chosen.parts) - set(parts):
        parser.error(f"unknown part {unknown.pop()!r}; valid: {', '.join(parts)}")
    if reason := zoorank.build_info()["cuda_unavailable_reason"]:
        print(f"nothing to measure: {reason}")
        return NOTHING_TO_RUN_ON
    bench = Bench(chosen.out, chosen.quick)
    ran = [name for name in chosen.parts or parts if runs(name, parts[name], bench)]
    if bench.broken:
        return f"{', '.join(bench.broken)} broke; {bench.wrong} wrong elsewhere"
    if bench.wrong:
        return f"{bench.wrong} wrong: no time of them counts"
    if not ran:
        return NOTHING_TO_RUN_ON
    print(f"{bench.card}: nothing wrong in {', '.join(ran)}")
    return 0
