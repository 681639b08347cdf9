"""Which library finds the prototypes of IDS: tslearn or aeon?

A prototype is the barycentre of a class under dynamic time warping, ten rounds from the medoid.
Each library that is installed has to agree with the definition in tests/reference, in a process
of its own, before it is timed, on one thread and compiled beforehand. Times are of the processor.

    python benchmarks/ids_libraries.py [--quick]
"""

import os
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from _common import arguments, finish, in_own_process

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

ROUNDS = 10
TOLERANCE = 1e-9


def by_tslearn():
    from tslearn.barycenters import dtw_barycenter_averaging_petitjean
    from tslearn.metrics import cdist_dtw

    def prototype(series):
        medoid = (cdist_dtw(series[:, :, None]) ** 2).sum(axis=0).argmin()
        return dtw_barycenter_averaging_petitjean(
            series[:, :, None], init_barycenter=series[medoid][:, None], max_iter=ROUNDS
        )[:, 0]

    return prototype


def by_aeon():
    from aeon.clustering.averaging import petitjean_barycenter_average
    from aeon.distances import dtw_pairwise_distance

    def prototype(series):
        medoid = dtw_pairwise_distance(series).sum(axis=0).argmin()
        return petitjean_barycenter_average(
            series, init_barycenter=series[medoid], max_iters=ROUNDS, n_jobs=1
        )[0]

    return prototype


LIBRARIES = {"tslearn": by_tslearn, "aeon": by_aeon}


def problem(n, length):
    """Series of mean 0 and variance 1: smooth noise, each warped a little."""
    rng = np.random.default_rng(n)
    steps = np.linspace(0, 1, length)
    shape = np.cumsum(rng.standard_normal(length))
    warps = steps + 0.03 * np.sin(2 * np.pi * (steps + rng.uniform(0, 1, (n, 1))))
    series = np.stack([np.interp(warp, steps, shape) for warp in warps])
    series += 0.05 * series.std() * rng.standard_normal(series.shape)
    return (series - series.mean(axis=1, keepdims=True)) / series.std(axis=1, keepdims=True)


def measure(name, sizes, rounds):
    """Rows of one library, or why it is left out."""
    warnings.simplefilter("ignore")  # both warn when they are imported
    os.environ["NUMBA_NUM_THREADS"] = "1"  # aeon's rounds take all there are
    start = time.process_time()
    try:
        prototype = LIBRARIES[name]()
    except ImportError as error:
        return f"without {name}: {error}"
    importing = time.process_time() - start
    start = time.process_time()
    error = largest_error(prototype)
    compiling = time.process_time() - start
    rows = []
    for n, length in sizes:
        series = problem(n, length)
        seconds = [seconds_of(prototype, series) for _ in range(rounds)]
        rows.append(
            {
                "library": name,
                "series": n,
                "length": length,
                "seconds": statistics.median(seconds),
                "error": error,
                "import_seconds": importing,
                "compile_seconds": compiling,
            }
        )
    return rows


def largest_error(prototype):
    from tests.reference.series import barycentre

    series = problem(6, 25)
    return np.abs(prototype(series) - barycentre(series[:, :, None], ROUNDS)[:, 0]).max()


def seconds_of(prototype, series):
    start = time.process_time()
    prototype(series)
    return time.process_time() - start


def main(argv=None):
    chosen = arguments(__doc__, argv)
    sizes = [(10, 40)] if chosen.quick else [(20, 128), (50, 300), (100, 500)]
    found = [in_own_process(measure, name, sizes, chosen.rounds) for name in LIBRARIES]
    for missing in (each for each in found if isinstance(each, str)):
        print(missing)
    rows = [row for each in found if not isinstance(each, str) for row in each]
    if not rows:
        return "neither library is installed"
    finish(rows, "ids_libraries", chosen.out)
    wrong = {row["library"] for row in rows if not row["error"] <= TOLERANCE}
    return f"wrong: {', '.join(sorted(wrong))}: no time of them counts" if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
