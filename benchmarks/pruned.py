"""How much faster than all pairs are exact silhouettes of needed pairs, and is the choice right?

On one thread, in turns, in processor time: all pairs, those that bounds cannot rule out, and the
way that the engine chooses by itself. A few rows of each are compared with the float64 definition.
Classes are ReLU features in correlated directions, whose means differ by `apart` in each feature
before; at 0 there is nothing to rule out.

    python benchmarks/pruned.py
    python benchmarks/pruned.py --rows 200000 --classes 1000    (some ten minutes)
"""

import argparse
import statistics
import time

import numpy as np
from _common import RESULTS, finish
from _problems import TOLERANCE, Problem, definition, largest_error

from zoorank import _core

WAYS = ("all", "needed", "auto")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: does the program work?")
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--classes", type=int, default=200)
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args(argv)
    n, classes = (2000, 20) if chosen.quick else (chosen.rows, chosen.classes)
    rows = [
        compare(relu_features(n, chosen.features, classes, apart), apart, chosen.rounds)
        for apart in (1.0, 0.5, 0.2, 0.0)
    ]
    usual = (n, classes) == (parser.get_default("rows"), parser.get_default("classes"))
    finish(rows, "pruned" if usual else f"pruned_{n}", None if chosen.quick else RESULTS)
    wrong = [row for row in rows if not row["error"] <= TOLERANCE[np.dtype(np.float32)]]
    return f"{len(wrong)} of {len(rows)} are wrong: no time of them counts" if wrong else 0


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


def compare(problem, apart, rounds):
    X, y = problem.X, problem.labels
    n, d = X.shape
    taken = {way: [] for way in WAYS}
    found = {}
    for _ in range(rounds):
        for way in WAYS:
            begin = time.process_time()
            found[way] = _core.exact_silhouettes(X, y, "euclidean", 1, None, "auto", way)
            taken[way].append(time.process_time() - begin)
    seconds = {way: statistics.median(times) for way, times in taken.items()}
    sample = np.linspace(0, n - 1, 16).astype(int)
    expected = definition(problem, sample)
    return {
        "n": n,
        "d": d,
        "classes": int(y.max()) + 1,
        "apart": apart,
        "pairs_needed": found["needed"][1] / (n * (n - 1) / 2),
        **{f"{way}_s": seconds[way] for way in WAYS},
        "speedup_needed": seconds["all"] / seconds["needed"],
        "speedup_auto": seconds["all"] / seconds["auto"],
        "error": max(largest_error(found[way][0], sample, expected) for way in WAYS),
    }


if __name__ == "__main__":
    raise SystemExit(main())
