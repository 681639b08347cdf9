"""The engine in a process: interruption, forks, threads of the caller, imports."""

import os
import resource
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from tests.engine.processes import run_python

import zoorank


@pytest.fixture
def on_the_cpu(monkeypatch):
    """Where these calls take long; and a forked child has no other device."""
    monkeypatch.setenv("ZOORANK_DEVICE", "cpu")


@pytest.mark.usefixtures("on_the_cpu")
@pytest.mark.parametrize(
    ("metric", "n", "d", "classes", "delay"),
    [
        ("euclidean", 400_000, 64, 2, 1.5),  # three pairs of classes, minutes each
        ("cosine", 400_000, 8, 200_000, 1.5),
        ("manhattan", 100_000, 1000, 2, 1.5),  # many short loops over features
        ("euclidean", 200_000, 1024, 2, 0.1),  # while rows are checked and packed
        ("cosine", 200_000, 1024, 2, 0.1),  # while they are checked or summed up
    ],
)
def test_ctrl_c_ends_a_long_call_within_a_second(metric, n, d, classes, delay):
    program = f"""
        import os, signal, threading, time
        import numpy as np, zoorank
        X = np.random.default_rng(0).random(({n}, {d}), dtype=np.float32)
        y = np.arange({n}) % {classes}
        sent = []
        def interrupt():
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)
        threading.Timer({delay}, interrupt).start()
        try:
            zoorank.silhouette_samples(X, y, metric={metric!r}, n_threads=1)
        except KeyboardInterrupt:
            print("interrupted after", time.perf_counter() - sent[0])
    """
    run = run_python(program)
    assert run.stdout.startswith("interrupted after"), run.stderr
    assert float(run.stdout.split()[-1]) < 1


@pytest.mark.usefixtures("on_the_cpu")
def test_the_engine_works_after_an_interrupt():
    X, y = np.ones((200_000, 64), np.float32), np.arange(200_000) % 2
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        zoorank.silhouette_samples(X, y)
    timer.join()
    assert zoorank.silhouette_score([[0.0], [1.0], [5.0]], [0, 0, 1]) > 0


@pytest.mark.usefixtures("on_the_cpu")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_computes():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((2000, 30)), rng.integers(0, 3, 2000)
    expected = zoorank.silhouette_score(X, y, n_threads=2)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if zoorank.silhouette_score(X, y, n_threads=2) == expected else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.usefixtures("on_the_cpu")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_threads_that_fork_while_others_compute():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 8)), np.arange(60) % 3
    expected, statuses = zoorank.silhouette_score(X, y, n_threads=2), []

    def call() -> None:
        for _ in range(10):
            for _ in range(10):
                zoorank.silhouette_score(X, y, n_threads=2)
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                os._exit(0 if zoorank.silhouette_score(X, y, n_threads=2) == expected else 1)
            statuses.append(os.waitpid(child, 0)[1])

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert statuses == [0] * 80


@pytest.mark.usefixtures("on_the_cpu")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells what is resident")
def test_ten_thousand_calls_keep_nothing():
    def held() -> tuple[int, int]:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize(), len([*Path("/proc/self/fd").iterdir()])

    X = np.random.default_rng(0).standard_normal((60, 8), dtype=np.float32)
    y = np.arange(60) % 3
    for _ in range(500):
        zoorank.silhouette_score(X, y)
    size, files = held()
    for number in range(10_000):
        zoorank.silhouette_score(X, y, metric=("cosine", "euclidean")[number % 2])
    assert held()[1] == files
    assert held()[0] - size < 2 * 2**20


def test_callers_may_have_threads_of_their_own():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((1500, 20)), rng.integers(0, 4, 1500)
    expected = zoorank.silhouette_samples(X, y)
    results = [None] * 6

    def call(i):
        results[i] = zoorank.silhouette_samples(X, y, n_threads=2)

    callers = [threading.Thread(target=call, args=(i,)) for i in range(len(results))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_the_gil_is_free_while_the_engine_works():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((6000, 300)), rng.integers(0, 4, 6000)
    longest_pause = 0.0
    done = threading.Event()

    def tick():
        nonlocal longest_pause
        last = time.perf_counter()
        while not done.is_set():
            time.sleep(0.001)
            now = time.perf_counter()
            longest_pause, last = max(longest_pause, now - last), now

    ticker = threading.Thread(target=tick)
    ticker.start()
    begin = time.perf_counter()
    zoorank.silhouette_samples(X, y, n_threads=1)
    seconds = time.perf_counter() - begin
    done.set()
    ticker.join()
    assert longest_pause < max(0.5 * seconds, 0.1)


def test_number_of_threads_from_the_environment():
    assert run_python(
        "import zoorank; print(zoorank.build_info()['threads'])", ZOORANK_NUM_THREADS="3"
    ).stdout.split() == ["3"]
    run = run_python("import zoorank; zoorank.build_info()", ZOORANK_NUM_THREADS="many")
    assert "ZOORANK_NUM_THREADS must be a number of at least 1, got 'many'" in run.stderr


def test_memory_grows_with_rows_not_with_pairs():
    # A matrix of all distances would take 3.6 GB; 30 000 x 16 floats take 2 MB.
    run = run_python(
        """
        import resource
        import numpy as np, zoorank
        X = np.random.default_rng(0).standard_normal((30_000, 16), dtype=np.float32)
        y = np.arange(30_000) % 300
        zoorank.silhouette_samples(X[:300], y[:300] % 7)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        zoorank.silhouette_samples(X, y)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """
    )
    assert int(run.stdout) < 50_000, "kilobytes more than before the call"
