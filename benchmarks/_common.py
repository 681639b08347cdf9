"""What the programs of this directory share: arguments, a plain table, a CSV named by machine."""

import argparse
from pathlib import Path

from zoorank.engine.throughput import this_machine
from zoorank.report.measurements import shown, write_measurements

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
