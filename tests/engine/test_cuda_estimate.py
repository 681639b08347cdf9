"""The estimator on a device; its way there with a stand-in for the module on any machine."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from tests.engine.emulated import EMULATED, silhouettes_of_some
from tests.engine.problems import make, overlapping

import zoorank
from zoorank import _core
from zoorank.engine import cost, cuda, environment

INFO = zoorank.build_info()
on_a_device = pytest.mark.skipif(not INFO["cuda_available"], reason=INFO["cuda_unavailable_reason"])

PROBLEM = overlapping(20_000, 12, 30)
# Rows, features and classes for a card, and for an emulated one, which is much slower.
ESTIMATED = [(20_000, 12, 30), (30_000, 100, 2500)]
REFERRED = [(20_000, 12, 30), (70_000, 33, 4), (20_000, 200, 300)]
ALONE = 1200
if EMULATED:
    ESTIMATED, REFERRED, ALONE = [(3000, 6, 5)], [(1500, 5, 4)], 400


class Stand:
    """The module's functions on arrays in host memory; says what it was asked."""

    def __init__(self):
        self.calls = []

    def devices(self):
        return [{"index": 0}]

    def device_of(self, address):
        return 0

    def DeviceArray(self, address, rows, cols, stride, is_double, keeper):  # noqa: N802
        return SimpleNamespace(address=address, rows=rows, cols=cols, is_double=is_double)

    def upload(self, X, device):
        self.calls.append("upload")
        return SimpleNamespace(host=X, address=X.ctypes.data, stride=X.shape[1])

    def surrogate_samples(self, X, codes, device, stream, progress):
        self.calls.append("surrogate")
        rows = self._statistics(X.host, codes)
        rows.add_moments(X.host, 0, 1, None)
        return rows.surrogate(X.host, 0, 1, progress)

    def silhouette_samples_of(self, X, codes, indices, metric, device, stream, progress):
        self.calls.append("rows")
        rows = self._statistics(X.host, codes)
        kind = _core.ExactRows32 if X.host.dtype == np.float32 else _core.ExactRows64
        exact = kind(rows, X.host[indices], indices)
        exact.add(X.host, 0, 1, progress)
        return exact.silhouettes(len(indices))

    def class_radii(self, X, codes, device, stream):
        self.calls.append("radii")
        rows = self._statistics(X.host, codes)
        rows.add_moments(X.host, 0, 1, None)
        return rows.radii(X.host, 0, 1, None)

    def reference_samples(self, X, codes, indices, bounds, drawn, sizes, device, stream, progress):
        self.calls.append("references")
        rows = self._statistics(X.host, codes)
        rows.add_moments(X.host, 0, 1, None)
        kind = _core.ReferenceRows32 if X.host.dtype == np.float32 else _core.ReferenceRows64
        parts = []
        for one_set, begin, end in zip(
            indices.reshape(len(bounds) - 1, -1), bounds[:-1], bounds[1:], strict=True
        ):
            references = kind(rows, X.host[one_set], one_set, drawn, sizes)
            parts.append(references.estimate(X.host[begin:end], begin, 1, progress))
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    @staticmethod
    def _statistics(X, codes):
        kind = _core.RowStatistics32 if X.dtype == np.float32 else _core.RowStatistics64
        rows = kind(codes, X.shape[1], "euclidean")
        rows.check(X, 0)
        return rows


@pytest.fixture
def stand(monkeypatch):
    stand = Stand()
    monkeypatch.setattr(cuda, "cuda_module", lambda: stand)
    monkeypatch.setattr(environment, "unavailable_reason", lambda: "")
    return stand


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_estimate_asks_the_device_for_its_parts_alone(stand, dtype):
    X = PROBLEM.X.astype(dtype)
    fractions = []
    options = {"method": "estimate", "tol": 1e-3, "random_state": 3}
    there = zoorank.silhouette(
        X, PROBLEM.labels, device="cuda", progress=fractions.append, **options
    )
    here = zoorank.silhouette(X, PROBLEM.labels, device="cpu", **options)
    assert there.method == "estimate"
    assert (there.score, there.half_width) == (here.score, here.half_width)
    np.testing.assert_array_equal(there.per_class, here.per_class)
    assert stand.calls[:2] == ["upload", "surrogate"]
    assert set(stand.calls[2:]) == {"rows"}
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_many_classes_are_all_compared(stand, monkeypatch):
    monkeypatch.setattr(cost, "MOST_CLASSES", 10)
    found = zoorank.silhouette(
        PROBLEM.X, PROBLEM.labels, method="estimate", device="cuda", random_state=0
    )
    exact = zoorank.silhouette(PROBLEM.X, PROBLEM.labels, method="exact", device="cpu")
    assert abs(found.score - exact.score) <= found.half_width


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_are_estimated_by_the_device(stand, monkeypatch, dtype):
    X = PROBLEM.X.astype(dtype)
    options = {"method": "estimate", "references": 16, "return_error": True, "random_state": 3}
    here = zoorank.silhouette_samples(X, PROBLEM.labels, **options)
    assert stand.calls == []
    monkeypatch.setenv("ZOORANK_DEVICE", "cuda")
    there = zoorank.silhouette_samples(X, PROBLEM.labels, **options)
    assert stand.calls == ["upload", "radii", "references"]
    for of_device, of_host in zip(there, here, strict=True):
        np.testing.assert_array_equal(of_device, of_host)
    assert there[1].max() > 0


def test_samples_are_exact_on_a_device_where_that_costs_no_more(stand, monkeypatch):
    monkeypatch.setenv("ZOORANK_DEVICE", "cuda")
    X, labels = PROBLEM.X[:300], PROBLEM.labels[:300]
    asked = []

    def exact(X, codes, metric, device, stream):
        asked.append(metric)
        return np.full(len(codes), 0.5)

    stand.silhouette_samples = exact
    samples, errors = zoorank.silhouette_samples(X, labels, method="estimate", return_error=True)
    assert asked == ["euclidean"]
    assert (samples == 0.5).all()
    assert (errors == 0).all()


def test_a_matrix_on_a_device_says_where_it_is(stand):
    matrix = cuda.to_device(PROBLEM.X)
    interface = matrix.__cuda_array_interface__
    assert interface["shape"] == matrix.shape == PROBLEM.X.shape
    assert interface["typestr"] == "<f4"
    assert interface["strides"] == (12 * 4, 4)
    assert interface["data"] == (PROBLEM.X.ctypes.data, True)
    assert len(matrix) == 20_000


def test_the_default_stream_has_one_name_whatever_the_library(stand, monkeypatch):
    class Tensor(SimpleNamespace):
        def stride(self):
            return (12, 1)

        def detach(self):
            return self

    Tensor.__module__ = "torch"
    tensor = Tensor(
        is_cuda=True,
        dtype="torch.float32",
        shape=(3, 12),
        device="cuda:0",
        __cuda_array_interface__={"shape": (3, 12), "typestr": "<f4", "data": (64, False)},
    )
    current = SimpleNamespace(cuda_stream=0)
    torch = SimpleNamespace(cuda=SimpleNamespace(current_stream=lambda _: current))
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert cuda.as_device_matrix(tensor).stream == cuda.to_device(PROBLEM.X).stream == 1
    current.cuda_stream = 77
    assert cuda.as_device_matrix(tensor).stream == 77


@pytest.mark.cuda
@on_a_device
def test_limits_are_measured():
    from zoorank import _cuda

    found = _cuda.measure_limits(cuda.first_device(), 1e-3)
    assert all(rate > 0 for rate in found.values())


@pytest.mark.cuda
@on_a_device
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_estimates_agree_with_those_of_the_cpu_and_with_themselves(dtype):
    for n, d, classes in ESTIMATED:
        problem = overlapping(n, d, classes, dtype)
        options = {"method": "estimate", "tol": 1e-3, "random_state": 3}
        there, again = (
            zoorank.silhouette(problem.X, problem.labels, device="cuda", **options)
            for _ in range(2)
        )
        assert (there.score, there.half_width) == (again.score, again.half_width)
        exact = zoorank.silhouette(problem.X, problem.labels, method="exact", device="cuda")
        assert abs(there.score - exact.score) <= there.half_width
        if classes <= 2000:  # above, the CPU compares some of the classes only
            here = zoorank.silhouette(problem.X, problem.labels, device="cpu", **options)
            tolerance = 5e-6 if dtype == np.float32 else 1e-12
            np.testing.assert_allclose(there.score, here.score, rtol=0, atol=tolerance)
            np.testing.assert_allclose(there.per_class, here.per_class, rtol=0, atol=10 * tolerance)


@pytest.mark.cuda
@on_a_device
@pytest.mark.parametrize("kind", ["plain", "duplicates", "outliers", "offset"])
def test_rows_alone_are_what_they_are_among_all(kind):
    for dtype, d in ((np.float32, 9), (np.float32, 130), (np.float64, 17)):
        problem = make(kind, ALONE, d, 7, dtype, seed=d)
        codes = problem.labels.astype(np.int64)
        rows = np.array([ALONE - 1, 0, 5, 5, ALONE // 2, 127, 128])
        found = silhouettes_of_some(problem.X, codes, rows)
        all_rows = zoorank.silhouette_samples(problem.X.astype(np.float64), problem.labels)
        tolerance = 5e-6 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(found, all_rows[rows], rtol=0, atol=tolerance)


@pytest.mark.cuda
@on_a_device
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_from_references_agree_with_those_of_the_cpu(dtype, monkeypatch):
    if EMULATED:
        monkeypatch.setattr(cost, "samples_cost", lambda *_: 0)  # so few are exact otherwise
    for n, d, classes in REFERRED:
        problem = overlapping(n, d, classes, dtype)
        options = {"method": "estimate", "references": 32, "return_error": True, "random_state": 3}
        here = zoorank.silhouette_samples(problem.X, problem.labels, **options)
        monkeypatch.setenv("ZOORANK_DEVICE", "cuda")
        there, again = (
            zoorank.silhouette_samples(problem.X, problem.labels, **options) for _ in range(2)
        )
        monkeypatch.delenv("ZOORANK_DEVICE")
        assert here[1].max() > 0
        for found, same, wanted in zip(there, again, here, strict=True):
            np.testing.assert_array_equal(found, same)
            tolerance = 1e-5 if dtype == np.float32 else 1e-12
            np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


@pytest.mark.cuda
@on_a_device
def test_samples_of_a_tensor_are_estimated_where_it_lies():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    X, labels = torch.from_numpy(PROBLEM.X).cuda(), torch.from_numpy(PROBLEM.labels).cuda()
    options = {"method": "estimate", "references": 16, "random_state": 3}
    found = zoorank.silhouette_samples(X, labels, **options)
    wanted = zoorank.silhouette_samples(PROBLEM.X, PROBLEM.labels, **options)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.cuda
@on_a_device
def test_rows_that_do_not_exist_are_named():
    with pytest.raises(ValueError, match="drawn row 20000 is none of the 20000 rows"):
        silhouettes_of_some(PROBLEM.X, PROBLEM.labels, np.array([20_000]))
