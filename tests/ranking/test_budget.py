"""A ranking that has to end in time says what was tried, and a longer one goes on from there."""

from __future__ import annotations

import csv
import io
import json
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from tests.ranking.tiny_zoo import tiny_zoo

from zoorank import rank
from zoorank.cli import main
from zoorank.errors import UsageError
from zoorank.executors import base
from zoorank.ranking import Ranking, budget, job, work
from zoorank.ranking.budget import family, sample_of
from zoorank.ranking.record import Trained, append_record
from zoorank.sources.base import Sized
from zoorank.sources.manifest import load_zoo
from zoorank.sources.torch.source import TorchSource
from zoorank.targets import load_target
from zoorank.targets.base import Target

pytest.importorskip("torch", reason="sources need torch: pip install 'zoorank[zoo]'")


def ranked(zoo, tmp_path, **options):
    place = tmp_path / "store"
    return rank(zoo.manifest, store=place, allow_code=[zoo.code], **options)


def larger(zoo, n=2000):
    """The zoo's target with so many samples, of which a sample can tell."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    X = rng.normal(size=(n, 6)) + 4.0 * np.eye(3, 6)[labels]
    np.savez(zoo.data, X=X.astype(np.float32), y=labels)


def passed(zoo):
    """How many samples went through each model."""
    found = Counter()
    for name, size in zoo.passes():
        found[name] += size
    return found


def scored(ranking, status="ok"):
    return {(row.model, row.cut): row.scores for row in ranking if row.status == status}


def test_with_time_enough_it_is_the_same_table(zoo, tmp_path):
    found = ranked(zoo, tmp_path, budget=600.0)
    plain = rank(zoo.manifest, store=tmp_path / "other", allow_code=[zoo.code])
    assert scored(found) == scored(plain)
    assert [(row.rank, row.model, row.score) for row in found] == [
        (row.rank, row.model, row.score) for row in plain
    ]
    assert found.budget.is_complete
    assert (found.budget.whole, found.budget.untried, found.untried) == (2, 0, ())
    assert "Budget of 10 min: of 2 sources 2 were scored on all 60 rows." in str(found)
    assert Ranking.from_json(found.to_json()) == found


class Watcher:
    """Lets time pass as samples go through the models, and keeps what it is told."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds
        self.done, self.finished_rows = {}, []

    def encoding(self, model, done, total):
        self.clock.now += self.seconds.get(model, 0.0) * (done - self.done.get(model, 0))
        self.done[model] = done if done < total else 0

    def finished(self, model, rows):
        self.finished_rows.append((model, {row.status for row in rows}))

    def __getattr__(self, name):
        return lambda *args: None


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only where a test says so."""
    found = SimpleNamespace(now=1000.0)
    found.monotonic = found.perf_counter = lambda: found.now
    for module in (budget, work, job, base):
        monkeypatch.setattr(module, "time", found)
    return found


def test_the_table_says_what_was_not_tried_and_a_longer_run_goes_on(tmp_path, clock):
    zoo = tiny_zoo(tmp_path / "zoo", models=6)
    takes = {f"net{i}": 1.0 for i in range(6)}  # a row
    options = {"out": tmp_path / "out", "progress": Watcher(clock, takes)}
    first = ranked(zoo, tmp_path, budget=200.0, **options)
    # Three fit. After these it is known that a fourth does not.
    assert [row.model for row in first.untried] == ["net3", "net4", "net5"]
    assert (first.budget.whole, first.budget.untried, first.budget.spent) == (3, 3, 180.0)
    for row in first.untried:
        assert (row.rank, row.score, row.cut, row.scores) == (None, None, None, {})
        note = "takes about 1 min, and 20 s of the budget of 3.33 min were left"
        assert row.note == note
    there = json.loads((tmp_path / "out" / "ranking.json").read_text())
    assert there["budget"]["untried"] == 3
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "ranking.csv").read_text())))
    assert [row["status"] for row in rows[-3:]] == ["untried"] * 3
    assert rows[-1]["note"] == first.untried[-1].note
    assert Ranking.from_json(first.to_json()) == first
    assert "3 were scored on all 60 rows and 3 were not tried" in str(first)

    before = len(zoo.passes())
    second = ranked(zoo, tmp_path, budget=200.0, **options)
    assert second.budget.is_complete
    assert {name for name, _ in zoo.passes()[before:]} == {"net3", "net4", "net5"}
    both = scored(first), scored(second)
    assert both[0].keys() < both[1].keys()
    for key in both[0]:
        assert both[0][key]["logme"] == both[1][key]["logme"]


def test_what_did_well_on_earlier_targets_comes_first(tmp_path, clock):
    zoo = tiny_zoo(tmp_path / "zoo", models=4)
    lines = [
        {"target": target, "source": f"net{i}", "cut": "1", "accuracy": 0.5 + 0.1 * (i == 2)}
        for target in ("birds", "cars")
        for i in range(4)
    ]
    record = tmp_path / "record.jsonl"
    append_record(record, [Trained(**line) for line in lines])
    watcher = Watcher(clock, {f"net{i}": 1.0 for i in range(4)})
    found = ranked(zoo, tmp_path, budget=60.5, record=record, progress=watcher)
    assert {row.model for row in found if row.status == "ok"} == {"net2"}


def test_what_runs_when_the_time_is_over_is_ended(tmp_path, clock):
    zoo = tiny_zoo(tmp_path / "zoo", models=3)
    watcher = Watcher(clock, {"net0": 1.0, "net1": 9.0, "net2": 1.0})
    found = ranked(zoo, tmp_path, budget=200.0, progress=watcher)
    assert [row.model for row in found.untried] == ["net1", "net2"]
    budget_ = "the budget of 3.33 min"
    assert found.untried[0].note == f"ended with {budget_}, after 3 min of its own"
    assert found.untried[1].note == f"{budget_} was over before its turn"
    assert [model for model, _ in watcher.finished_rows] == ["net0"]


def test_a_sample_comes_first_and_says_what_it_found(tmp_path, clock):
    zoo = tiny_zoo(tmp_path / "zoo", models=8)
    larger(zoo)
    watcher = Watcher(clock, {f"net{i}": 0.01 for i in range(8)})  # 20 s for all rows
    found = ranked(zoo, tmp_path, budget=60.0, progress=watcher)
    facts = found.budget
    assert (facts.sample_rows, facts.whole, facts.sampled, facts.untried) == (128, 2, 4, 2)
    rows = [row for row in found if row.status == "sampled"]
    whole = {row.model for row in found if row.status == "ok"}
    assert len(rows) == 2 * 4
    assert not {row.model for row in rows} & whole
    for row in rows:
        assert (row.rank, row.score, row.rows, row.half_width) == (None, None, 128, 0.0)
        assert set(row.scores) >= {"euclidean", "logme", "hscore", "knn"}
        assert "consensus" not in row.scores
        assert "takes about" in row.note
    assert list(found)[-len(rows) - 2 : -2] == rows
    assert found.best.status == "ok"
    frame = found.to_frame()
    assert list(frame[frame.status == "sampled"].rows) == [128] * len(rows)
    assert "2 were scored on all 2000 rows, 4 on 128 of them alone and 2 were not" in str(found)
    # Each row goes through a model once, and what the sample has shown is not shown again.
    seen = passed(zoo)
    assert {seen[name] for name in whole} == {2000}
    assert {seen[row.model] for row in rows} == {128}

    again = ranked(zoo, tmp_path, budget=60.0, progress=Watcher(clock, watcher.seconds))
    assert again.budget.whole > 2
    assert whole < {row.model for row in again if row.status == "ok"}
    assert max(passed(zoo).values()) == 2000
    plain = rank(zoo.manifest, store=tmp_path / "store", allow_code=[zoo.code])
    for key, scores in scored(again).items():
        assert scored(plain)[key]["logme"] == scores["logme"]


def test_processes_are_ended_with_the_budget(tmp_path, monkeypatch):
    pytest.importorskip("psutil", reason="processes need psutil: pip install 'zoorank[zoo]'")
    zoo = tiny_zoo(tmp_path / "zoo", models=2)
    first, _, last = zoo.manifest.read_text().rpartition("delay = 0.0")
    zoo.manifest.write_text(f"{first}delay = 8.0{last}")  # a batch, and so it does not hang
    clock = SimpleNamespace(late=0.0, now=0.0)
    clock.monotonic = lambda: time.monotonic() + clock.late
    monkeypatch.setattr(base, "time", clock)

    class Ender(Watcher):
        def finished(self, model, rows):
            clock.late = 1e6 if model == "net0" else 0.0

    found = ranked(zoo, tmp_path, budget=900.0, workers=2, progress=Ender(clock, {}))
    assert {row.model for row in found if row.status == "ok"} == {"net0"}
    assert [row.model for row in found.untried] == ["net1"]
    assert found.untried[0].note.startswith("ended with the budget of 15 min, after ")


def test_nobody_looks_for_changed_files_once_the_time_is_over(tmp_path, clock, monkeypatch):
    zoo = tiny_zoo(tmp_path / "zoo", models=1)
    looked = []
    monkeypatch.setattr(Target, "check_unchanged", lambda self: looked.append(clock.now))
    found = ranked(zoo, tmp_path, budget=200.0, progress=Watcher(clock, {"net0": 9.0}))
    assert found.untried[0].note.startswith("ended with the budget")
    assert looked == [1000.0]  # after the raw input


def test_no_time_at_all(zoo, tmp_path):
    found = ranked(zoo, tmp_path, budget=1e-6)
    assert found.best is None
    # Nothing is begun then, not even with the raw input.
    assert [row.status for row in found] == ["untried", "untried"]
    assert "No source could be scored" in found.verdict
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="budget must be more than 0 seconds"):
            ranked(zoo, tmp_path, budget=seconds)
    with pytest.raises(UsageError, match="leave out the race"):
        ranked(zoo, tmp_path, budget=1.0, race=True)


def test_what_fails_fails_in_time_too(broken_zoo, tmp_path):
    for _ in range(2):  # the second run knows who fails
        found = ranked(broken_zoo, tmp_path, budget=600.0)
        assert {row.model for row in found.failures} == {"no-weights", "no-network", "no-number"}
        assert (found.budget.whole, found.budget.failed) == (2, 3)


def test_a_cut_that_no_source_has(zoo, tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        ranked(zoo, tmp_path, budget=600.0, cuts="nowhere")


def test_what_has_been_found_so_far_is_there_at_any_moment(tmp_path, monkeypatch):
    monkeypatch.setattr("zoorank.ranking.budget._SHOWN", 0.0)
    monkeypatch.setattr("zoorank.ranking.budget._SHARE", 0.0)
    zoo = tiny_zoo(tmp_path / "zoo", models=3)
    seen = []

    class Looker(Watcher):
        def __init__(self):
            super().__init__(SimpleNamespace(now=0.0), {})

        def finished(self, model, rows):
            file = tmp_path / "out" / "ranking.json"
            if file.exists():
                there = Ranking.from_json(file)
                seen.append((there.budget.whole, [row.note for row in there.untried]))

    ranked(zoo, tmp_path, budget=600.0, out=tmp_path / "out", progress=Looker())
    assert seen == [(1, ["not tried so far"] * 2), (2, ["not tried so far"])]


def test_sizes_are_those_of_files_that_are_there(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"x" * 100)
    zoo = tmp_path / "zoo.toml"
    entry = '[[model]]\nfactory = "torch.nn:Linear"\npreprocessing.input = "table"\n'
    weights = ('{ file = "a.safetensors" }', '{ file = "none.safetensors" }', "{ random = {} }")
    zoo.write_text(
        "".join(f'{entry}name = "{i}"\nweights = {each}\n' for i, each in enumerate(weights))
    )
    sizes = [source.size() for source in load_zoo(zoo).models if isinstance(source, Sized)]
    assert sizes == [100, None, None]


@pytest.mark.parametrize("size", [OSError("a broken disk"), 0])
def test_a_size_that_nobody_can_tell_ends_nothing(zoo, tmp_path, monkeypatch, size):
    def fails(_):
        if isinstance(size, Exception):
            raise size
        return size

    monkeypatch.setattr(TorchSource, "size", fails)
    assert ranked(zoo, tmp_path, budget=600.0).budget.whole == 2


def test_families_of_names():
    names = {
        "torchvision:resnet50@IMAGENET1K_V2": "resnet",
        "st:sentence-transformers/all-MiniLM-L6-v2": "all",
        "7": "",
        "onnx:models/éclair_3.onnx": "éclair",
    }
    assert {name: family(name) for name in names} == names


def test_the_sample_has_every_class_in_its_share():
    labels = np.repeat([0, 1, 2], [2000, 1500, 500])
    target = load_target((np.zeros((4000, 3), np.float32) + np.arange(4000)[:, None], labels))
    rows = sample_of(target)
    assert np.bincount(labels[rows]).tolist() == [125, 94, 31]
    assert (np.diff(rows) > 0).all()
    X = np.random.default_rng(0).normal(size=(4000, 3)).astype(np.float32)
    numbers = load_target((X, X[:, 0].astype(np.float64)))
    assert numbers.task == "numbers"
    assert len(np.unique(sample_of(numbers))) == 250
    assert len(sample_of(load_target((X[:60], labels[:4000:67][:60])))) == 0


def test_the_command(zoo, tmp_path, capsys):
    pytest.importorskip("typer", reason="the command needs it: pip install 'zoorank[cli]'")
    arguments = ["rank", str(zoo.manifest), "--allow-code", str(zoo.code), "--workers", "0"]
    arguments += ["--store", str(tmp_path / "store"), "--quiet"]
    assert main([*arguments, "--budget", "10m"]) == 0
    assert "Budget of 10 min: of 2 sources 2 were scored" in capsys.readouterr().out
    assert main([*arguments, "--budget", "soon"]) == 2
    assert "write 90s, 10m or 2h" in capsys.readouterr().err
