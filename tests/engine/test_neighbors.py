"""Nearest neighbours, with FAISS and without."""

import numpy as np
import pytest
from tests.engine.processes import run_python
from tests.reference import silhouettes as reference

import zoorank
from zoorank import _core
from zoorank.engine import index, neighbors

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 7))
X[10:20] = X[0]  # duplicates: a row must not be its own neighbour, its like may


@pytest.fixture(params=["faiss", "without"])
def search(request, monkeypatch):
    if request.param == "without":
        monkeypatch.setattr(neighbors, "load_faiss", lambda: None)
    else:
        pytest.importorskip("faiss")


@pytest.mark.parametrize("offset", [0, 1e4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", _core.METRICS_OF_ROWS)
@pytest.mark.usefixtures("search")
def test_exact_neighbors_are_the_definitions(metric, dtype, offset):
    if metric == "cosine" and offset:
        pytest.skip("far from the origin all directions are one")
    values = (X + offset).astype(dtype)
    D = reference.distances(values, values, metric)
    np.fill_diagonal(D, np.inf)
    for k in (1, 5, 299):
        distances, indices = zoorank.nearest_neighbors(values, k, metric=metric, method="exact")
        np.testing.assert_allclose(distances, np.sort(D, axis=1)[:, :k], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(
            np.take_along_axis(D, indices, axis=1), distances, rtol=1e-9, atol=1e-12
        )
        assert (indices != np.arange(300)[:, None]).all()
        assert all(len(set(row)) == k for row in indices.tolist())


@pytest.mark.usefixtures("search")
def test_any_kind_of_integer_counts_neighbors():
    expected = zoorank.nearest_neighbors(X, 2)
    np.testing.assert_array_equal(zoorank.nearest_neighbors(X, np.int64(2)), expected)


def test_equal_distances_come_in_order_of_index():
    _, indices = zoorank.nearest_neighbors(X, 5, method="exact")
    assert indices[0].tolist() == [10, 11, 12, 13, 14]
    assert indices[12].tolist() == [0, 10, 11, 13, 14]


@pytest.mark.usefixtures("search")
def test_neighbors_too_far_to_measure_are_neighbors_all_the_same():
    far = np.array([[0.0], [1.0], [1e200], [3e200]])
    distances, indices = zoorank.nearest_neighbors(far, 3, metric="sqeuclidean", method="exact")
    assert distances[0].tolist() == [1.0, np.inf, np.inf]
    assert indices.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [2, 0, 1]]


def neighbors_of(power, dtype, metric, method):
    """Of rows times a power of two, with the distances divided by it again."""
    rows = np.ldexp(X.astype(np.float32).astype(dtype), power)
    distances, indices = zoorank.nearest_neighbors(rows, 5, metric=metric, method=method)
    return np.ldexp(distances, {"cosine": 0, "sqeuclidean": -2}.get(metric, -1) * power), indices


@pytest.mark.parametrize(
    ("dtype", "powers"), [(np.float32, (-100, 100, 125)), (np.float64, (-480, 480))]
)
@pytest.mark.parametrize("method", ["exact", "approximate"])
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
@pytest.mark.usefixtures("search")
def test_neighbors_do_not_depend_on_scale(metric, method, dtype, powers):
    if method == "approximate" and neighbors.load_faiss() is None:
        pytest.skip("an approximate search needs FAISS")
    expected = neighbors_of(0, dtype, metric, method)
    for power in powers:
        distances, indices = neighbors_of(power, dtype, metric, method)
        np.testing.assert_array_equal(indices, expected[1])
        np.testing.assert_array_equal(distances, expected[0])


@pytest.mark.parametrize("power", [-1020, 1020])
@pytest.mark.usefixtures("search")
def test_float64_has_neighbors_up_to_its_ends(power):
    rows = np.ldexp(np.arange(12.0)[:, None] ** 1.5 / 64, power)
    distances, indices = zoorank.nearest_neighbors(rows, 2, method="exact")
    assert indices[:3].tolist() == [[1, 2], [0, 2], [1, 3]]
    np.testing.assert_array_equal(distances[0], rows[1:3, 0])


@pytest.mark.usefixtures("search")
def test_rows_at_both_ends_of_float32_have_neighbors():
    ends = np.array([[-3e38], [3e38]] * 8, np.float32)
    ends += np.arange(16, dtype=np.float32)[:, None] * 1e36
    _, indices = zoorank.nearest_neighbors(ends, 1, method="exact")
    assert (indices[:, 0] % 2 == np.arange(16) % 2).all()
    _, indices = zoorank.nearest_neighbors(ends, 1, method="exact", metric="manhattan")
    assert (indices[:, 0] % 2 == np.arange(16) % 2).all()


@pytest.mark.parametrize("spoiled", ["one row far and huge", "tight groups far apart"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.usefixtures("search")
def test_exact_is_exact_where_rounding_hides_the_neighbors(dtype, spoiled):
    rng = np.random.default_rng(1)
    rows = (rng.standard_normal((2000, 64)) / 64).astype(dtype)
    if spoiled == "one row far and huge":
        rows[0] *= 2.0**90
    else:  # near enough to 0 only in one of the three
        rows += (1000 * rng.integers(3, size=(2000, 1))).astype(dtype)
    D = reference.distances(rows[:200], rows, "euclidean")
    D[np.arange(200), np.arange(200)] = np.inf
    distances, _ = zoorank.nearest_neighbors(rows, 3, method="exact")
    np.testing.assert_allclose(distances[:200], np.sort(D, axis=1)[:, :3], rtol=1e-12)


def test_approximate_neighbors_are_mostly_right():
    pytest.importorskip("faiss")
    points = RNG.standard_normal((20_000, 8)) + 3 * RNG.integers(0, 5, (20_000, 1))
    _, exact = zoorank.nearest_neighbors(points, 5, method="exact")
    distances, found = zoorank.nearest_neighbors(points, 5, method="approximate", n_threads=1)
    assert (found != np.arange(20_000)[:, None]).all()
    assert (np.diff(distances, axis=1) >= 0).all()
    recall = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(exact, found, strict=True)])
    assert recall > 0.9


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must lie between 1 and n_samples - 1 = 299, got 0"),
        ({"k": 300}, ValueError, "got 300"),
        ({"k": 2.0}, TypeError, "k must be an integer, got 2.0"),
        ({"k": 1, "metric": "precomputed"}, ValueError, "unknown metric 'precomputed'"),
        ({"k": 1, "method": "guess"}, ValueError, "unknown method 'guess'"),
        (
            {"k": 1, "metric": "manhattan", "method": "approximate"},
            RuntimeError,
            "metric 'manhattan' has no index",
        ),
    ],
)
def test_mistakes_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        zoorank.nearest_neighbors(X, **arguments)


def test_a_metric_that_is_named_alone_is_not_ranked_by_squares(monkeypatch):
    monkeypatch.setattr(neighbors, "METRICS", (*neighbors.METRICS, "chebyshev"))
    with pytest.raises(ValueError, match="metric 'chebyshev' has no order of neighbours"):
        zoorank.nearest_neighbors(np.eye(6), k=2, metric="chebyshev")


def test_a_device_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.setenv("ZOORANK_DEVICE", "gpu")
    message = "unknown device in ZOORANK_DEVICE 'gpu'; .*allowed: cpu, cuda"
    with pytest.raises(ValueError, match=message):
        zoorank.nearest_neighbors(X, 1)
    with pytest.raises(ValueError, match=message):  # the words of all others
        zoorank.silhouette_score(X, np.arange(300) % 2)


def test_bad_rows_are_named():
    bad = X.copy()
    bad[7, 2] = np.inf
    with pytest.raises(ValueError, match="the first bad row is 7"):
        zoorank.nearest_neighbors(bad, 1)
    bad[7] = 0
    with pytest.raises(ValueError, match="no cosine neighbours; the first one is 7"):
        zoorank.nearest_neighbors(bad, 1, metric="cosine")


def test_two_distributions_of_faiss_are_refused(monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(index, "_is_installed", lambda name: True)
    with pytest.raises(RuntimeError, match="faiss-cpu and faiss-gpu are both installed"):
        zoorank.nearest_neighbors(X, 1)


def test_manhattan_has_no_approximate_search():
    with pytest.raises(RuntimeError, match="'manhattan' has no index; use 'exact'"):
        zoorank.nearest_neighbors(X, 1, metric="manhattan", method="approximate")


@pytest.mark.parametrize("cells", [None, index.Cells(10, 10, 4)])
def test_calls_of_faiss_are_short_and_give_what_one_would(cells, monkeypatch):
    faiss = pytest.importorskip("faiss")
    points = np.random.default_rng(0).standard_normal((500, 9)).astype(np.float32)
    whole = index.search(faiss, points, points, 5, cells, 1)
    monkeypatch.setattr(index, "_QUERIES_OF_A_CALL", 60)
    monkeypatch.setattr(index, "_WORK_OF_A_CALL", 70 * points.size)
    np.testing.assert_array_equal(index.search(faiss, points, points, 5, cells, 1), whole)


def test_without_faiss_approximate_says_what_to_install(monkeypatch):
    monkeypatch.setattr(neighbors, "load_faiss", lambda: None)
    with pytest.raises(RuntimeError, match=r"pip install 'zoorank\[faiss-cpu\]'"):
        zoorank.nearest_neighbors(X, 1, method="approximate")


def many_classes(classes=2500, per_class=6, d=10):
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(classes, d)) * np.exp(rng.normal(0, 1, d))
    y = np.repeat(np.arange(classes), per_class)
    X = (
        centres[y]
        + 0.7 * rng.normal(size=(len(y), d)) * np.exp(rng.normal(0, 0.4, classes))[y, None]
    )
    return X.astype(np.float32), y


def test_candidates_are_other_classes_and_the_same_with_faiss_and_without(monkeypatch):
    pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    points = rng.standard_normal((700, 9)).astype(np.float32)
    points[:, -1] = abs(points[:, -1])
    points[5] = points[6] = points[7]  # one place: the class itself need not come first
    found = index.class_candidates(points, 20, 0)
    monkeypatch.setattr(index, "load_faiss", lambda: None)
    alone = index.class_candidates(points, 20, 0)
    assert found.shape == alone.shape == (700, 20)
    for row, (a, b) in enumerate(zip(found, alone, strict=True)):
        assert row not in a
        assert row not in b
        assert len(set(a) ^ set(b)) <= 2  # but for a tie


@pytest.mark.usefixtures("search")
def test_an_estimate_over_thousands_of_classes_still_covers():
    X, y = many_classes()
    exact = zoorank.silhouette(X, y, method="exact")
    held = 0
    for seed in range(12):
        result = zoorank.silhouette(X, y, method="estimate", tol=1e-2, random_state=seed)
        assert result.method == "estimate"
        held += abs(result.score - exact.score) <= result.half_width
    assert held >= 10


def test_faiss_is_not_imported_before_it_is_needed():
    program = (
        "import sys, numpy as np, zoorank; zoorank.silhouette(np.eye(40), np.arange(40) % 3); "
        "print('faiss' in sys.modules)"
    )
    run = run_python(program)
    assert run.stdout.strip() == "False", run.stderr


class WithGpu:
    """FAISS as faiss-gpu shows itself, with an index on the host for one on the GPU."""

    def __init__(self, faiss, gpus):
        self._faiss, self._gpus, self.moved = faiss, gpus, 0

    def __getattr__(self, name):
        return getattr(self._faiss, name)

    class StandardGpuResources:
        pass

    def get_num_gpus(self):
        return self._gpus

    def index_cpu_to_gpu(self, resources, device, index):
        assert isinstance(resources, self.StandardGpuResources)
        assert device == 0
        assert index.ntotal == 0
        self.moved += 1
        return index


@pytest.mark.parametrize("method", ["exact", "approximate"])
@pytest.mark.parametrize(("gpus", "wish", "moved"), [(1, "cuda", 1), (0, "cuda", 0), (1, "cpu", 0)])
def test_faiss_gpu_searches_where_a_device_is_wished_for(gpus, wish, moved, method, monkeypatch):
    faiss = WithGpu(pytest.importorskip("faiss"), gpus)
    expected = zoorank.nearest_neighbors(X, 3, method=method)
    monkeypatch.setattr(neighbors, "load_faiss", lambda: faiss)
    monkeypatch.setenv("ZOORANK_DEVICE", wish)
    found = zoorank.nearest_neighbors(X, 3, method=method)
    np.testing.assert_array_equal(found, expected)
    assert faiss.moved == moved


def test_what_an_inverted_file_misses_other_classes_stand_in_for(monkeypatch):
    pytest.importorskip("faiss")
    points = np.random.default_rng(0).standard_normal((600, 9)).astype(np.float32)
    exact = index.class_candidates(points, 40, 1)
    monkeypatch.setattr(index, "FLAT_CLASSES", 100)
    most = index.class_candidates(points, 40, 1)
    assert 0.3 < np.mean([len(set(a) & set(b)) / 40 for a, b in zip(exact, most, strict=True)]) < 1
    monkeypatch.setattr(index, "class_cells", lambda classes: index.Cells(60, 1, 4))
    few = index.class_candidates(points, 40, 1)
    for found in (most, few):
        assert found.shape == (600, 40)
        assert ((found >= 0) & (found < 600)).all()
        assert (found != np.arange(600)[:, None]).all()


@pytest.mark.parametrize("most", [5000, 1000], ids=["flat", "inverted file"])
def test_candidates_do_not_depend_on_scale(most, monkeypatch):
    monkeypatch.setattr(index, "FLAT_CLASSES", most)
    points = np.random.default_rng(0).standard_normal((5000, 9)).astype(np.float32)
    expected = index.class_candidates(points, 5, 1)
    for power in (-120, 120):
        found = index.class_candidates(np.ldexp(points, power), 5, 1)
        np.testing.assert_array_equal(found, expected)
