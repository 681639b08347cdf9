"""How much faster than all pairs are exact silhouettes of needed pairs, and is the choice right?

In turns, in processor time: all pairs, those that bounds cannot rule out, and the way that the
engine chooses by itself; where there is a matrix unit, on vectors and then with precision "auto".
A few rows of each are compared with the float64 definition. Classes are ReLU features in correlated
directions, whose means differ by `apart` in each feature before; at 0 there is nothing to rule out.
`--encodings` takes those of real images by EfficientNet-lite0 instead.

    python benchmarks/pruned.py
    python benchmarks/pruned.py --rows 200000 --classes 1000 --rounds 1    (half an hour)
    python benchmarks/pruned.py --encodings fashion
    python benchmarks/pruned.py --rows 1000000 --classes 1000 --features 512 --apart 0.5 --rounds 1
        --threads 2 --ways needed --precisions auto
"""

import argparse
import gzip
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from _common import RESULTS, finish
from _problems import TOLERANCE, Problem, definition, largest_error

from zoorank import _core, build_info

WAYS = ("all", "needed", "auto")
APART = (1.0, 0.5, 0.2, 0.0)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: does the program work?")
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--classes", type=int, default=200)
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--apart", type=float, nargs="+", default=APART)
    parser.add_argument("--encodings", choices=("fashion", "animals"))
    parser.add_argument("--precisions", nargs="+", choices=("float32", "auto"), default=())
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args(argv)
    n, classes = (2000, 20) if chosen.quick else (chosen.rows, chosen.classes)
    both = ("float32", "auto") if build_info()["instruction_set"] == "amx" else ("auto",)
    rows = []
    for apart in [None] if chosen.encodings else chosen.apart:
        if apart is None:
            problem = encodings_of(chosen.encodings)
        else:
            problem = relu_features(n, chosen.features, classes, apart)
        rows += [
            {"apart": apart, **compare(problem, each, chosen)} for each in chosen.precisions or both
        ]
    usual = (n, classes) == (parser.get_default("rows"), parser.get_default("classes"))
    name = chosen.encodings or ("" if usual else str(n))
    finish(rows, f"pruned_{name}" if name else "pruned", None if chosen.quick else RESULTS)
    wrong = [row for row in rows if not row["error"] <= TOLERANCE[np.dtype(np.float32)]]
    return f"{len(wrong)} of {len(rows)} are wrong: no time of them counts" if wrong else 0


def encodings_of(name):
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from _estimator_data import _images
    from tests.targets.real import animals, fashion

    if name == "animals":
        images, labels = animals()
        labels = np.unique(labels, return_inverse=True)[1]
    else:
        parts = [
            (_idx(fashion() / f"{part}-images-idx3-ubyte.gz", 16), _idx(file, 8))
            for part in ("train", "t10k")
            for file in [fashion() / f"{part}-labels-idx1-ubyte.gz"]
        ]
        images = np.concatenate([each for each, _ in parts])
        labels = np.concatenate([each for _, each in parts]).astype(np.int64)
    X, y = _images(name, images.reshape(-1, 28, 28), labels)
    return Problem(X, np.asarray(y, np.int64))


def _idx(path, head):
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=head)


def relu_features(n, d, classes, apart, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, d))
    y = rng.permutation(np.resize(np.arange(classes), n))
    mix = rng.normal(size=(d, d)) * np.arange(1, d + 1) ** -0.6
    X = np.empty((n, d), np.float32)
    for i in range(0, n, 20_000):
        own = y[i : i + 20_000]
        noise = rng.normal(size=(len(own), d)) @ mix.T
        X[i : i + 20_000] = np.maximum(centres[own] * apart + 0.4 * noise, 0)
    return Problem(X, y)


def compare(problem, precision, chosen):
    X, y = problem.X, problem.labels
    n, d = X.shape
    taken = {way: [] for way in chosen.ways}
    elapsed = {way: [] for way in chosen.ways}
    found = {}
    for _ in range(chosen.rounds):
        for way in chosen.ways:
            begin, wall = time.process_time(), time.perf_counter()
            found[way] = _core.exact_silhouettes(
                X, y, "euclidean", chosen.threads, None, precision, way
            )
            taken[way].append(time.process_time() - begin)
            elapsed[way].append(time.perf_counter() - wall)
    seconds = {way: statistics.median(taken[way]) if way in taken else None for way in WAYS}
    sample = np.linspace(0, n - 1, 16).astype(int)
    expected = definition(problem, sample)
    return {
        "n": n,
        "d": d,
        "classes": int(y.max()) + 1,
        "precision": precision,
        "threads": chosen.threads,
        "pairs_needed": found["needed"][1] / (n * (n - 1) / 2) if "needed" in found else None,
        "auto_needs": found["auto"][1] / (n * (n - 1) / 2) if "auto" in found else None,
        **{f"{way}_s": seconds[way] for way in WAYS},
        "needed_wall_s": statistics.median(elapsed["needed"]) if "needed" in elapsed else None,
        "speedup_needed": ratio(seconds["all"], seconds["needed"]),
        "speedup_auto": ratio(seconds["all"], seconds["auto"]),
        "load": os.getloadavg()[0],
        "error": max(largest_error(samples, sample, expected) for samples, _ in found.values()),
    }


def ratio(a, b):
    return None if a is None or b is None else a / b


if __name__ == "__main__":
    raise SystemExit(main())
