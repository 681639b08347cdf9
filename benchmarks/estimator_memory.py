"""Does a file larger than the memory allowed give the answer of rows in memory?

Writes .npy files of the size asked for into the temporary directory (or into a folder, where they
are kept), estimates their score in a process whose address space is limited, then in one that loads
them whole, and compares. Where they are too large for that, the first file alone is loaded: all are
of one kind, so that its score is near that of all.

    python benchmarks/estimator_memory.py [--gigabytes 8] [--limit 3]
    python benchmarks/estimator_memory.py --gigabytes 20 --limit 4 --shards 5 --first-in-memory
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


def write(paths, gigabytes):
    """Write the rows, but for files that are there already; their labels."""
    rng = np.random.default_rng(0)
    rows = int(gigabytes * 1e9 / (4 * FEATURES)) // len(paths)
    centres = 0.5 * rng.standard_normal((CLASSES, FEATURES), np.float32)
    noise = rng.standard_normal((60_000, FEATURES), np.float32)
    y = rng.integers(0, CLASSES, (len(paths), rows))
    for path, labels in zip(paths, y, strict=True):
        shifts = rng.integers(0, 10_000, rows)
        if path.exists():
            continue
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (rows, FEATURES)}
            np.lib.format.write_array_header_1_0(file, header)
            for i in range(0, rows, 50_000):
                own = labels[i : i + 50_000]
                (noise[shifts[i] : shifts[i] + len(own)] + centres[own]).tofile(file)
        part.rename(path)
    return y.ravel()


def limited(paths, y, gigabytes):
    limit = int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return zoorank.silhouette(paths, y, method="estimate", random_state=0)


def in_memory(paths, y):
    X = np.concatenate([np.load(path) for path in paths]) if len(paths) > 1 else np.load(paths[0])
    return zoorank.silhouette(X, y, method="estimate", random_state=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=8)
    parser.add_argument("--limit", type=float, default=3, help="gigabytes of address space")
    parser.add_argument("--shards", type=int, default=1, help="files that the rows lie in")
    parser.add_argument("--first-in-memory", action="store_true", help="load the first file alone")
    parser.add_argument("--folder", type=Path, help="where the files are, or are left")
    arguments = parser.parse_args()
    multiprocessing.set_start_method("spawn")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        paths = [folder / f"encodings-{i}.npy" for i in range(arguments.shards)]
        y = write(paths, arguments.gigabytes)
        where = f"{arguments.limit:g} GB of address space"
        results = {where: in_own_process(limited, paths, y, arguments.limit)}
        if arguments.first_in_memory:
            own = y[: len(y) // arguments.shards]
            results["first file in memory"] = in_own_process(in_memory, paths[:1], own)
        else:
            results["in memory"] = in_own_process(in_memory, paths, y)
    rows = [
        {
            "where": where,
            "GB": 4e-9 * FEATURES * result.n_samples,
            "files": arguments.shards,
            "n": result.n_samples,
            "score": result.score,
            "half width": result.half_width,
            "rows": result.rows_evaluated,
            "seconds": result.seconds,
        }
        for where, result in results.items()
    ]
    name = "estimator_shards" if arguments.first_in_memory else "estimator_memory"
    finish(rows, name, RESULTS)
    scores = [row["score"] for row in rows]
    if max(scores) - min(scores) > (1e-3 if arguments.first_in_memory else 5e-6):
        raise SystemExit("the answers differ")


if __name__ == "__main__":
    main()
