"""Does a file larger than the memory allowed give the answer of rows in memory?

Writes a .npy of the size asked for into the temporary directory, estimates its score in a process
whose address space is limited, then in one that loads it whole, and compares.

    python benchmarks/estimator_memory.py [--gigabytes 8] [--limit 3] [--skip-in-memory]
"""

import argparse
import multiprocessing
import resource
import tempfile
from pathlib import Path

import numpy as np
from _common import RESULTS, finish, in_own_process

import zoorank

FEATURES, CLASSES = 512, 100


def write(path, gigabytes):
    rng = np.random.default_rng(0)
    n = int(gigabytes * 1e9 / (4 * FEATURES))
    centres = 0.5 * rng.standard_normal((CLASSES, FEATURES), np.float32)
    X = np.lib.format.open_memmap(path, "w+", np.float32, (n, FEATURES))
    y = rng.integers(0, CLASSES, n)
    noise = rng.standard_normal((60_000, FEATURES), np.float32)
    for i in range(0, n, 50_000):
        own = y[i : i + 50_000]
        shift = rng.integers(0, 10_000)
        X[i : i + 50_000] = noise[shift : shift + len(own)] + centres[own]
    return y


def limited(path, y, gigabytes):
    limit = int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return zoorank.silhouette(path, y, method="estimate", random_state=0)


def in_memory(path, y):
    return zoorank.silhouette(np.load(path), y, method="estimate", random_state=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=8)
    parser.add_argument("--limit", type=float, default=3, help="gigabytes of address space")
    parser.add_argument("--skip-in-memory", action="store_true")
    arguments = parser.parse_args()
    multiprocessing.set_start_method("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encodings.npy"
        y = write(path, arguments.gigabytes)
        results = {
            f"{arguments.limit:g} GB of address space": in_own_process(
                limited, path, y, arguments.limit
            )
        }
        if not arguments.skip_in_memory:
            results["in memory"] = in_own_process(in_memory, path, y)
    rows = [
        {
            "where": where,
            "GB": arguments.gigabytes,
            "n": result.n_samples,
            "score": result.score,
            "half width": result.half_width,
            "rows": result.rows_evaluated,
            "seconds": result.seconds,
        }
        for where, result in results.items()
    ]
    finish(rows, "estimator_memory", RESULTS)
    scores = [row["score"] for row in rows]
    if max(scores) - min(scores) > 5e-6:
        raise SystemExit("the answers differ")


if __name__ == "__main__":
    main()
