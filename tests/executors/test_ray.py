"""Jobs on several machines: what becomes of a machine changes nothing that comes of a job."""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("ray", reason="needs Ray: pip install 'zoorank[ray]'")
pytest.importorskip("psutil", reason="worker processes need psutil: pip install 'zoorank[zoo]'")

import psutil
import ray
from ray.cluster_utils import Cluster
from tests.executors.jobs import Job, Unreadable, work

from zoorank.errors import StoreError, UsageError, ZoorankError
from zoorank.executors.base import STOPPED, Event, Failure, Limits, LocalExecutor
from zoorank.executors.ray import RayExecutor, _Run

# Ray's own, of connections that it leaves to the collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture(scope="module")
def cluster():
    """Three nodes of this machine, of which the one without processors is the caller's."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(Path.cwd())
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            made.add_node(num_cpus=1)
        yield made
    finally:
        ray.shutdown()
        made.shutdown()
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


@pytest.fixture
def executor(cluster):
    with RayExecutor(cluster.address, Limits(timeout=20.0)) as made:
        yield made


def outcomes(executor, todo, on_event=lambda event: None, shared="s"):
    return {job.name: outcome for job, outcome in executor.run(work, shared, todo, on_event)}


def processes(title, node=None):
    """Ray's processes that do this now, on any node or on one."""
    roots = [psutil.Process()]
    if node is not None:
        roots = [psutil.Process(each.process.pid) for each in node.all_processes["raylet"]]
    family = [each for root in roots for each in root.children(recursive=True)]
    return [each for each in family if title in line_of(each)]


def line_of(process):
    try:
        return "".join(process.cmdline())
    except psutil.Error:  # it is gone
        return ""


def one_at_work(node=None):
    """A process that does a job, once there is one."""
    deadline = time.monotonic() + 20
    while not (found := processes("ray::_work", node)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found[0]


@pytest.fixture
def sent(monkeypatch):
    """How often each job was handed to the cluster."""
    found, send = Counter(), _Run._send

    def counted(self, sent):
        found[sent.job.name] += 1
        send(self, sent)

    monkeypatch.setattr(_Run, "_send", counted)
    return found


def test_a_job_fails_there_as_it_does_here(executor):
    todo = [
        Job("good", given=0.1),
        Job("raise", "raise", KeyError("layer4")),
        Job("end", "end", 3),
        Job("segfault", "segfault"),
        Job("lock", "give a lock"),
        Job("last", given=1 / 3),
    ]
    events = []
    found = outcomes(executor, todo, events.append)
    assert found["good"] == ("s", "good", 0.1)
    assert found["last"] == ("s", "last", 1 / 3)
    assert found["end"].reason == "its code ended the process (exit code 3)"
    assert found["segfault"].reason == "its process crashed (SIGSEGV)"
    assert "in string_at" in found["segfault"].traceback
    here = outcomes(LocalExecutor(), todo[:2])
    assert found["raise"].reason == here["raise"].reason
    assert "in _raise" in found["raise"].traceback
    assert found["lock"].reason.startswith("TypeError: cannot pickle")
    assert Event("good", "opening") in events


def test_a_part_of_a_gpu_is_asked_for(cluster):
    node = cluster.add_node(num_cpus=5, num_gpus=1)
    try:
        with RayExecutor(cluster.address, Limits(timeout=20.0), gpus=0.5) as executor:
            assert executor.places == 2
            todo = [Job(str(i), "environment", ["CUDA_VISIBLE_DEVICES"]) for i in range(3)]
            assert {outcome[2][0] for outcome in outcomes(executor, todo).values()} == {"0"}
        with RayExecutor(cluster.address, gpus=0.2) as executor:
            assert executor.places == 5  # though 1 // 0.2 is 4, of floats
        with (
            RayExecutor(cluster.address, gpus=2.0) as executor,
            pytest.raises(ZoorankError, match=r"1 processor and 2 GPUs that a job .* --gpus"),
        ):
            outcomes(executor, [Job("a")])
    finally:
        cluster.remove_node(node)


def test_what_cannot_be_sent_fails_alone(executor):
    found = outcomes(executor, [Job("bad", given=threading.Lock()), Job("good", given=1)])
    assert found["bad"].reason.startswith("TypeError: cannot pickle")
    assert found["good"] == ("s", "good", 1)


def test_a_full_disk_ends_the_run(executor):
    with pytest.raises(StoreError, match="no space left"):
        outcomes(executor, [Job("a", "fill the disk"), Job("b", "sleep", 30)])
    assert outcomes(executor, [Job("a", given=2)], shared="t") == {"a": ("t", "a", 2)}


def test_every_machine_works_and_each_job_has_its_threads(executor):
    todo = [Job(str(i), "sleep and give the process", 0.5) for i in range(4)]
    assert len({outcome[2] for outcome in outcomes(executor, todo).values()}) == 2
    names = ["OMP_NUM_THREADS", "ZOORANK_NUM_THREADS"]
    found = outcomes(executor, [Job("a", "environment", names)])
    assert found["a"][2] == ["1", "1"]


def test_no_machine_is_large_enough(cluster):
    with (
        RayExecutor(cluster.address, threads=64) as executor,
        pytest.raises(ZoorankError, match=r"no machine .* has the 64 processors that a job"),
    ):
        outcomes(executor, [Job("a")])


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379", "127.0.0.1", "?"])
def test_there_is_no_such_cluster(address):
    with pytest.raises(UsageError, match=f"there is no Ray cluster at '{re.escape(address)}': "):
        RayExecutor(address)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "something listens there and says nothing for"),
        (b"HTTP/1.1 400 Bad Request", "no Ray"),
    ],
)
def test_what_listens_there_is_no_ray(monkeypatch, answer, said):
    monkeypatch.setattr("zoorank.executors.cluster._REACH", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            line, _ = server.accept()
            lines.append(line)
            line.sendall(answer)

        lines = []
        threading.Thread(target=serve, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(UsageError, match=said):
            RayExecutor(f"127.0.0.1:{server.getsockname()[1]}")
        assert time.monotonic() - began < 10
        lines[0].close()


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("auto", ConnectionError("none"), r"is part of no Ray cluster \(none\): have it join"),
        (None, RuntimeError("no room"), "cannot be started on this machine: no room; `ray start"),
        ("nowhere", SystemExit(15), "at 'nowhere': Ray gave up and ended with code 15; on its h"),
        ("ray://nowhere", ImportError("grpc"), "there is no Ray cluster at 'ray://nowhere': grpc"),
    ],
)
def test_who_has_no_cluster_is_told_what_to_do(monkeypatch, address, error, said):
    def refuse(**_):
        raise error

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(UsageError, match=said):
        RayExecutor(address)


def test_ray_that_is_not_there_is_told_from_one_that_is_broken(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="which is not installed: pip install 'zoorank"):
        RayExecutor()
    broken = ModuleType("ray")  # its modules are not found
    monkeypatch.setitem(sys.modules, "ray", broken)
    monkeypatch.delitem(sys.modules, "ray.util.scheduling_strategies", raising=False)
    monkeypatch.delitem(sys.modules, "ray.util", raising=False)
    with pytest.raises(UsageError, match="Ray is installed and cannot be imported: "):
        RayExecutor()


def test_a_machine_and_a_process_that_are_lost_cost_a_try(cluster, sent, capfd):
    third = cluster.add_node(num_cpus=1)
    todo = [Job(str(i), "sleep", 2.0) for i in range(7)]
    with RayExecutor(cluster.address) as executor, ThreadPoolExecutor(1) as thread:
        found = thread.submit(outcomes, executor, todo)
        one_at_work(third)  # it has just begun
        cluster.remove_node(third, allow_graceful=False)
        one_at_work(next(iter(cluster.worker_nodes))).kill()
        assert found.result(60) == {job.name: ("s", job.name, None) for job in todo}
    assert sum(sent.values()) >= len(todo) + 2  # what ran there was run again
    assert capfd.readouterr().out == ""


def test_what_is_lost_again_and_again_is_given_up(executor, sent):
    executor.retries = 1
    todo = [Job("bad", "touch", "/dev/null"), Job("good", given=1)]
    with ThreadPoolExecutor(1) as thread:
        run = executor.run(work, "s", todo, lambda event: None)
        assert next(run)[0].name == "good"
        rest = thread.submit(list, run)
        while not rest.done():
            for each in processes("ray::_work"):
                each.kill()
            time.sleep(0.2)
    ((job, bad),) = rest.result()
    assert (job.name, bad.kind) == ("bad", "crash")
    said = "it was lost in each of 2 tries (at last Ray's process on its machine ended; Ray's logs"
    assert bad.reason.startswith(said)
    assert sent == {"bad": 2, "good": 1}


def test_a_want_of_memory_costs_a_try_and_is_said(cluster, sent):
    none_left = {"RAY_memory_usage_threshold": "0.0", "RAY_memory_monitor_refresh_ms": "50"}
    node = cluster.add_node(num_cpus=8, env_vars=none_left)
    try:
        with RayExecutor(cluster.address, threads=4, retries=2) as executor:
            found = outcomes(executor, [Job("a", "sleep", 60), Job("b", "sleep", 60)])
    finally:
        cluster.remove_node(node)
    for each in found.values():
        assert each.kind == "memory"
        assert "in each of 3 tries (at last its machine had no memory left" in each.reason
    assert sent == {"a": 3, "b": 3}


def test_events_may_be_lost_with_the_process_that_keeps_them(executor):
    todo = [Job(str(i), "sleep", 1.0) for i in range(6)]
    run = executor.run(work, "s", todo, lambda event: None)
    found = [next(run)]
    (mailbox,) = processes("ray::_Mailbox")
    mailbox.kill()
    found += run
    assert {job.name for job, _ in found} == {job.name for job in todo}
    assert not any(isinstance(outcome, Failure) for _, outcome in found)


def test_a_job_that_cannot_be_read_there_fails_alone(executor):
    found = outcomes(executor, [Job("bad", given=Unreadable()), Job("good", given=1)])
    assert found["bad"].kind == "error"
    assert found["good"] == ("s", "good", 1)


def test_what_no_machine_can_read_ends_the_run(executor):
    with pytest.raises(ZoorankError, match=r"on the machine .* no job can be begun: .*; each mac"):
        outcomes(executor, [Job("a")], shared=Unreadable())


def test_a_run_that_is_given_up_ends_its_jobs(executor, tmp_path):
    place = tmp_path / "pid"
    run = executor.run(work, "s", [Job("a"), Job("b", "touch", str(place))], lambda event: None)
    next(run)
    deadline = time.monotonic() + 20
    while not (place.exists() and place.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.close()
    while psutil.pid_exists(int(place.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_at_the_deadline_what_runs_there_is_ended(executor, tmp_path):
    place = tmp_path / "pid"
    todo = [Job("a", given=1), Job("b", "touch", str(place)), Job("c", "sleep", 60), Job("d")]
    run = executor.run(work, "s", todo, lambda event: None, time.monotonic() + 8.0)
    found = {job.name: outcome for job, outcome in run}
    assert found == {"a": ("s", "a", 1), "b": STOPPED, "c": STOPPED}
    deadline = time.monotonic() + 20
    while psutil.pid_exists(int(place.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_head_that_answers_no_more_is_said_before_ray_ends_the_process(tmp_path):
    """In a process of its own, which Ray would end after a minute."""
    code = """
        import sys, threading, time
        import psutil
        from ray.cluster_utils import Cluster
        from tests.executors.jobs import Job, work
        from zoorank.executors import cluster as module
        from zoorank.executors.ray import RayExecutor

        module._PATIENCE = 3.0
        head = {"num_cpus": 0, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        cluster.add_node(num_cpus=1)
        with RayExecutor(cluster.address) as executor:
            todo = [Job(str(i), "sleep", 0.5) for i in range(200)]
            run = executor.run(work, "s", todo, lambda event: None)
            next(run)
            for each in psutil.Process().children(recursive=True):
                if "gcs_server" in each.name():
                    each.kill()
            began = time.monotonic()
            try:
                list(run)
            except module.ZoorankError as error:
                print(time.monotonic() - began < 40, error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    said = r"True the head of the Ray cluster, \S+, answers no more; when `ray status`"
    assert re.search(said, done.stdout)


@pytest.mark.long
def test_machines_that_come_and_go_change_nothing(cluster, sent):
    chance = random.Random(0)
    todo = [Job(str(i), "sleep", 0.05) for i in range(400)]
    bad = {str(i): ("end", "segfault", "raise")[i % 3] for i in range(0, 400, 10)}
    todo = [Job(j.name, bad[j.name], 1) if j.name in bad else j for j in todo]
    extra = cluster.add_node(num_cpus=1)
    found = {}
    with RayExecutor(cluster.address, retries=10) as executor:
        for i, (job, outcome) in enumerate(executor.run(work, "s", todo, lambda event: None)):
            found[job.name] = outcome
            if i % 80 == 40:
                cluster.remove_node(extra, allow_graceful=False)
                extra = cluster.add_node(num_cpus=1)
            elif i % 20 == 10 and (there := processes("ray::_work")):
                chance.choice(there).kill()
    cluster.remove_node(extra, allow_graceful=False)
    assert len(found) == 400
    assert sum(sent.values()) >= 410  # of what was lost, some was running
    assert {name for name, each in found.items() if isinstance(each, Failure)} == set(bad)


def test_alone_it_starts_ray_here_and_ends_it():
    with RayExecutor(limits=Limits(timeout=20.0)) as executor:
        assert outcomes(executor, [Job("a", given=1)]) == {"a": ("s", "a", 1)}
    assert not ray.is_initialized()
