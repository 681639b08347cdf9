"""What do the scores cost on wide encodings, alone and together, and are their values right?

First each score by itself, on one thread; then those that `rank` computes by default, together,
with one thread and with as many as there are processors, and both again while another program
keeps every core busy. The median of some runs in processor time, of which other programs take
less than of the wall's. How long a computation takes by the wall beside others is for the system
to say. So matrix products on one thread run in turns with the scores, for as much processor time:
what the scores take more by the wall is their own doing. Values are compared, before they are
timed, with what singular values and all distances in float64 say; those computed together have
the bits of those computed alone.

    python benchmarks/score_cost.py
"""

import math
import os
import sys
import time

import numpy as np
from _common import arguments, finish
from threadpoolctl import threadpool_limits
from threads import busy_processes

from zoorank.scores import TABLE, Facts, compute, find_scores

# Samples, features, classes: fewer samples than one thousand are of no interest here.
SHAPES = ((1797, 1280, 10), (5000, 1280, 10))
BY_DEFAULT = find_scores("silhouette:euclidean,logme,hscore,knn,silhouette:cosine")
LARGEST_ERROR = 1e-9
SLOW_SECONDS = 5.0  # what takes longer is run once


def main(argv=None):
    chosen = arguments(__doc__, argv)
    alone, together = [], []
    for n, d, classes in ((300, 64, 4), (60, 90, 3)) if chosen.quick else SHAPES:
        problem = Problem(n, d, classes)
        with threadpool_limits(1, user_api="blas"):
            alone += problem.alone(chosen.rounds)
        together += problem.together(chosen.rounds)
    finish(alone, "score_cost", chosen.out)
    print()
    finish(together, "scores_together", chosen.out)
    wrong = {row["score"] for row in alone if row["error"] and row["error"] > LARGEST_ERROR}
    if not all(row["same bits"] for row in together):
        wrong.add("together")
    return f"wrong: {', '.join(sorted(wrong))}" if wrong else 0


class Problem:
    """An encoding with classes, and with numbers to predict."""

    def __init__(self, n, d, classes):
        self.shape = {"n": n, "d": d, "classes": classes}
        self.X, self.labels = encoding(n, d, classes)
        noise = np.random.default_rng(1).standard_normal(n)
        self.numbers = 20 + self.X @ np.linspace(-1, 1, d) + noise

    def facts(self, task="classes"):
        labels = self.labels if task == "classes" else self.numbers
        return Facts(labels, self.X, task=task)

    def alone(self, rounds):
        """A row for each score of encodings and each of its tasks, dearest first."""
        F = self.X.astype(np.float64)
        right = {
            "classes": closed_forms(F, self.labels),
            "numbers": closed_forms_of_numbers(F, self.numbers),
        }
        rows = []
        for score in TABLE:
            for task in sorted(score.tasks) if score.varies_with_cut else ():
                facts = self.facts(task)
                seconds, _, computed = timed(
                    lambda score=score, facts=facts: compute([score], facts, n_threads=1), rounds
                )
                expected = right[task].get(score.key)
                value = computed.values[score.key].value
                rows.append(
                    {"score": score.key, "task": task, **self.shape}
                    | {"milliseconds": 1e3 * seconds}
                    | {"error": None if expected is None else abs(value / expected - 1)}
                )
        return sorted(rows, key=lambda row: -row["milliseconds"])

    def together(self, rounds):
        """A row for each number of threads, alone and beside a program that is busy."""
        facts, cores = self.facts(), len(os.sched_getaffinity(0))
        one_by_one = {
            score.key: compute([score], facts, n_threads=1).values[score.key]
            for score in BY_DEFAULT
        }
        rows = []
        for busy in (0, cores):
            with busy_processes(busy):
                for threads in sorted({1, cores}):
                    (seconds, wall, products), same = self.beside_products(
                        facts, threads, rounds, one_by_one
                    )
                    rows.append(
                        {"scores": len(BY_DEFAULT), **self.shape}
                        | {"threads": threads, "busy cores": busy}
                        | {"milliseconds": 1e3 * seconds, "wall milliseconds": 1e3 * wall}
                        | {"wall of products": 1e3 * products, "same bits": same}
                    )
        return rows

    def beside_products(self, facts, threads, rounds, one_by_one):
        """Medians of the scores' processor time and wall time and of the products' wall time."""
        spent, same = [], True
        for _ in range(rounds):
            seconds, wall, computed = timed(
                lambda: compute(BY_DEFAULT, facts, n_threads=threads), 1
            )
            same &= computed.values == one_by_one
            spent.append((seconds, wall, wall_of_products(seconds)))
        return np.median(spent, axis=0).tolist(), same


def wall_of_products(seconds):
    """Wall time of matrix products on one thread that take so much processor time."""
    A = np.ones((256, 256))
    with threadpool_limits(1, user_api="blas"):
        begun, wall = time.process_time(), time.perf_counter()
        while time.process_time() - begun < seconds:
            A @ A
        return time.perf_counter() - wall


def timed(call, rounds):
    """Medians of the processor time and of the wall's, and what the call returned."""
    spent = []
    while len(spent) < rounds:
        start, wall = time.process_time(), time.perf_counter()
        value = call()
        spent.append((time.process_time() - start, time.perf_counter() - wall))
        if spent[0][1] > SLOW_SECONDS:
            break
    return *np.median(spent, axis=0).tolist(), value


def encoding(n, d, classes):
    """What networks give: rectified, of falling variance, some features dead."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(n) % classes)
    scale = np.arange(1, d + 1) ** -0.7
    mixing = np.linalg.qr(rng.standard_normal((d, d)))[0]
    latent = (rng.standard_normal((n, d)) + 0.7 * rng.standard_normal((classes, d))[labels]) * scale
    X = np.maximum(latent @ mixing + 0.5 * scale.mean(), 0)
    X[:, rng.random(d) < 0.03] = 0
    return X.astype(np.float32), labels


def closed_forms(F, labels):
    """Scores by singular values of the encoding itself, not of a Gram matrix."""
    n, d = F.shape
    member = np.eye(labels.max() + 1)[labels]
    sizes = member.sum(axis=0)
    centred = F - F.mean(axis=0)
    U, s, _ = kept(centred)
    between = ((member / np.sqrt(sizes)).T @ U) ** 2
    variances = s**2 / n
    shrinkage = ledoit_wolf(centred, variances, d)
    shrunk = (1 - shrinkage) * variances + shrinkage * variances.sum() / d
    return {
        "hscore": between.sum(),
        "regularised_hscore": (1 - shrinkage) * (between.sum(axis=0) * variances / shrunk).sum(),
        "logme": np.mean([evidence for evidence, _ in best_evidences(F, member)]),
        "knn": np.mean(labels[neighbours(F, 1)[:, 0]] == labels),
        "gbc": overlap(U[:, :64] * s[:64], member),
        "transrate": coding_rates(centred, member),
    }


def closed_forms_of_numbers(F, y):
    scaled = ((y - y.mean()) / y.std())[:, None]
    predicted = y[neighbours(F, 5)].mean(axis=1)
    return {
        "logme": best_evidences(F, scaled)[0][0],
        "knn_r2": 1 - np.square(y - predicted).sum() / np.square(y - y.mean()).sum(),
    }


def kept(F):
    U, s, V = np.linalg.svd(F, full_matrices=False)
    rank = int((s > 1e-7 * s[0]).sum())
    return U[:, :rank], s[:rank], V[:rank]


def ledoit_wolf(centred, variances, d):
    n = len(centred)
    spread = (variances**2).sum() - variances.sum() ** 2 / d
    lengths = (centred**2).sum(axis=1)
    return min(1, ((lengths**2).sum() / n - (variances**2).sum()) / n / spread)


def best_evidences(F, targets):
    """The evidence a sample at its maximum over β, searched for over t = α/β, and that t."""
    from scipy.optimize import minimize_scalar

    U, s, _ = kept(F)
    n, squares = len(F), s**2
    found = []
    for y in targets.T:
        z = (U.T @ y) ** 2
        outside = max(y @ y - z.sum(), 0.0)

        def loss(logarithm, z=z, outside=outside):
            t = math.exp(logarithm)
            noise = ((z * t / (squares + t)).sum() + outside) / n
            return (n * math.log(2 * math.pi * noise) + np.log1p(squares / t).sum() + n) / 2

        grid = np.linspace(-10, 12, 45)
        near = grid[np.argmin([loss(each) for each in grid])]
        best = minimize_scalar(loss, (near - 0.5, near, near + 0.5), options={"xtol": 1e-12})
        found.append((-best.fun / n, math.exp(best.x)))
    return found


def neighbours(F, k):
    """The k nearest others of each row, features scaled to equal variance."""
    from scipy.spatial.distance import cdist

    varying = F.std(axis=0) > 0
    Z = (F[:, varying] - F[:, varying].mean(axis=0)) / F[:, varying].std(axis=0)
    D = cdist(Z, Z, "sqeuclidean")
    np.fill_diagonal(D, np.inf)
    return np.argsort(D, axis=1, kind="stable")[:, :k]


def overlap(P, member):
    means = (member / member.sum(axis=0)).T @ P
    variances = [P[rows > 0].var(axis=0).mean() for rows in member.T]
    total = 0.0
    for a, b in np.argwhere(~np.eye(len(means), dtype=bool)):
        v = (variances[a] + variances[b]) / 2
        distance = ((means[a] - means[b]) ** 2).sum() / (8 * v)
        distance += P.shape[1] / 2 * math.log(v / math.sqrt(variances[a] * variances[b]))
        total -= math.exp(-distance)
    return total


def coding_rates(centred, member):
    Z = centred * math.sqrt(len(centred) / (centred**2).sum())

    def rate(part):
        s = np.linalg.svd(part, compute_uv=False)
        return np.log1p(s**2 / (len(part) * 1e-4)).sum() / 2

    within = sum(rows.mean() * rate(Z[rows > 0]) for rows in member.T)
    return rate(Z) - within


if __name__ == "__main__":
    sys.exit(main())
