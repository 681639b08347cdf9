"""How much faster are exact silhouettes of float32 rows on the matrix unit than on vectors?

On one thread, in turns, in processor time: `precision="float32"`, `"bf16x3"` and `"auto"`, which
has to be as quick as the better one. A few rows of each are compared with the float64 definition.
Ends with 77 where the instruction set in use has no tiles.

    python benchmarks/tiles.py
"""

import statistics
import sys
import time

import numpy as np
from _common import arguments, finish
from _limits import measure_limits
from _problems import TOLERANCE, definition, largest_error, make_problem, sample_rows

from zoorank import _core, build_info

FEATURES = (32, 64, 128, 256, 512, 2048)
CLASSES = (10, 100, 1000)
PRECISIONS = ("float32", "bf16x3", "auto")
CHECKED_ROWS = 16


def main(argv=None):
    chosen = arguments(__doc__, argv)
    if build_info()["instruction_set"] != "amx":
        print("no tiles here: the instruction set in use is not amx")
        return 77
    n = 2000 if chosen.quick else 20_000
    peak = measure_limits().bf16x3["amx"]
    rows = [compare(n, d, classes, peak, chosen.rounds) for d in FEATURES for classes in CLASSES]
    finish(rows, "tiles", chosen.out)
    wrong = [row for row in rows if not row["error"] <= TOLERANCE[np.dtype(np.float32)]]
    return f"{len(wrong)} of {len(rows)} are wrong: no time of them counts" if wrong else 0


def compare(n, d, classes, peak, rounds):
    problem = make_problem(n, d, classes)
    taken = {precision: [] for precision in PRECISIONS}
    found = {}
    for _ in range(rounds):
        for precision in PRECISIONS:
            begin = time.process_time()
            found[precision], _ = _core.exact_silhouettes(
                problem.X, problem.labels, "euclidean", 1, None, precision, "all"
            )
            taken[precision].append(time.process_time() - begin)
    seconds = {precision: statistics.median(times) for precision, times in taken.items()}
    rows = sample_rows(problem, CHECKED_ROWS)
    expected = definition(problem, rows)
    return {
        "n": n,
        "d": d,
        "classes": classes,
        **{f"{precision}_s": seconds[precision] for precision in PRECISIONS},
        "speedup": seconds["float32"] / seconds["bf16x3"],
        "speedup_auto": seconds["float32"] / seconds["auto"],
        "auto_takes_tiles": bool(np.array_equal(found["auto"], found["bf16x3"])),
        "gflops": n * n * d / seconds["bf16x3"] / 1e9,
        "peak_share": n * n * d / seconds["bf16x3"] / peak,
        "error": max(largest_error(samples, rows, expected) for samples in found.values()),
    }


if __name__ == "__main__":
    sys.exit(main())
