"""What does a ranking on a Ray cluster cost beside the models' passes?

500 generated networks, cut twice, on two nodes of this machine with a processor each. Their table
is compared with that of the same zoo in this process, bit for bit, before anything is said.
Processor time is that of this process and of all that it has started, Ray's own processes too,
from the call to its end; the cluster is there before. The passes are those of networks of a few
thousand weights over 400 rows, so that nearly all of it is what is beside them. "here" is the
process that asks, "there" are all others.

    python benchmarks/ray_nodes.py [--quick]
"""

import os
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import torch
from _common import arguments, finish

from zoorank import rank

ALLOWED = 100.0  # milliseconds of processor time a source
LOOK = 0.25  # seconds between two looks at the processes
CODE = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width):
        super().__init__(
            nn.Linear(16, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 5)
        )
"""
HEAD = 'data = "target.npz"\ncuts = ["1", "penultimate"]\npreprocessing = { input = "table" }\n'
MODEL = """
[[model]]
name = "net{i}"
factory = "nets:Net"
arguments = {{ width = {width} }}
weights = {{ random = {{ seed = {i} }} }}
"""


def main(argv=None):
    chosen = arguments(__doc__, argv)
    number = 6 if chosen.quick else 500
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ZOORANK_NUM_THREADS"):
        os.environ[variable] = "1"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_zoo(folder, number)
        here, row = measured("in this process", folder, number)
        rows = [row]
        from ray.cluster_utils import Cluster

        cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=1)
            there, row = measured("two Ray nodes", folder, number, ray=cluster.address)
            rows.append(row)
        finally:
            import ray

            ray.shutdown()
            cluster.shutdown()
    if there != here:
        return "the tables differ"
    finish(rows, "ray_nodes", chosen.out)
    spent = rows[1]["here_milliseconds"] + rows[1]["there_milliseconds"]
    if spent > ALLOWED and not chosen.quick:
        return f"{spent:.0f} ms of processor time a source are more than {ALLOWED:.0f}"
    return 0


def write_zoo(folder, number):
    (folder / "nets.py").write_text(CODE)
    models = (MODEL.format(i=i, width=16 + i % 17) for i in range(number))
    (folder / "zoo.toml").write_text(HEAD + "".join(models))
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 5
    X = rng.normal(size=(400, 16)) + 2 * np.eye(5, 16)[labels]
    np.savez(folder / "target.npz", X=X.astype(np.float32), y=labels)


def measured(case, folder, number, **options):
    """Rank, and give the rows without times and what the ranking took."""
    before, mine, began = family(), own(), time.perf_counter()
    with watched() as seen:
        ranking = rank(
            folder / "zoo.toml",
            store=folder / case.replace(" ", "-"),
            allow_code=[folder],
            batch_size=64,
            **options,
        )
    wall, here = time.perf_counter() - began, own() - mine
    there = sum(each - before.get(pid, 0.0) for pid, each in seen.items())
    each = 1e3 / number
    return table(ranking), {
        "case": case,
        "sources": number,
        "here_milliseconds": each * here,
        "there_milliseconds": each * there,
        "wall_seconds": wall,
    }


@contextmanager
def watched():
    """Processor seconds of all processes below this one, of those too that end on the way.

    Ray ends processes whose work is done, and nobody is told what they took.
    """
    seen, done = {}, threading.Event()

    def look():
        while not done.wait(LOOK):
            seen.update(family())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()
        seen.update(family())


def own():
    times = psutil.Process().cpu_times()
    return times.user + times.system


def family():
    """Processor seconds of the processes below this one."""
    found = {}
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            times = each.cpu_times()
            found[each.pid] = times.user + times.system
    return found


def table(ranking):
    plain = {"encode_seconds": None, "score_seconds": None, "reused": False}
    return [
        replace(row, **plain, facts=replace(row.facts, milliseconds=None, memory=None))
        for row in ranking
    ]


if __name__ == "__main__":
    sys.exit(main())
