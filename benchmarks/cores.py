"""How much sooner does a ranking end on two cores than on one?

The photos and the three EfficientNet-lite of end_to_end.py: photos are prepared while a network
runs on what was prepared before, and the network itself divides its products. Beside it the passes
alone, in batches of the same size and with memory kept in the same way: what torch gains by a
second thread is the most that a ranking can. Each run is a process of its own that may use so many
cores, with as many threads; one core and two in turns, by the wall. A machine that others use
gives no such figure: the cores a run got, its processor time by the wall, stand beside it. Ends
with 77 on a machine of one core.

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
from end_to_end import network, zoo_of

from zoorank.encoding.costs import MEMORY_KEPT

MOST = 1e-3  # of the spread of encodings: sums are in another order
BATCH = 5  # what a ranking takes at 224 pixels


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
        os.environ.update(MEMORY_KEPT)
        runs = {(way, cores): [] for way in WAYS for cores in (1, 2)}
        for number in range(chosen.rounds):
            for (way, cores), found in runs.items():
                place = f"{folder}/{way} {cores} {number}"
                found.append(in_own_process(child, way, given, place, cores))
    (one, two) = (runs["ranking", cores][0].pop("encodings") for cores in (1, 2))
    difference = np.linalg.norm(two - one) / np.linalg.norm(one - one.mean(axis=0))
    wall = {each: statistics.median(run["wall_s"] for run in found) for each, found in runs.items()}
    rows = [
        {
            "way": way,
            "cores": cores,
            "wall_s": wall[way, cores],
            "processor_s": statistics.median(run["processor_s"] for run in found),
            "cores_got": statistics.median(run["processor_s"] / run["wall_s"] for run in found),
            "times_faster": wall[way, 1] / wall[way, cores],
            "difference": float(difference) if way == "ranking" else None,
        }
        for (way, cores), found in runs.items()
    ]
    finish(rows, "cores", chosen.out)
    return 0 if difference <= MOST else f"encodings differ by {difference:.1e}"


def child(way, given, place, cores):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    import efficientnet_lite_pytorch  # noqa: F401 - imports are not measured
    import scipy.linalg  # noqa: F401
    import torch

    torch.set_num_threads(cores)
    work = WAYS[way](given, Path(place))
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    found = work()
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "processor_s": processor, "encodings": found}


def ranking(given, place):
    from zoorank import load_zoo, rank

    zoo = load_zoo(zoo_of(given, place))

    def work():
        found = rank(zoo, given["folder"], store=place, device="cpu")
        first = next(row for row in found.rows if row.status == "ok" and row.model == "lite0")
        return np.array(found.encoding(first))

    return work


def passes(given, _place):
    import torch

    networks = [
        network(name, file, given["size"]).to(memory_format=torch.channels_last)
        for name, file in given["weights"]
    ]
    batch = torch.ones(BATCH, 3, given["size"], given["size"])
    batches = len(list(Path(given["folder"]).glob("*/*.jpg"))) // BATCH

    def work():
        with torch.inference_mode():
            for each in networks:
                for _ in range(batches):
                    each(batch)

    return work


WAYS = {"ranking": ranking, "passes alone": passes}


if __name__ == "__main__":
    sys.exit(main())
