"""Dynamic time warping and its barycentres by their definition: tables and loops."""

import numpy as np


def standardise(series):
    """Each row of mean 0 and variance 1."""
    series = np.asarray(series, dtype=np.float64)
    return (series - series.mean(axis=-1, keepdims=True)) / series.std(axis=-1, keepdims=True)


def cheapest_path(x, y):
    """Cost of the best alignment of (length, variables) series, and its steps."""
    cost = np.full((len(x) + 1, len(y) + 1), np.inf)
    cost[0, 0] = 0
    for i, j in np.ndindex(len(x), len(y)):
        before = min(cost[i, j], cost[i, j + 1], cost[i + 1, j])
        cost[i + 1, j + 1] = before + np.sum((x[i] - y[j]) ** 2)
    steps = [(len(x), len(y))]
    while steps[-1] != (1, 1):
        i, j = steps[-1]
        steps.append(min([(i - 1, j - 1), (i - 1, j), (i, j - 1)], key=lambda at: cost[at]))
    return cost[-1, -1], [(i - 1, j - 1) for i, j in reversed(steps)]


def dtw(x, y):
    return np.sqrt(cheapest_path(x, y)[0])


def barycentre(series, rounds=10):
    """DBA from the medoid: every point becomes the mean of what is aligned with it."""
    spread = [sum(cheapest_path(x, y)[0] for y in series) for x in series]
    centre = series[int(np.argmin(spread))]
    for _ in range(rounds):
        aligned = [[] for _ in centre]
        for x in series:
            for i, j in cheapest_path(centre, x)[1]:
                aligned[i].append(x[j])
        centre = np.array([np.mean(points, axis=0) for points in aligned])
    return centre


def prototypes(X, labels, rounds=10):
    """A barycentre for each class of (n, length) series."""
    X = standardise(X)[:, :, None]
    return [barycentre(X[labels == label], rounds) for label in np.unique(labels)]


def inter_dataset_distance(X, labels, X_source, labels_source):
    return min(
        dtw(p, q) for p in prototypes(X, labels) for q in prototypes(X_source, labels_source)
    )
