"""The engine on a CUDA device; on a machine without one, what it says of that."""

import re

import numpy as np
import pytest
from tests.engine.emulated import EMULATED
from tests.engine.problems import KINDS, make
from tests.engine.processes import run_python
from tests.engine.test_input import OnlyDLPack
from tests.engine.test_precision import CONSPIRING
from tests.reference import silhouettes as reference

import zoorank

INFO = zoorank.build_info()
REASON = INFO["cuda_unavailable_reason"]

on_a_device = pytest.mark.skipif(not INFO["cuda_available"], reason=REASON)
without_a_device = pytest.mark.skipif(
    INFO["cuda_available"], reason="this machine has a usable CUDA device"
)

KERNELS = ("simt", "mma", "wgmma")
# Around the features of a stage, and more than one ring of stages.
DEPTHS = (64, 65, 95, 96, 97, 128, 300, 511, 512, 1100)
# Rows, features and classes for a card, and for an emulated one, which is much slower.
TROUBLED = [(120, 5, 4), (700, 17, 3), (530, 97, 200)]
MANY_TILES = [(20_000, 70, 30), (9000, 33, 4000)]
SPLIT = [(127, 3), (129, 60), (640, 5), (900, 400)]
if EMULATED:
    DEPTHS = (64, 97, 161)
    TROUBLED = [(120, 5, 4), (150, 70, 60)]
    MANY_TILES = [(1100, 9, 30), (700, 3, 300)]
    SPLIT = [(127, 3), (260, 60)]
X = np.random.default_rng(0).standard_normal((300, 96))
Y = np.arange(300) % 7


def samples(X, y, metric="euclidean"):
    return zoorank.silhouette_samples(X, y, metric=metric)


def on_the_cpu(compute, *args, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOORANK_DEVICE", "cpu")
        return compute(*args, **options)


@pytest.fixture
def cuda_everywhere(monkeypatch):
    monkeypatch.setenv("ZOORANK_DEVICE", "cuda")


# What holds on every machine.


def test_importing_and_computing_on_the_cpu_load_no_cuda():
    run = run_python(
        """
        import sys, zoorank
        zoorank.silhouette([[0.0], [1.0], [5.0]], [0, 0, 1])
        zoorank.pairwise_distances([[0.0], [1.0]])
        print("zoorank._cuda" in sys.modules)
        """
    )
    assert run.stdout.split() == ["False"], run.stderr


def test_the_build_says_in_one_line_what_there_is():
    assert INFO["cuda_available"] == (not REASON)
    assert "\n" not in REASON
    assert bool(INFO["cuda_devices"]) == INFO["cuda_available"]
    if not INFO["cuda_built"]:
        assert REASON == "this build of zoorank has no CUDA kernels; build it where nvcc works"


@without_a_device
def test_asking_for_a_device_is_refused_with_the_reason():
    message = re.escape(f"device='cuda': {REASON}")
    with pytest.raises(RuntimeError, match=message):
        zoorank.silhouette(X, Y, device="cuda")
    with pytest.raises(RuntimeError, match=message):
        samples(OnlyDLPack(X, device=(2, 0)), Y)
    with pytest.raises(RuntimeError, match=message):
        zoorank.silhouette_batch([OnlyDLPack(X, device=(2, 0))], Y)
    with pytest.raises(RuntimeError, match=message):
        zoorank.pairwise_distances(X, OnlyDLPack(X, device=(2, 0)))


@without_a_device
def test_the_environment_may_ask_for_a_device(cuda_everywhere):
    with pytest.raises(RuntimeError, match=re.escape(REASON)):
        samples(X, Y)
    assert zoorank.silhouette(X, Y, device="cpu").method == "exact"


def test_an_unknown_device_in_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("ZOORANK_DEVICE", "gpu")
    with pytest.raises(ValueError, match="unknown device in ZOORANK_DEVICE 'gpu'"):
        samples(X, Y)


@pytest.mark.skipif(not INFO["cuda_built"], reason="this build has no CUDA kernels")
def test_the_module_refuses_what_it_cannot_read():
    from zoorank import _cuda

    codes = np.zeros(3, np.int64)
    with pytest.raises(TypeError, match="X must be float32 or float64"):
        _cuda.silhouette_samples(np.zeros((3, 2), np.int32), codes, "euclidean", 0, 0)
    with pytest.raises(ValueError, match="2 to n_samples - 1 classes, got 1 class"):
        _cuda.silhouette_samples(np.zeros((3, 2)), codes, "euclidean", 0, 0)
    with pytest.raises(ValueError, match="unknown metric"):
        _cuda.silhouette_samples(np.zeros((3, 2)), codes, "euclid", 0, 0)
    borrowed = _cuda.from_dlpack(np.zeros((4, 3), np.float32)[::2].__dlpack__(), "X")
    assert (borrowed.rows, borrowed.cols, borrowed.is_double) == (2, 3, False)
    with pytest.raises(TypeError, match="must be float32 or float64"):
        _cuda.from_dlpack(np.zeros((2, 3), np.int32).__dlpack__(), "X")
    with pytest.raises(ValueError, match="adjacent features"):
        _cuda.from_dlpack(np.zeros((2, 6))[:, ::2].__dlpack__(), "X")


# What needs a device.


@pytest.mark.cuda
@on_a_device
@pytest.mark.parametrize("metric", reference.VECTOR_METRICS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_on_every_kind_of_trouble(cuda_everywhere, kind, dtype, metric):
    for n, d, classes in TROUBLED:
        problem = make(kind, n, d, classes, dtype, seed=n)
        s = samples(problem.X, problem.labels, metric)
        expected = reference.silhouette_samples(problem.X, problem.labels, metric)
        np.testing.assert_allclose(s, expected, rtol=0, atol=reference.tolerance(problem.X, metric))


@pytest.mark.cuda
@on_a_device
@pytest.mark.parametrize("d", DEPTHS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_agrees(cuda_everywhere, monkeypatch, kernel, d):
    if kernel == "wgmma" and "(9.0)" not in INFO["cuda_devices"][0]:
        pytest.skip(f"{INFO['cuda_devices'][0]} has no wgmma of compute capability 9.0")
    monkeypatch.setenv("ZOORANK_CUDA_KERNEL", kernel)
    for kind in ("plain", "tight and near", "duplicates", "outliers"):
        for n, classes in SPLIT:
            problem = make(kind, n, d, classes, np.float32, seed=n + d)
            expected = reference.silhouette_samples(problem.X, problem.labels, "euclidean")
            np.testing.assert_allclose(
                samples(problem.X, problem.labels), expected, rtol=0, atol=5e-6, err_msg=kind
            )


@pytest.mark.cuda
@on_a_device
@pytest.mark.parametrize("kind", ["one value", "four values", "brightness", "one feature"])
def test_rounding_errors_that_conspire_stay_within_the_tolerance(cuda_everywhere, kind):
    # Of which tensor cores would make 1.6e-5: a few distances say so, wherever the rows lie.
    for d in (64, 256):
        rows = CONSPIRING[kind](np.random.default_rng(1), 600, d).astype(np.float32)
        for classes in (4, 100):
            y = np.arange(600) % classes
            expected = reference.silhouette_samples(rows, y, "euclidean")
            np.testing.assert_allclose(samples(rows, y), expected, rtol=0, atol=5e-6)


@pytest.mark.cuda
@on_a_device
@pytest.mark.parametrize("metric", reference.VECTOR_METRICS)
@pytest.mark.parametrize(("n", "d", "classes"), MANY_TILES)
def test_agrees_with_the_cpu_on_many_tiles_and_twice_with_itself(
    monkeypatch, n, d, classes, metric
):
    # More tile rows than a batch has, and joined stretches.
    problem = make("plain", n, d, classes, np.float32, seed=n)
    expected = samples(problem.X, problem.labels, metric)
    monkeypatch.setenv("ZOORANK_DEVICE", "cuda")
    s = samples(problem.X, problem.labels, metric)
    np.testing.assert_allclose(s, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(s, samples(problem.X, problem.labels, metric))


@pytest.mark.cuda
@on_a_device
@pytest.mark.parametrize("library", ["torch", "cupy"])
def test_arrays_on_the_device_are_borrowed(library):
    module = pytest.importorskip(library)
    for dtype in (np.float32, np.float64):
        host = X.astype(dtype)
        expected = zoorank.silhouette(host, Y, device="cuda").score
        if library == "torch":
            if not module.cuda.is_available():
                pytest.skip("this torch has no CUDA")
            there, labels = module.from_numpy(host).cuda(), module.from_numpy(Y).cuda()
        else:
            there, labels = module.asarray(host), module.asarray(Y)
        assert zoorank.silhouette(there, labels).score == expected
        assert zoorank.silhouette(there, Y.astype(str)).score == expected
        wide = np.zeros((600, 100), dtype)
        wide[::2, :96] = host
        rows_apart = module.from_numpy(wide).cuda() if library == "torch" else module.asarray(wide)
        assert zoorank.silhouette(rows_apart[::2, :96], Y).score == expected
        np.testing.assert_array_equal(
            zoorank.pairwise_distances(there),
            zoorank.pairwise_distances(there, there) * (1 - np.eye(len(host), dtype=dtype)),
        )
        np.testing.assert_allclose(
            zoorank.silhouette(there, Y, device="cpu").score, expected, atol=5e-6
        )


@pytest.mark.cuda
@on_a_device
def test_torch_tensors_are_used_on_their_stream_and_converted():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    host = X.astype(np.float32)
    expected = zoorank.silhouette(host, Y, device="cuda").score
    source = torch.from_numpy(host).cuda()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        stream.wait_stream(torch.cuda.default_stream())
        late = torch.zeros_like(source)
        torch.cuda._sleep(200_000_000)  # a tenth of a second: who does not wait reads zeros
        late.copy_(source)
        assert zoorank.silhouette(late, Y).score == expected
    half = source.half()
    assert zoorank.silhouette(half, Y).score == zoorank.silhouette(half.float(), Y).score
    assert zoorank.silhouette(source.requires_grad_(), Y).score == expected


@pytest.mark.cuda
@on_a_device
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_bad_row_is_named(cuda_everywhere, bad):
    broken = X.copy()
    broken[[17, 200], 5] = bad
    with pytest.raises(ValueError, match="X holds NaN or infinity; the first bad row is 17"):
        samples(broken, Y)
    with pytest.raises(ValueError, match="Y holds NaN or infinity; the first bad row is 17"):
        zoorank.pairwise_distances(X, broken)


@pytest.mark.cuda
@on_a_device
@pytest.mark.parametrize(
    ("metric", "dtype", "largest"),
    [
        ("euclidean", np.float32, 3e38),
        ("euclidean", np.float64, 1e300),
        ("sqeuclidean", np.float64, 1e300),
    ],
)
def test_values_beside_which_distances_vanish_are_refused(cuda_everywhere, metric, dtype, largest):
    far = X.astype(dtype)
    far[7] = largest
    with pytest.raises(ValueError, match=rf"row \d+ vanish beside them in {np.dtype(dtype)}"):
        samples(far, Y, metric)
    assert not samples(
        np.zeros_like(far), Y, metric
    ).any()  # rows that are equal are another matter


@pytest.mark.cuda
@on_a_device
def test_squares_of_float32_are_computed_in_float64_which_has_the_range(cuda_everywhere):
    far = X.astype(np.float32)
    far[7] = 3e38
    found, expected = samples(far, Y, "sqeuclidean"), on_the_cpu(samples, far, Y, "sqeuclidean")
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6)
    assert np.count_nonzero(np.abs(expected) > 1e-3) > len(Y) / 2


@pytest.mark.cuda
@on_a_device
@pytest.mark.parametrize("kernel", KERNELS)
def test_rows_some_of_whose_distances_vanish_are_refused(cuda_everywhere, monkeypatch, kernel):
    monkeypatch.setenv("ZOORANK_CUDA_KERNEL", kernel)
    rows = np.array([[0], [1e-4], [5], [2.6], [2.6], [1e27]], dtype=np.float32)
    X, y = np.tile(rows, (1, 64)), np.array([0, 0, 0, 1, 1, 2])
    expected = on_the_cpu(samples, X.astype(np.float64), y)
    np.testing.assert_allclose(samples(X, y), expected, rtol=0, atol=5e-6)
    X[5] = 4e30  # beside it the square of the least distance, but no other, is below 2^-126
    with pytest.raises(ValueError, match=r"row 0 vanish beside them in float32"):
        samples(X, y)


@pytest.mark.cuda
@on_a_device
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
@pytest.mark.parametrize(
    ("dtype", "largest", "least"), [(np.float32, 1e30, 2e-4), (np.float64, 1e200, 1e-90)]
)
def test_distances_that_vanish_are_computed_again(cuda_everywhere, metric, dtype, largest, least):
    small = np.array([[0], [least], [3], [5]], dtype=dtype)
    far = np.array([[largest]], dtype=dtype)
    with np.errstate(over="ignore"):
        found = zoorank.pairwise_distances(np.vstack([small, far]), metric=metric)
        farthest = far[0, 0] if metric == "euclidean" else np.square(far[0, 0])
    alone = on_the_cpu(zoorank.pairwise_distances, small, metric=metric)
    assert alone[0, 1] > 0
    np.testing.assert_allclose(found[:4, :4], alone, rtol=1e-5)
    np.testing.assert_allclose(found[4, :4], farthest, rtol=1e-5)


@pytest.mark.cuda
@on_a_device
def test_too_large_a_problem_says_what_would_fit(cuda_everywhere):
    rows = np.broadcast_to(np.float32(1), (1, 1 << 20))
    there = np.lib.stride_tricks.as_strided(rows, (1 << 22, 1 << 20), (0, 4))
    labels = np.arange(len(there)) % 2
    with pytest.raises(MemoryError, match=r"is out of memory: 4194304 rows need .* enough for"):
        samples(there, labels)


@pytest.mark.cuda
@on_a_device
def test_an_unknown_kernel_is_named_with_the_valid_ones(cuda_everywhere, monkeypatch):
    monkeypatch.setenv("ZOORANK_CUDA_KERNEL", "tma")
    with pytest.raises(ValueError, match="it must be auto, simt, mma or wgmma"):
        samples(X.astype(np.float32), Y)
