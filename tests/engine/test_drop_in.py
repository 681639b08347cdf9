"""In the place of scikit-learn's silhouettes: its own tests, sparse matrices, its metrics."""

import sys
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
import sklearn.metrics
from sklearn.metrics.cluster.tests import test_unsupervised as its_tests
from sklearn.metrics.pairwise import _VALID_METRICS
from tests.reference import silhouettes as reference

import zoorank
from zoorank.engine import drop_in

RNG = np.random.default_rng(0)
CODES = RNG.permutation(np.repeat(np.arange(6), [1, 2, 30, 30, 40, 47]))
TOPICS = RNG.random((6, 90)) < 0.15
COUNTS = RNG.poisson(1 + 4 * TOPICS[CODES]) * (RNG.random((150, 90)) < 0.1 + 0.2 * TOPICS[CODES])
COUNTS[[3, 70, 71]] = 0
COUNTS[10] = COUNTS[11]
WEIGHTS = COUNTS * RNG.lognormal(size=90)
FORMATS = ("csr", "csc", "coo", "lil", "dok")
METRICS = reference.VECTOR_METRICS


@pytest.fixture
def no_dense_copy(monkeypatch):
    """Small matrices go the way of large ones, in several blocks."""
    monkeypatch.setattr(drop_in, "_SMALL_COPY", 0)
    monkeypatch.setattr(drop_in, "_DENSE_ENOUGH", 0)
    monkeypatch.setattr(drop_in, "_BLOCK", 1 << 15)
    monkeypatch.setattr(drop_in, "_SUBTRACTED", 1 << 10)


def its_silhouette_tests():
    """scikit-learn's own tests of silhouettes, a case for each of their parameters."""
    for name, function in vars(its_tests).items():
        if name.startswith("test_silhouette") or name in (
            "test_cluster_size_1",
            "test_correct_labelsize",
            "test_non_encoded_labels",
            "test_non_numpy_labels",
        ):
            cases = [{}]
            for mark in getattr(function, "pytestmark", []):
                names, values = mark.args
                cases = [{**case, names: value} for case in cases for value in values]
            for case in cases:
                words = [getattr(value, "__name__", value) for value in case.values()]
                yield pytest.param(function, case, id="-".join(map(str, [name, *words])))


def with_ours(function, case, monkeypatch):
    monkeypatch.setattr(its_tests, "silhouette_samples", zoorank.silhouette_samples)
    monkeypatch.setattr(its_tests, "silhouette_score", zoorank.silhouette_score)
    function(**case)


@pytest.mark.parametrize(("function", "case"), list(its_silhouette_tests()))
def test_its_own_tests_pass(function, case, monkeypatch):
    with_ours(function, case, monkeypatch)


# One of its tests compares float32 rows to 1e-7, and without a copy they are computed in float64.
@pytest.mark.parametrize(
    ("function", "case"),
    [
        each
        for each in its_silhouette_tests()
        if "sparse" in each.id or "test_silhouette-" in each.id
        if "samples_euclidean_sparse" not in each.id
    ],
)
@pytest.mark.usefixtures("no_dense_copy")
def test_its_own_tests_pass_without_a_dense_copy(function, case, monkeypatch):
    with_ours(function, case, monkeypatch)


def test_none_of_its_tests_is_forgotten():
    assert len(list(its_silhouette_tests())) >= 48


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, np.int8, np.bool_])
def test_sparse_rows_are_exact(metric, kind, dtype, no_dense_copy):
    values = (COUNTS if np.dtype(dtype).kind in "ib" else WEIGHTS).astype(dtype)
    sparse = scipy.sparse.csr_array(values).asformat(kind)
    found = zoorank.silhouette_samples(sparse, CODES, metric=metric)
    expected = reference.silhouette_samples(values.astype(float), CODES, metric)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert (sparse.toarray() == values).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_values_of_any_size(metric, scale, no_dense_copy):
    found = zoorank.silhouette_samples(
        scipy.sparse.csr_array(WEIGHTS * scale), CODES, metric=metric
    )
    expected = reference.silhouette_samples(WEIGHTS, CODES, metric)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_that_are_close_and_far_from_the_origin(metric, no_dense_copy):
    values = WEIGHTS.copy()
    values[:, 0] = 1000  # as of a column of ones for the intercept
    found = zoorank.silhouette_samples(scipy.sparse.csr_array(values), CODES, metric=metric)
    expected = reference.silhouette_samples(values, CODES, metric)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 if metric == "cosine" else 1e-11)


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_but_zeros(metric, no_dense_copy):
    sparse = scipy.sparse.csr_array((20, 8))
    assert (zoorank.silhouette_samples(sparse, np.arange(20) % 2, metric=metric) == 0).all()


def test_values_stored_twice_are_added_up(no_dense_copy):
    once = scipy.sparse.coo_array(WEIGHTS)
    half = scipy.sparse.csr_array(
        (
            np.repeat(once.tocsr().data / 2, 2),
            np.repeat(once.tocsr().indices, 2),
            2 * once.tocsr().indptr,
        ),
        shape=once.shape,
    )
    before = half.data.copy()
    found = zoorank.silhouette_samples(half, CODES)
    np.testing.assert_allclose(
        found, reference.silhouette_samples(WEIGHTS, CODES, "euclidean"), rtol=0, atol=1e-12
    )
    assert (half.data == before).all()


def test_stored_in_little_memory():
    n, d = 2000, 200_000
    labels = np.arange(n) % 7
    sparse = scipy.sparse.random_array((n, d), density=2e-4, format="csr", rng=RNG)
    for metric in ("euclidean", "sqeuclidean", "cosine"):
        tracemalloc.start()
        found = zoorank.silhouette_samples(sparse, labels, metric=metric)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 150e6  # a dense copy takes 3.2 GB
        some = RNG.choice(n, 20, replace=False)
        far = sparse.power(2).sum(axis=1)
        squared = np.maximum(0, far[some, None] + far - 2 * (sparse[some] @ sparse.T).toarray())
        if metric == "cosine":
            length = np.sqrt(far)
            squared = 1 - (sparse[some] @ sparse.T).toarray() / (length[some, None] * length)
        squared[np.arange(20), some] = 0
        distances = np.sqrt(squared) if metric == "euclidean" else squared
        expected = reference.silhouette_of_rows(distances, some, labels)
        np.testing.assert_allclose(found[some], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_sparse_distances(kind, dtype, no_dense_copy):
    D = (10 * reference.distances(WEIGHTS, WEIGHTS, "euclidean")).astype(dtype)
    np.fill_diagonal(D, 0)
    D[RNG.random(D.shape) < 0.5] = 0  # what is not stored is a distance of 0
    found = zoorank.silhouette_samples(
        scipy.sparse.csr_array(D).asformat(kind), CODES, metric="precomputed"
    )
    expected = sklearn.metrics.silhouette_samples(D.astype(float), CODES, metric="precomputed")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "precomputed", "chebyshev"])
@pytest.mark.parametrize("copied", [True, False])
def test_a_random_subset_of_sparse_rows(metric, copied, request):
    if not copied:
        request.getfixturevalue("no_dense_copy")
    X = reference.distances(WEIGHTS, WEIGHTS, "euclidean") if metric == "precomputed" else WEIGHTS
    if metric != "chebyshev":  # of which scikit-learn takes none that is sparse
        X = scipy.sparse.csc_array(X)
    options = {"metric": metric, "sample_size": 60, "random_state": 3}
    found = zoorank.silhouette_score(X, CODES, **options)
    assert found == pytest.approx(sklearn.metrics.silhouette_score(X, CODES, **options), abs=1e-9)


def test_the_mean_of_sparse_rows(no_dense_copy):
    told = []
    result = zoorank.silhouette(scipy.sparse.csr_array(WEIGHTS), CODES, progress=told.append)
    assert result.method == "exact"
    assert result.score == pytest.approx(zoorank.silhouette(WEIGHTS, CODES).score, abs=1e-12)
    assert told == sorted(told)
    assert told[-1] == 1


def broken(value, kind=WEIGHTS):
    values = kind.astype(float)
    values[5, 7] = value
    return scipy.sparse.csr_array(values)


@pytest.mark.parametrize(
    ("X", "metric", "error", "words"),
    [
        (broken(np.nan), "euclidean", ValueError, "NaN or infinity; the first bad row is 5"),
        (scipy.sparse.csr_array(WEIGHTS + 1j), "cosine", TypeError, "dtype complex128"),
        (scipy.sparse.csr_array((0, 4)), "cosine", ValueError, "X has no samples"),
        (
            scipy.sparse.csr_array(WEIGHTS),
            "precomputed",
            ValueError,
            "must be square, got 150 x 90",
        ),
        (
            scipy.sparse.csr_array(np.eye(150)),
            "precomputed",
            ValueError,
            "contains non-zero elements on the diagonal",
        ),
        (
            broken(-1, np.zeros((150, 150))),
            "precomputed",
            ValueError,
            "a negative distance; the first bad row is 5",
        ),
    ],
)
@pytest.mark.parametrize("copied", [True, False])
def test_mistakes(X, metric, error, words, copied, request):
    if not copied:
        request.getfixturevalue("no_dense_copy")
    with pytest.raises(error, match=words):
        zoorank.silhouette_samples(X, CODES, metric=metric)


@pytest.mark.parametrize(
    ("metric", "parameters"),
    [
        ("chebyshev", {}),
        ("correlation", {}),
        ("canberra", {}),
        ("minkowski", {"p": 3}),
        ("euclidean", {"n_jobs": 1}),
        (lambda x, y: float(np.abs(x - y).max()), {}),
    ],
)
def test_other_metrics_are_scikit_learns(metric, parameters):
    X = RNG.normal(size=(40, 5)) + CODES[:40, None]
    names = np.array(["ant", "bee", "cat", "dog", "elk", "fox"])[CODES[:40]]
    found = zoorank.silhouette_samples(X, names, metric=metric, **parameters)
    expected = sklearn.metrics.silhouette_samples(X, names, metric=metric, **parameters)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    options = {"metric": metric, "sample_size": 30, "random_state": 1, **parameters}
    assert zoorank.silhouette_score(X, names, **options) == pytest.approx(
        sklearn.metrics.silhouette_score(X, names, **options), abs=1e-12
    )


def test_booleans_stay_booleans():
    X = WEIGHTS > 0
    found = zoorank.silhouette_samples(X, CODES, metric="jaccard")  # a cast would warn
    np.testing.assert_array_equal(
        found, sklearn.metrics.silhouette_samples(X, CODES, metric="jaccard")
    )


def test_every_metric_of_scikit_learn_is_known():
    ours = {*METRICS, "precomputed", "l1", "l2", "cityblock", *drop_in.METRICS_HANDED_OVER}
    removed = {"matching", "wminkowski"}  # listed still, but of no SciPy of today
    assert set(_VALID_METRICS) <= ours | removed


def test_a_metric_that_nobody_knows():
    with pytest.raises(ValueError, match="unknown metric 'chebishev'; did you mean 'chebyshev'"):
        zoorank.silhouette_samples(WEIGHTS, CODES, metric="chebishev")


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(ModuleNotFoundError, match="'chebyshev' is computed by scikit-learn, which"):
        zoorank.silhouette_samples(WEIGHTS, CODES, metric="chebyshev")
    sparse = scipy.sparse.csr_array(WEIGHTS)
    assert zoorank.silhouette_samples(sparse, CODES).shape == (150,)
