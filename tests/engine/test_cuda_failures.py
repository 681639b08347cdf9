"""What the engine says and leaves behind when a CUDA device fails; on the emulated one."""

import os
import re
import signal
import threading

import numpy as np
import pytest
from tests.engine.emulated import (
    emulated_machine,  # noqa: F401  a fixture
    on_the_emulator,
    radii_of,
    silhouettes_of_some,
    surrogate_of,
)
from tests.engine.processes import run_python

import zoorank
from zoorank.engine import cuda

pytestmark = [pytest.mark.cuda, on_the_emulator]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((280, 70)).astype(np.float32)
Y = np.arange(280) % 9
NARROW = X[:, :5]

WAYS = {
    "split": lambda X: zoorank.silhouette_samples(X, Y),
    "narrow": lambda X: zoorank.silhouette_samples(X[:, :5], Y),
    "float64": lambda X: zoorank.silhouette_samples(X[:, :5].astype(np.float64), Y),
    "manhattan": lambda X: zoorank.silhouette_samples(X[:, :5], Y, metric="manhattan"),
    "sqeuclidean": lambda X: zoorank.silhouette_samples(X, Y, metric="sqeuclidean"),
    "cosine": lambda X: zoorank.silhouette_samples(X, Y, metric="cosine"),
    "distances": lambda X: zoorank.pairwise_distances(X[:, :5], X[:9, :5]),
    "directions": lambda X: zoorank.pairwise_distances(X[:, :5], metric="cosine"),
    "backwards": lambda X: zoorank.silhouette_samples(X[::-1, :5], Y),
    "upload": lambda X: cuda.to_device(X).shape,
    "batch": lambda X: zoorank.silhouette_batch([X[:, :5]], Y, metric=["euclidean", "cosine"]),
    "surrogate": lambda X: surrogate_of(X, Y),
    "some rows": lambda X: silhouettes_of_some(X, Y, Y[:5]),
    "radii": lambda X: radii_of(X, Y),
    "references": lambda X: zoorank.silhouette_samples(
        X[:, :5], Y % 3, method="estimate", references=8, random_state=0
    ),
}


SEVERAL = ("batch", "surrogate", "some rows", "radii", "references")  # calls one after the other


@pytest.fixture(autouse=True)
def cuda_everywhere(monkeypatch):
    monkeypatch.setenv("ZOORANK_DEVICE", "cuda")


def fail_one_after_the_other(machine, setting, work, check):
    """Let the first, the second, ... fail until `work` is done before; how many did."""
    before = machine["allocations"], machine["events"]
    for number in range(1, 1000):
        machine.set(**{setting: number})
        try:
            work(X)
        except (MemoryError, RuntimeError) as error:
            check(error)
        else:
            machine.set(**{setting: 0})
            return number - 1
        finally:
            machine.set(**{setting: 0})
        assert (machine["allocations"], machine["events"]) == before, f"number {number}"
    raise AssertionError("no end")


def test_the_build_says_that_the_device_is_none():
    assert zoorank.build_info()["cuda_devices"] == ["emulated on the host (9.0)"]


@pytest.mark.parametrize("way", WAYS)
def test_memory_that_is_refused_is_an_error_and_leaves_nothing(machine, way):
    def check(error):
        assert type(error) is MemoryError
        assert str(error) == "CUDA, allocating memory: out of memory"

    assert fail_one_after_the_other(machine, "failing_allocation", WAYS[way], check) > 0


@pytest.mark.parametrize("way", [way for way in WAYS if way != "upload"])
def test_a_launch_that_fails_is_an_error_and_leaves_nothing(machine, way):
    def check(error):
        assert type(error) is RuntimeError
        assert re.fullmatch("CUDA, [a-z ]+: too many resources requested for launch", str(error))

    assert fail_one_after_the_other(machine, "failing_launch", WAYS[way], check) > 0


@pytest.mark.parametrize("way", [way for way in WAYS if way != "upload"])
def test_a_kernel_that_fails_is_an_error_in_one_line(machine, way):
    def check(error):
        assert type(error) is RuntimeError
        assert re.fullmatch("CUDA, [a-z ]+: an illegal memory access was .*", str(error))

    assert fail_one_after_the_other(machine, "faulting_launch", WAYS[way], check) > 0


@pytest.mark.parametrize("way", WAYS)
def test_what_does_not_fit_is_known_before_anything_is_allocated(machine, way):
    # Whatever memory there is, it suffices or a message says what would: reserve() asks for enough.
    wrong = []
    for memory in np.geomspace(1 << 12, 1 << 24, 20).astype(int).tolist():
        machine.set(memory=memory)
        launches = machine["launches"]
        try:
            WAYS[way](X)
        except MemoryError as error:
            found = re.fullmatch(
                r"emulated on the host is out of memory: \d+ rows need 0\.\d\d GiB, "
                r"0\.\d\d GiB are free, enough for about \d+ rows",
                str(error),
            )
            if not found or (machine["launches"] != launches and way not in SEVERAL):
                wrong.append((memory, str(error)))
    assert wrong == []


def test_as_many_rows_as_are_said_to_fit_do_fit(machine):
    machine.set(memory=1 << 22)
    with pytest.raises(MemoryError) as caught:
        zoorank.silhouette_samples(RNG.standard_normal((20_000, 5)), np.arange(20_000) % 3)
    rows = int(re.search(r"enough for about (\d+) rows", str(caught.value))[1])
    assert 100 < rows < 20_000
    zoorank.silhouette_samples(
        RNG.standard_normal((rows * 9 // 10, 5)), np.arange(rows * 9 // 10) % 3
    )


def test_an_interrupted_call_leaves_nothing(machine):
    def interrupt(fraction):
        raise KeyboardInterrupt

    before = machine["allocations"], machine["events"]
    for work in (
        lambda: surrogate_of(X, Y, interrupt),
        lambda: silhouettes_of_some(X, Y, Y[:5], interrupt),
        lambda: zoorank.silhouette(X, Y, method="estimate", progress=interrupt),
    ):
        with pytest.raises(KeyboardInterrupt):
            work()
        assert (machine["allocations"], machine["events"]) == before


def test_ctrl_c_ends_a_long_call_and_leaves_nothing(machine):
    before = machine["allocations"], machine["events"]
    rows = RNG.standard_normal((4000, 3)).astype(np.float32)
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        zoorank.silhouette_samples(rows, np.arange(4000) % 3)
    timer.join()
    assert (machine["allocations"], machine["events"]) == before
    assert zoorank.silhouette_score([[0.0], [1.0], [5.0]], [0, 0, 1]) > 0


def test_callers_may_have_threads_of_their_own(machine):
    machine.set(devices=2)
    expected = zoorank.silhouette_samples(NARROW, Y)
    results = [None] * 6

    def call(i):
        results[i] = zoorank.silhouette_samples(NARROW, Y)

    callers = [threading.Thread(target=call, args=(i,)) for i in range(len(results))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for found in results:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("driver=0", "there is no NVIDIA driver on this machine (libcuda.so.1 is not found)"),
        (
            "driver=12080",
            (
                "the NVIDIA driver supports CUDA 12.8 at most, and this build of zoorank needs a "
                "driver for CUDA 13 (580 or newer)"
            ),
        ),
        (
            "devices=0",
            "there is an NVIDIA driver and no CUDA device (CUDA_VISIBLE_DEVICES may hide one)",
        ),
        (
            "major=7 minor=5",
            "emulated on the host has compute capability 7.5; zoorank needs 8.0 or newer",
        ),
    ],
)
def test_a_machine_that_cannot_be_used_says_why(settings, reason):
    run = run_python(
        """
        import zoorank
        info = zoorank.build_info()
        assert info["cuda_built"] and not info["cuda_available"] and not info["cuda_devices"]
        print(info["cuda_unavailable_reason"])
        try:
            zoorank.silhouette([[0.0], [1.0], [5.0]], [0, 0, 1], device="cuda")
        except RuntimeError as error:
            print(error)
        """,
        ZOORANK_EMULATED_CUDA=settings,
        ZOORANK_DEVICE="cpu",
    )
    assert run.stdout.splitlines() == [reason, f"device='cuda': {reason}"], run.stderr


def test_kernels_are_chosen_by_compute_capability():
    program = """
        import numpy as np, zoorank
        from zoorank import _cuda
        X = np.random.default_rng(0).standard_normal((200, 70)).astype(np.float32)
        y = np.arange(200) % 3
        there, here = (zoorank.silhouette(X, y, device=d).score for d in ("cuda", "cpu"))
        print(_cuda.euclidean_kernel(70, 0), abs(there - here) < 5e-6)
    """
    for settings, kernel in (("major=8 minor=0", "mma"), ("major=9", "wgmma"), ("major=12", "mma")):
        run = run_python(program, ZOORANK_EMULATED_CUDA=settings)
        assert run.stdout.split() == [kernel, "True"], run.stderr


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_forked_off_after_cuda_was_used_is_told_so():
    zoorank.silhouette_samples(NARROW, Y)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            zoorank.silhouette_samples(NARROW, Y)
        except BaseException as error:  # noqa: BLE001  whatever it is, the parent has to see it
            os.write(write, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    assert re.fullmatch(
        r"RuntimeError: CUDA, [a-z ]+: initialization error \(a process that was forked off after "
        r"CUDA was used cannot use it: start processes with spawn\)",
        said,
    )
