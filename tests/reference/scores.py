"""Scores by their definition: loops, dense covariances and SciPy's optimisers."""

import itertools

import numpy as np
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal, spearmanr
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from tests.reference import silhouettes


def classes_of(labels):
    return [np.asarray(labels) == label for label in np.unique(labels)]


def macro_silhouette(X, labels, metric):
    s = silhouettes.silhouette_samples(X, labels, metric)
    return np.mean([s[members].mean() for members in classes_of(labels)])


def log_evidence(F, y, alpha, beta):
    """ln p(y | F, α, β): y is normal with covariance I/β + FFᵀ/α."""
    covariance = np.eye(len(F)) / beta + F @ F.T / alpha
    return multivariate_normal(np.zeros(len(F)), covariance).logpdf(y)


def maximum_log_evidence(F, y):
    """The evidence at the best of all α and β."""
    return log_evidence(F, y, *best_precisions(F, y))


def best_precisions(F, y, starts=(-3.0, 0.0, 3.0)):
    """The α and β of the largest evidence, found without their fixed point."""

    def loss(logarithms):
        # In the eigenbasis of FFᵀ the covariance is diagonal.
        logarithms = np.clip(logarithms, -60, 60)
        variance = np.exp(-logarithms[1]) + squares * np.exp(-logarithms[0])
        return np.sum(np.log(2 * np.pi * variance) + z**2 / variance) / 2

    squares, U = np.linalg.eigh(F @ F.T)
    squares, z = np.maximum(squares, 0), U.T @ y
    found = [
        minimize(loss, (start, 1.0), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11})
        for start in starts
    ]
    best = min(found, key=lambda result: result.fun)
    return np.exp(np.clip(best.x, -60, 60))


def logme(X, labels):
    F = np.asarray(X, dtype=np.float64)
    targets = [members.astype(float) for members in classes_of(labels)]
    return np.mean([maximum_log_evidence(F, y) for y in targets]) / len(F)


def logme_of_numbers(X, y):
    """Of numbers to predict, at mean 0 and variance 1."""
    F, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    return maximum_log_evidence(F, (y - y.mean()) / y.std()) / len(F)


def hscore(X, labels):
    X = np.asarray(X, dtype=np.float64)
    return np.trace(np.linalg.pinv(_covariance(X), rcond=1e-12) @ _between(X, labels))


def regularised_hscore(X, labels):
    X = np.asarray(X, dtype=np.float64)
    estimate = LedoitWolf().fit(X)
    inverse = np.linalg.inv(estimate.covariance_)
    return np.trace(inverse @ ((1 - estimate.shrinkage_) * _between(X, labels)))


def _covariance(X):
    return np.cov(X, rowvar=False, bias=True)


def _between(X, labels):
    """Covariance of E[f | y]: of the encoding with each row replaced by its class's mean."""
    means = np.empty_like(X)
    for members in classes_of(labels):
        means[members] = X[members].mean(axis=0)
    return _covariance(means)


def leep(theta, labels):
    n, groups = theta.shape
    names = list(np.unique(labels))
    joint = np.zeros((len(names), groups))
    for i, z in itertools.product(range(n), range(groups)):
        joint[names.index(labels[i]), z] += theta[i, z] / n
    total = 0.0
    for i in range(n):
        y = names.index(labels[i])
        total += np.log(
            sum(
                joint[y, z] / joint[:, z].sum() * theta[i, z]
                for z in range(groups)
                if joint[:, z].sum() > 0
            )
        )
    return total / n


def nleep(X, labels):
    X = np.asarray(X, dtype=np.float64)
    centred = X - X.mean(axis=0)
    U, s, _ = np.linalg.svd(centred, full_matrices=False)
    # Signs as scikit-learn fixes them: they move where the mixture starts.
    kept = np.searchsorted(np.cumsum(s**2) / np.sum(s**2), 0.8, side="right") + 1
    P = (U * s)[:, :kept]
    P = P / P.std()
    components = max(2, min(5 * len(np.unique(labels)), len(X) // 2))
    mixture = GaussianMixture(components, random_state=0).fit(P)
    return leep(mixture.predict_proba(P), labels)


def nce(source_labels, labels):
    n = len(labels)
    total = 0.0
    for z in np.unique(source_labels):
        for y in np.unique(labels):
            both = np.sum((source_labels == z) & (labels == y))
            if both:
                total += both / n * np.log(both / np.sum(source_labels == z))
    return total


def gbc(X, labels):
    X = np.asarray(X, dtype=np.float64)
    values, vectors = np.linalg.eigh(_covariance(X))
    order = np.argsort(values)[::-1]
    kept = [i for i in order[:64] if values[i] > 1e-12 * values.max()]
    P = (X - X.mean(axis=0)) @ vectors[:, kept]
    total = 0.0
    for a, b in itertools.permutations(classes_of(labels), 2):
        variance_a, variance_b = P[a].var(axis=0).mean(), P[b].var(axis=0).mean()
        v = (variance_a + variance_b) / 2
        distance = np.sum((P[a].mean(axis=0) - P[b].mean(axis=0)) ** 2) / (8 * v)
        distance += P.shape[1] / 2 * np.log(v / np.sqrt(variance_a * variance_b))
        total += np.exp(-distance)
    return -total


def transrate(X, labels, distortion=1e-4):
    Z = np.asarray(X, dtype=np.float64)
    Z = Z - Z.mean(axis=0)
    Z = Z * np.sqrt(len(Z) / np.trace(Z.T @ Z))

    def rate(part):
        identity = np.eye(part.shape[1])
        return np.linalg.slogdet(identity + part.T @ part / (len(part) * distortion))[1] / 2

    within = sum(members.mean() * rate(Z[members]) for members in classes_of(labels))
    return rate(Z) - within


def standardised(X):
    X = np.asarray(X, dtype=np.float64)
    varying = X.std(axis=0) > 0
    return (X[:, varying] - X[:, varying].mean(axis=0)) / X[:, varying].std(axis=0)


def distances_to_others(X, groups=None):
    """Between standardised rows; infinite within a group, every row its own by default."""
    groups = np.arange(len(X)) if groups is None else np.asarray(groups)
    D = cdist(standardised(X), standardised(X))
    D[groups[:, None] == groups] = np.inf
    return D


def knn(X, labels, groups=None):
    labels = np.asarray(labels)
    return np.mean(labels[distances_to_others(X, groups).argmin(axis=1)] == labels)


def knn_r2(X, y, groups=None):
    D, y = distances_to_others(X, groups), np.asarray(y, dtype=np.float64)
    predicted = []
    for line in D:
        order = np.argsort(line, kind="stable")[:5]
        predicted.append(np.mean(y[order[np.isfinite(line[order])]]))
    return r2(y, predicted)


def r2(y, predicted):
    return 1 - np.sum((y - predicted) ** 2) / np.sum((y - np.mean(y)) ** 2)


def ridge_r2(X, y, fold_of):
    """Ridge regressions whose penalty is α/β at the largest evidence of what they were fit to."""
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    predicted = np.empty(len(y))
    for fold in np.unique(fold_of):
        train, test = fold_of != fold, fold_of == fold
        scaler = StandardScaler().fit(X[train])
        F, target = scaler.transform(X[train]), y[train] - y[train].mean()
        # In units in which the search starts near by.
        alpha, beta = best_precisions(F, target / target.std())
        K = F @ F.T
        ratio = max(alpha / beta, 1e-12 * np.linalg.norm(K, 2))
        weights = F.T @ np.linalg.solve(K + ratio * np.eye(len(K)), target)
        predicted[test] = scaler.transform(X[test]) @ weights + y[train].mean()
    return r2(y, predicted)


def linear_probe(X, labels, groups=None):
    X, labels = np.asarray(X, dtype=np.float64), np.asarray(labels)
    smallest = min(np.sum(labels == label) for label in np.unique(labels))
    count = min(5, max(2, smallest))
    if groups is None:
        folds = StratifiedKFold(count, shuffle=True, random_state=0)
    else:
        count = min(count, len(set(groups)))
        folds = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    right = 0
    for train, test in folds.split(X, labels, groups):
        scaler = StandardScaler().fit(X[train])
        head = LogisticRegression(max_iter=1000).fit(scaler.transform(X[train]), labels[train])
        right += np.sum(head.predict(scaler.transform(X[test])) == labels[test])
    return right / len(X)


def parc(X, labels):
    names = np.unique(labels)
    onehot = (np.asarray(labels)[:, None] == names).astype(float)
    pairs = list(itertools.combinations(range(len(X)), 2))
    of_encodings = [1 - np.corrcoef(X[i], X[j])[0, 1] for i, j in pairs]
    # Two one-hot rows have one of two distances; rounding must not order equal ones.
    of_labels = [round(1 - np.corrcoef(onehot[i], onehot[j])[0, 1], 9) for i, j in pairs]
    return 100 * spearmanr(of_encodings, of_labels).statistic
