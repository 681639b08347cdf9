"""A ranking on several machines is that of one process, whatever becomes of the machines."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

pytest.importorskip("ray", reason="needs Ray: pip install 'zoorank[ray]'")
pytest.importorskip("psutil", reason="worker processes need psutil: pip install 'zoorank[zoo]'")

import psutil
import ray
from ray.cluster_utils import Cluster
from tests.ranking.tiny_zoo import tiny_zoo

from zoorank import rank
from zoorank.errors import UsageError

# Ray's own, of connections that it leaves to the collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]


@pytest.fixture
def cluster(monkeypatch):
    """Three nodes of this machine, of which the one without processors is the caller's."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ZOORANK_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            made.add_node(num_cpus=1)
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


class Trouble:
    """Is told of a run, and takes away machines and processes at work, once or again and again."""

    def __init__(self, cluster, every=0):
        self.cluster, self.every, self.done = cluster, every, 0
        self.extra = cluster.add_node(num_cpus=1)
        self.killed = {"node": 0, "process": 0}

    def finished(self, model, rows):
        self.done += 1
        due = 1 + (self.done // self.every if self.every else 0)
        if self.killed["node"] < due and at_work(self.extra):
            self.cluster.remove_node(self.extra, allow_graceful=False)
            self.killed["node"] += 1
            if self.every:
                self.extra = self.cluster.add_node(num_cpus=1)
        elif self.killed["process"] < due:
            for each in [one for node in self.cluster.worker_nodes for one in at_work(node)][:1]:
                each.kill()
                self.killed["process"] += 1

    def __getattr__(self, name):
        return lambda *args: None


def at_work(node):
    """Ray's processes that do a job on a node."""
    (raylet,) = node.all_processes["raylet"]
    family = psutil.Process(raylet.process.pid).children(recursive=True)
    return [each for each in family if is_working(each)]


def is_working(process):
    try:
        return "ray::_work" in "".join(process.cmdline())
    except psutil.Error:
        return False


def comparable(ranking):
    """The rows without what a clock and a meter say."""
    return [
        replace(
            row,
            encode_seconds=None,
            score_seconds=None,
            traceback="",
            reused=False,
            facts=replace(row.facts, milliseconds=None, memory=None),
        )
        for row in ranking
    ]


def both(zoo, cluster, tmp_path, watcher, **options):
    given = {"allow_code": [zoo.code], "batch_size": 20, **options}
    there = rank(
        zoo.manifest, ray=cluster.address, store=tmp_path / "ray", progress=watcher, **given
    )
    ray.shutdown()
    return comparable(there), comparable(rank(zoo.manifest, store=tmp_path / "here", **given))


def test_a_lost_machine_and_a_lost_process_change_nothing(cluster, tmp_path):
    zoo = tiny_zoo(tmp_path / "zoo", models=6, delay=0.2, broken=True)
    trouble = Trouble(cluster)
    there, here = both(zoo, cluster, tmp_path, trouble)
    assert there == here
    assert trouble.killed == {"node": 1, "process": 1}
    assert [row.status for row in there].count("ok") == 12


def test_a_budget_counts_there_too(cluster, tmp_path):
    zoo = tiny_zoo(tmp_path / "zoo", models=3)
    watcher = SimpleNamespace(started=print, encoding=print, scoring=print, finished=print)
    there, here = both(zoo, cluster, tmp_path, watcher, budget=900.0)
    assert [(row.model, row.note) for row in there] == [(row.model, row.note) for row in here]
    assert there == here


def test_gpus_are_those_of_a_cluster(zoo):
    with pytest.raises(UsageError, match="of a Ray cluster, and none is named"):
        rank(zoo.manifest, gpus=0.5, allow_code=[zoo.code])


@pytest.mark.parametrize("gpus", [-1.0, 1.5, 0.00001, float("nan"), float("inf")])
def test_gpus_that_ray_does_not_deal_out_are_refused(zoo, gpus):
    with pytest.raises(UsageError, match=f"gpus must be a whole number, or .*, not {gpus:g}"):
        rank(zoo.manifest, gpus=gpus, ray="local", allow_code=[zoo.code])


@pytest.mark.long
def test_machines_that_come_and_go_change_nothing(cluster, tmp_path):
    zoo = tiny_zoo(tmp_path / "zoo", models=60, delay=0.1, broken=True)
    trouble = Trouble(cluster, every=12)
    there, here = both(zoo, cluster, tmp_path, trouble)
    assert there == here
    assert trouble.killed["node"] >= 4
    assert trouble.killed["process"] >= 4
