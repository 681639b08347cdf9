"""What the programs of this directory share: arguments, a plain table, a CSV named by machine."""

import argparse
import multiprocessing
from pathlib import Path

from _machine import shown, this_machine, write_measurements

RESULTS = Path(__file__).with_name("results")


def arguments(description, argv=None):
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: does the program work?")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"default: {RESULTS}, or nowhere after --quick"
    )
    parser.add_argument("--rounds", type=int, default=5, help="runs whose median is taken")
    chosen = parser.parse_args(argv)
    if chosen.out is None and not chosen.quick:
        chosen.out = RESULTS
    return chosen


def results_of(parser, chosen, *options):
    """Where results belong: nowhere when an option has cut down what is measured."""
    whole = all(getattr(chosen, option) == parser.get_default(option) for option in options)
    return RESULTS if whole else None


def finish(rows, name, out):
    """Print the rows and write them where they belong."""
    print_table(rows)
    if out is not None:
        print(f"\nWritten: {write_measurements(rows, this_machine(), out, name)}")


def print_table(rows):
    cells = [list(rows[0]), *([shown(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def in_own_process(work, *args):
    # Spawned: a fork would inherit memory, and thread pools without their threads.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, args)


def peak_extra_mb(call):
    """Most memory that a call holds beyond what this process held before; None if unknown."""
    before = resident("VmRSS")
    if before is None:
        return None
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    call()
    return (resident("VmHWM") - before) / 1e6


def resident(field):
    """A line of what Linux knows about this process's memory, in bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), None)
