"""How far off is s where `precision="auto"` takes the matrix unit, on data made to break it?

Hundreds of small problems of rows whose rounding errors do not cancel as those of unrelated
features do, alone and mixed, in classes of 2 to 200. Every sample of every problem is compared
with the float64 definition. Ends with 77 where the instruction set in use has no tiles.

    python benchmarks/tile_errors.py
    python benchmarks/tile_errors.py --problems 200 --seed 5
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from _common import RESULTS, finish, results_of
from _problems import TOLERANCE

from zoorank import _core, build_info

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.engine.problems import KINDS, make

TOLERATED = TOLERANCE[np.dtype(np.float32)]
ROWS = (512, 560, 640)
FEATURES = (32, 33, 48, 64, 100, 160, 256, 513)
MEMBERS = (2, 3, 5, 10, 30, 100, 200)

# Rows of one kind: (rng, rows, features) to a matrix.
OF_ROWS = {
    "normal": lambda rng, n, d: rng.standard_normal((n, d)),
    "ReLU": lambda rng, n, d: np.maximum(rng.standard_normal((n, d)), 0),
    "sparse": lambda rng, n, d: rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.05),
    "constant": lambda rng, n, d: np.repeat(rng.standard_normal((n, 1)), d, axis=1),
    "four values": lambda rng, n, d: np.tile(rng.standard_normal((n, 4)), (1, d // 4 + 1))[:, :d],
    "one feature": lambda rng, n, d: (
        rng.standard_normal((n, d)) * np.where(np.arange(d) == d // 2, 10 ** rng.uniform(0, 4), 1)
    ),
    "low rank": lambda rng, n, d: rng.standard_normal((n, 2)) @ rng.standard_normal((2, d)),
    "nearly one direction": lambda rng, n, d: (
        rng.standard_normal((n, 1)) * rng.standard_normal((1, d))
        + 0.01 * rng.standard_normal((n, d))
    ),
    "heavy tails": lambda rng, n, d: rng.standard_t(1.5, (n, d)),
    "rows of all lengths": lambda rng, n, d: (
        rng.standard_normal((n, d)) * 10 ** rng.uniform(-2, 2, (n, 1))
    ),
}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few problems: does the program work?")
    parser.add_argument("--problems", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(argv)
    if build_info()["instruction_set"] != "amx":
        print("no tiles here: the instruction set in use is not amx")
        return 77
    count = 22 if chosen.quick else chosen.problems
    found: dict[str, list[tuple[bool, float]]] = {}
    for number in range(count):
        rng = np.random.default_rng((chosen.seed, number))
        kind, X, y = draw(rng, number)
        found.setdefault(kind, []).append(measure(X, y))
    rows = [row_of(kind, found[kind]) for kind in sorted(found)]
    rows.append(row_of("all", [each for every in found.values() for each in every]))
    whole = not chosen.quick and results_of(parser, chosen, "problems", "seed")
    finish(rows, "tile_errors", RESULTS if whole else None)
    worst = max(max(row["error_tiles"], row["error_float32"]) for row in rows)
    return 0 if worst <= TOLERATED else f"s is off by {worst:.1e}"


def draw(rng, number):
    """One in four of a kind of the tests, the others of one to three kinds of rows."""
    d = int(rng.choice(FEATURES))
    n = int(rng.choice(ROWS))
    members = int(rng.choice(MEMBERS))
    classes = max(2, n // members)
    if number % 4 == 0:
        kind = tuple(KINDS)[number // 4 % len(KINDS)]
        problem = make(kind, n, d, classes, np.float32, seed=int(rng.integers(2**32)))
        return f"test suite: {kind}", problem.X, problem.labels
    kinds = rng.choice(list(OF_ROWS), size=number % 4, replace=False)
    y = rng.permutation(np.arange(n) % classes)
    X = np.empty((n, d))
    kind_of_row = rng.integers(0, len(kinds), n)
    for i, kind in enumerate(kinds):
        rows = kind_of_row == i
        X[rows] = OF_ROWS[kind](rng, int(rows.sum()), d)
    between = OF_ROWS[str(rng.choice(kinds))](rng, classes, d)
    X += rng.choice([0, 0.3, 1, 3]) * between[y] + rng.choice([0, 0, 1, 30])
    kind = f"rows: {kinds[0]}" if len(kinds) == 1 else f"mixtures of {len(kinds)}"
    return kind, X.astype(np.float32), y


def measure(X, y):
    """Whether tiles were taken, and the largest error of s."""
    samples = {
        precision: _core.exact_silhouettes(X, y, "euclidean", 1, None, precision, "all")[0]
        for precision in ("auto", "bf16x3")
    }
    taken = bool(np.array_equal(samples["auto"], samples["bf16x3"]))
    return taken, float(np.abs(samples["auto"] - definition(X, y)).max())


def definition(X, y):
    """Every sample by its definition: float64, distances from differences."""
    X = X.astype(np.float64)
    size = np.bincount(y)
    sums = np.empty((len(X), len(size)))
    for i, x in enumerate(X):
        difference = X - x
        distances = np.sqrt(np.einsum("ij,ij->i", difference, difference))
        sums[i] = np.bincount(y, weights=distances, minlength=len(size))
    rows = np.arange(len(X))
    a = sums[rows, y] / np.maximum(size[y] - 1, 1)
    means = sums / size
    means[rows, y] = np.inf
    b = means.min(axis=1)
    larger = np.maximum(a, b)
    s = np.divide(b - a, larger, out=np.zeros_like(larger), where=larger > 0)
    return np.where(size[y] == 1, 0.0, s)


def row_of(kind, measured):
    tiles = [error for taken, error in measured if taken]
    vectors = [error for taken, error in measured if not taken]
    return {
        "kind": kind,
        "problems": len(measured),
        "tiles_taken": len(tiles),
        "error_tiles": max(tiles, default=0.0),
        "error_float32": max(vectors, default=0.0),
    }


if __name__ == "__main__":
    sys.exit(main())
