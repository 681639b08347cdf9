"""Arrays that live on a CUDA device, as their libraries say so; on the emulated one."""

import numpy as np
import pytest
from tests.engine.emulated import (
    DLPackOnly,
    InterfaceOnly,
    LikeCuPy,
    emulated_machine,  # noqa: F401  a fixture
    on_the_emulator,
)

import zoorank
from zoorank.engine import cuda

pytestmark = [pytest.mark.cuda, on_the_emulator]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((150, 9))
Y = np.arange(150) % 4


def samples(there, labels=Y, metric="manhattan"):
    return zoorank.silhouette_samples(there, labels, metric=metric)


def expected(values, metric="manhattan"):
    return zoorank.silhouette_samples(np.asarray(values, np.float64), Y, metric=metric)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("version", [2, 3])
def test_what_says_only_where_it_lies_is_borrowed(machine, dtype, version):
    there = machine.put(X.astype(dtype))
    for interface in ({}, {"strides": None}, {"data": (there.ctypes.data, True)}):
        array = InterfaceOnly(there, version=version, **interface)
        before = machine["allocations"]
        assert cuda.as_device_matrix(array).array.address == there.ctypes.data
        assert machine["allocations"] == before
        np.testing.assert_allclose(samples(array), expected(there), rtol=0, atol=5e-6)


@pytest.mark.parametrize(
    ("stream", "used"), [(None, 1), (0, 1), (1, 1), (2, 2), ("its own", "its own")]
)
def test_work_is_done_on_the_stream_that_an_array_names(machine, stream, used):
    own = machine.stream()
    stream, used = (own if s == "its own" else s for s in (stream, used))
    there = machine.empty(X.size, X.dtype).reshape(X.shape)  # of NaN until the stream gets there
    if stream is not None:
        machine.put_later(there, X, stream)
    else:
        there[:] = X
    np.testing.assert_allclose(
        samples(InterfaceOnly(there, stream=stream)), expected(X), rtol=0, atol=1e-12
    )
    assert machine["stream"] == used


def test_a_pair_may_be_ready_on_two_streams(machine):
    first, second = machine.stream(), machine.stream()
    left, right = (machine.empty(X.size, X.dtype).reshape(X.shape) for _ in range(2))
    machine.put_later(left, X, first)
    machine.put_later(right, X[::-1], second)
    found = zoorank.pairwise_distances(
        InterfaceOnly(left, stream=first), InterfaceOnly(right, stream=second)
    )
    np.testing.assert_allclose(found, zoorank.pairwise_distances(X, X[::-1]), atol=1e-12)
    assert machine["stream"] == first


def test_a_stream_that_is_none_is_an_error_in_one_line(machine):
    with pytest.raises(RuntimeError, match=r"^CUDA, .*: invalid resource handle$"):
        samples(InterfaceOnly(machine.put(X), stream=12345))


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "sqeuclidean", "cosine"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_may_lie_apart_overlap_and_run_backwards(machine, metric, dtype):
    wide = machine.put(RNG.standard_normal((300, 12)).astype(dtype))
    step = wide.itemsize
    overlapping = np.lib.stride_tricks.as_strided(wide.reshape(-1), (150, 9), (step, step))
    for view in (wide[::2, 3:], wide[1::2, :9], wide[299:149:-1, :9], overlapping):
        found = samples(InterfaceOnly(view), metric=metric)
        tolerance = 5e-6 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(found, expected(view, metric), rtol=0, atol=tolerance)
        few, wide_few = np.array(view[:7]), view[:7].astype(float)
        distances = zoorank.pairwise_distances(InterfaceOnly(view), few, metric=metric)
        wanted = zoorank.pairwise_distances(view.astype(float), wide_few, metric=metric)
        np.testing.assert_allclose(distances, wanted, rtol=0, atol=1e-5 * wanted.max())


@pytest.mark.parametrize("kind", ["plain", "one value"])
def test_the_kernel_is_chosen_by_the_rows_wherever_they_lie(machine, kind):
    rows = RNG.standard_normal((600, 96)).astype(np.float32)
    if kind != "plain":  # for tensor cores to be wrong about
        rows[:] = rows[:, :1]
    labels = np.arange(600) % 4
    there = zoorank.silhouette(InterfaceOnly(machine.put(rows)), labels)
    assert there.score == zoorank.silhouette(rows, labels, device="cuda").score


def test_rows_that_fill_their_memory_to_the_end_are_read_no_further(machine):
    # Behind them is a page that nobody may touch.
    for n, d in ((150, 1), (150, 7), (129, 64), (129, 67), (257, 130)):
        values = RNG.standard_normal((n, d)).astype(np.float32)
        labels = np.arange(n) % 3
        for metric in ("euclidean", "cosine", "manhattan"):
            zoorank.silhouette_samples(InterfaceOnly(machine.put(values)), labels, metric=metric)


@pytest.mark.parametrize(
    "dtype", [np.float16, np.int8, np.uint8, np.int16, np.int64, np.uint32, np.bool_, ">f4", ">f8"]
)
def test_other_types_are_converted_by_their_own_library(machine, dtype):
    values = (8 * X).astype(dtype)
    there = LikeCuPy(machine, machine.put(values))
    matrix = cuda.as_device_matrix(there)
    single = np.dtype(dtype).kind == "f" and np.dtype(dtype).itemsize <= 4
    assert matrix.dtype == (np.float32 if single else np.float64)
    np.testing.assert_allclose(samples(there), expected(values), rtol=0, atol=5e-6)


def test_bfloat16_becomes_float32(machine):
    class Brain(LikeCuPy):
        """Of a type that NumPy calls void."""

        def astype(self, dtype):
            bits = self._there.view(np.uint16).astype(np.uint32) << 16
            return LikeCuPy(self._machine, self._machine.put(bits.view(np.float32).astype(dtype)))

    bits = (X.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    there = Brain(machine, machine.put(bits), typestr="<V2")
    there.dtype = "bfloat16"
    assert cuda.as_device_matrix(there).dtype == np.float32
    values = (bits.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_allclose(samples(there), expected(values), rtol=0, atol=5e-6)


def test_columns_first_is_copied_where_it_lies(machine):
    there = machine.put(np.asfortranarray(X))
    assert there.strides[1] != 8
    np.testing.assert_allclose(samples(LikeCuPy(machine, there)), expected(X), atol=1e-12)
    with pytest.raises(TypeError, match=r"X has features that are not adjacent, and InterfaceOnly"):
        samples(InterfaceOnly(there))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"mask": object()}, TypeError, "X has a mask; fill or drop what it hides first"),
        ({"typestr": "<c8"}, TypeError, "X has dtype complex64; use float32 or float64"),
        ({"typestr": "<f2"}, TypeError, r"X is of float16, and .* has no method astype\(\)"),
        ({"typestr": "|V2"}, TypeError, "X has dtype |V2; use float32"),
        ({"shape": (150,)}, ValueError, r"X must have 2 dimensions, got shape \(150,\); a single"),
        ({"shape": (5, 5, 54)}, ValueError, "X must have 2 dimensions, got shape"),
        ({"shape": (0, 9)}, ValueError, r"X has no samples: its shape is \(0, 9\)"),
        ({"shape": (9, 0)}, ValueError, r"X has no features: its shape is \(9, 0\)"),
        ({"data": (X.ctypes.data, False)}, ValueError, "memory is not that of a CUDA device"),
        ({"shape": (149, 9)}, ValueError, "X has 149 rows and there are 150 labels"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(machine, change, error, message):
    array = InterfaceOnly(machine.put(X), **{"strides": None, **change})
    with pytest.raises(error, match=message) as caught:
        samples(array)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dlpack_is_borrowed_on_the_default_stream(machine, dtype):
    for view in (machine.put(X.astype(dtype)), machine.put(X.astype(dtype).repeat(2, axis=0))[::2]):
        array = DLPackOnly(view)
        np.testing.assert_allclose(samples(array), expected(view), rtol=0, atol=5e-6)
        assert array.streams == [1]
        assert machine["stream"] == 1
        of_pairs = zoorank.pairwise_distances(array, InterfaceOnly(view))
        np.testing.assert_allclose(of_pairs, zoorank.pairwise_distances(view), atol=1e-5)


def test_dlpack_that_cannot_be_read_is_refused_in_one_line(machine):
    for values, error, message in (
        (X.astype(np.float16), TypeError, "X comes by DLPack and must be float32 or float64"),
        (X[:, 0], ValueError, "X must have 2 dimensions"),
        (np.asfortranarray(X), ValueError, "X must have adjacent features"),
        (X[:, :0], ValueError, r"X has no features: its shape is \(150, 0\)"),
        (X[:0], ValueError, r"X has no samples: its shape is \(0, 9\)"),
    ):
        there = machine.put(values) if values.size else values
        with pytest.raises(error, match=message):
            samples(DLPackOnly(there))
    with pytest.raises(ValueError, match="memory is not that of a CUDA device"):
        samples(DLPackOnly(X))
    with pytest.raises(TypeError, match="Y comes by DLPack"):
        zoorank.pairwise_distances(X, DLPackOnly(machine.put(X.astype(np.int32))))


def test_an_array_is_computed_on_its_own_device(machine):
    machine.set(devices=2)
    values = X.astype(np.float32)
    stream = machine.stream(1)
    second = machine.put(values, device=1)
    on_a_stream = InterfaceOnly(second, stream=stream)
    for there in (InterfaceOnly(second), on_a_stream, DLPackOnly(second, 1)):
        found = zoorank.silhouette(there, Y)
        assert found.score == zoorank.silhouette(values, Y, device="cuda").score
        zoorank.silhouette(there, Y)
        assert machine["device"] == 1
    with pytest.raises(ValueError, match="X lives on CUDA device 1 and Y on 0: move one of them"):
        zoorank.pairwise_distances(InterfaceOnly(second), InterfaceOnly(machine.put(values)))
    assert zoorank.pairwise_distances(values[:5], InterfaceOnly(second)).shape == (5, 150)
    assert machine["device"] == 1
    with pytest.raises(RuntimeError, match=r"^CUDA, .*: invalid resource handle$"):
        samples(InterfaceOnly(second, stream=machine.stream(0)))


def test_labels_may_live_on_either_side(machine):
    there, labels = InterfaceOnly(machine.put(X)), machine.put(Y)
    wanted = samples(there)
    np.testing.assert_array_equal(samples(there, LikeCuPy(machine, labels)), wanted)
    np.testing.assert_array_equal(samples(there, [str(label) for label in Y]), wanted)
    on_the_host = zoorank.silhouette(X, LikeCuPy(machine, labels), metric="manhattan", device="cpu")
    np.testing.assert_allclose(on_the_host.score, wanted.mean(), atol=1e-12)
    for other in (InterfaceOnly(labels), DLPackOnly(labels)):
        with pytest.raises(TypeError, match="on a CUDA device offers no copy in host memory; pass"):
            samples(there, other)


@pytest.mark.parametrize("metric", ["euclidean", "precomputed"])
def test_of_an_array_on_the_device_a_subset_is_drawn_too(machine, metric):
    values = zoorank.pairwise_distances(X) if metric == "precomputed" else X
    there = LikeCuPy(machine, machine.put(values))
    options = {"metric": metric, "sample_size": 40, "random_state": 3}
    np.testing.assert_allclose(
        zoorank.silhouette_score(there, Y, **options),
        zoorank.silhouette_score(values, Y, **options),
        rtol=0,
        atol=1e-12,
    )


def test_what_the_host_has_to_see_is_copied_there(machine):
    there = LikeCuPy(machine, machine.put(X))
    on_the_host = zoorank.silhouette(there, Y, device="cpu")
    np.testing.assert_allclose(on_the_host.score, expected(X, "euclidean").mean(), atol=1e-12)
    distances = LikeCuPy(machine, machine.put(zoorank.pairwise_distances(X)))
    np.testing.assert_allclose(
        zoorank.silhouette_score(distances, Y, metric="precomputed"), on_the_host.score, atol=1e-12
    )
    mixed = zoorank.pairwise_distances(there, LikeCuPy(machine, machine.put(X.astype(np.float32))))
    assert mixed.dtype == np.float64


def test_all_functions_take_such_arrays(machine):
    values = X.astype(np.float32)
    there = InterfaceOnly(machine.put(values))
    single = zoorank.silhouette(values, Y, device="cuda")
    (batch,) = zoorank.silhouette_batch([there], Y)
    assert batch.score == single.score
    estimate = zoorank.silhouette(there, Y, method="estimate", random_state=0)
    assert abs(estimate.score - single.score) <= estimate.half_width + 1e-6
    s = zoorank.silhouette_samples(there, Y, method="estimate", random_state=0, references=8)
    assert abs(s.mean() - single.score) < 0.05
    there._there[3, 2] = np.nan
    with pytest.raises(ValueError, match="the first bad row is 3"):
        samples(there)
