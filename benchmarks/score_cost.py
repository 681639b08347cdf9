"""What does each score cost on wide encodings, and is its value right?

One thread, in this process; the median of some runs in processor time, of which other
programs on a busy machine take less than of the wall's. Scores with a closed form are
compared, before they are timed, with that form by singular values in float64.

    python benchmarks/score_cost.py
"""

import math
import sys
import time

import numpy as np
from _common import arguments, finish
from threadpoolctl import threadpool_limits

from zoorank.scores import TABLE

SHAPES = ((1797, 1280, 10), (5000, 1280, 10))  # samples, features, classes
LARGEST_ERROR = 1e-6
SLOW_SECONDS = 5.0  # what takes longer is run once


def main(argv=None):
    chosen = arguments(__doc__, argv)
    rows = []
    for n, d, classes in ((300, 64, 4), (60, 90, 3)) if chosen.quick else SHAPES:
        with threadpool_limits(1, user_api="blas"):
            rows += measured(n, d, classes, chosen.rounds)
    finish(rows, "score_cost", chosen.out)
    wrong = {row["score"] for row in rows if row["error"] and row["error"] > LARGEST_ERROR}
    return f"wrong: {', '.join(sorted(wrong))}" if wrong else 0


def measured(n, d, classes, rounds):
    """A row for each score on encodings, dearest first."""
    X, labels = encoding(n, d, classes)
    right = closed_forms(X.astype(np.float64), labels)
    rows = []
    for score in TABLE:
        if score.needs_head or score.needs_source_data:
            continue
        seconds, value = timed(lambda score=score: score.compute(X, labels).value, rounds)
        error = abs(value / right[score.key] - 1) if score.key in right else None
        rows.append(
            {"score": score.key, "n": n, "d": d, "classes": classes}
            | {"milliseconds": 1e3 * seconds, "error": error}
        )
    return sorted(rows, key=lambda row: -row["milliseconds"])


def timed(call, rounds):
    """Median of the processor time, and what the call returned."""
    spent = []
    while len(spent) < rounds:
        start = time.process_time()
        value = call()
        spent.append(time.process_time() - start)
        if spent[0] > SLOW_SECONDS:
            break
    return float(np.median(spent)), value


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
        "logme": log_evidence(F, member),
        "gbc": overlap(U[:, :64] * s[:64], member),
        "transrate": coding_rates(centred, member),
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


def log_evidence(F, member):
    """The evidence at its maximum over β, searched for over t = α/β."""
    from scipy.optimize import minimize_scalar

    U, s, _ = kept(F)
    n, squares = len(F), s**2
    parts = []
    for y in member.T:
        z = (U.T @ y) ** 2
        outside = max(y @ y - z.sum(), 0.0)

        def loss(logarithm, z=z, outside=outside):
            t = math.exp(logarithm)
            noise = ((z * t / (squares + t)).sum() + outside) / n
            return (n * math.log(2 * math.pi * noise) + np.log1p(squares / t).sum() + n) / 2

        grid = np.linspace(-10, 12, 45)
        near = grid[np.argmin([loss(each) for each in grid])]
        found = minimize_scalar(loss, (near - 0.5, near, near + 0.5), options={"xtol": 1e-12})
        parts.append(-found.fun / n)
    return np.mean(parts)


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
