"""How much sooner does a ranking end on two cores than on one?

80 of the photos of end_to_end.py and one EfficientNet-lite: photos are prepared while the network
runs on what was prepared before, and the network itself divides its products. Each run is a process
of its own that may use so many cores, with as many threads; one core and two in turns, by the wall.
A machine that others use gives no such figure: the cores a run got, its processor time by the
wall, stand beside it. Ends with 77 on a machine of one core.

    python benchmarks/cores.py
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _common import arguments, finish, in_own_process
from _given import photos
from end_to_end import zoo_of

MOST = 1e-3  # of the spread of encodings: sums are in another order
PHOTOS = 80


def main(argv=None):
    chosen = arguments(__doc__, argv)
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: one core")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        given = photos(Path(folder) / "photos", chosen.quick)
        if given is None:
            print("skipped: the networks are not installed")
            return 77
        given |= {"weights": given["weights"][:1]}
        for extra in sorted(Path(given["folder"]).glob("*/*.jpg"))[PHOTOS:]:
            extra.unlink()
        runs = {1: [], 2: []}
        for number in range(chosen.rounds):
            for cores, found in runs.items():
                place = f"{folder}/{cores} {number}"
                found.append(in_own_process(child, given, place, cores))
    (one, two) = (np.asarray(found[0].pop("encodings")) for found in runs.values())
    difference = np.linalg.norm(two - one) / np.linalg.norm(one - one.mean(axis=0))
    wall = {cores: statistics.median(run["wall_s"] for run in runs[cores]) for cores in runs}
    rows = [
        {
            "cores": cores,
            "wall_s": wall[cores],
            "processor_s": statistics.median(run["processor_s"] for run in found),
            "cores_got": statistics.median(run["processor_s"] / run["wall_s"] for run in found),
            "times_faster": wall[1] / wall[cores],
            "difference": float(difference),
        }
        for cores, found in runs.items()
    ]
    finish(rows, "cores", chosen.out)
    return 0 if difference <= MOST else f"encodings differ by {difference:.1e}"


def child(given, place, cores):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    import efficientnet_lite_pytorch  # noqa: F401 - imports are not measured
    import scipy.linalg  # noqa: F401
    import torch

    from zoorank import load_zoo, rank

    torch.set_num_threads(cores)
    zoo = load_zoo(zoo_of(given, Path(place)))
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    ranking = rank(zoo, given["folder"], store=place, device="cpu")
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    (row,) = (row for row in ranking.rows if row.status == "ok")
    return {
        "wall_s": wall,
        "processor_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "encodings": np.array(ranking.encoding(row)),
    }


if __name__ == "__main__":
    sys.exit(main())
