from __future__ import annotations

import pickle
import platform
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.ranking.tiny_zoo import tiny_zoo

import zoorank
from zoorank.errors import DataError, ManifestError, StoreError, UsageError
from zoorank.ranking import Ranking
from zoorank.ranking.page import score_name
from zoorank.ranking.rank import rank
from zoorank.ranking.work import Silent
from zoorank.scores import TABLE, computing


class Recorder:
    """Writes down what a run tells."""

    def __init__(self):
        self.events = []

    def started(self, target, models):
        self.events.append(("started", target.name, tuple(models)))

    def encoding(self, model, done, total):
        self.events.append(("encoding", model, done, total))

    def scoring(self, model, cut):
        self.events.append(("scoring", model, cut))

    def finished(self, model, rows):
        self.events.append(("finished", model, len(rows)))


def ranked(zoo, **settings):
    settings = {"allow_code": [zoo.code], "store": zoo.folder / "store", **settings}
    return rank(zoo.manifest, **settings)


def table(ranking):
    """All of the rows but what a clock says and where the encodings came from."""
    return [replace(row, score_seconds=None, reused=False) for row in ranking]


def test_every_source_is_scored_at_every_cut(zoo):
    ranking = ranked(zoo, metric="cosine")
    assert {(row.model, row.cut) for row in ranking} == {
        ("net0", "1"), ("net0", "penultimate"), ("net1", "1"), ("net1", "penultimate"),
        ("raw input", None),
    }  # fmt: skip
    scores = [row.score for row in ranking]
    assert scores == sorted(scores, reverse=True)
    assert [row.rank for row in ranking if row.status == "ok"] == [1, 2, 3, 4]
    assert {row.dim for row in ranking if row.model == "net1"} == {9}
    assert {row.parameters_kept for row in ranking if row.cut == "1"} == {6 * 8 + 8, 6 * 9 + 9}


@pytest.mark.parametrize("kind", [str, Path])
def test_code_is_allowed_from_one_directory_without_a_list(zoo, kind):
    ranking = ranked(zoo, allow_code=kind(zoo.code))
    assert ranking.best is not None
    assert ranking.provenance.settings["allow_code"] == [str(zoo.code)]


def test_both_silhouettes_are_shown_and_the_metric_decides(zoo):
    by_cosine, by_euclidean = ranked(zoo, metric="cosine"), ranked(zoo, metric="euclidean")
    by_manhattan = ranked(zoo, metric="manhattan")
    assert list(by_euclidean.labels) == ["euclidean", "cosine"]
    assert list(by_manhattan.labels) == ["manhattan", "cosine", "euclidean"]
    assert all(row.score == row.scores["euclidean"] for row in by_euclidean)
    both = {(row.model, row.cut): dict(row.scores) for row in by_cosine}
    assert both == {(row.model, row.cut): dict(row.scores) for row in by_euclidean}


def test_the_baseline_is_the_raw_input_scored_the_same_way(zoo):
    baseline = ranked(zoo, metric="cosine").baseline
    with np.load(zoo.data) as data:
        X, y = data["X"], data["y"]
    expected = zoorank.silhouette(X, y, metric="cosine")
    assert baseline.score == expected.score
    assert baseline.per_class == tuple(expected.per_class)
    assert (baseline.dim, baseline.parameters_kept, baseline.rank) == (6, 0, None)


def test_the_verdict_says_when_the_zoo_does_not_help(zoo):
    ranking = ranked(zoo)
    helps = ranking.best.score > ranking.baseline.score
    assert helps == ranking.verdict.startswith("Try ")
    with np.load(zoo.data) as data:
        y = data["y"]
    perfect = np.eye(6, dtype=np.float32)[np.repeat([0, 1, 2], 20)]
    perfect[:, 3:] = np.random.default_rng(0).normal(size=(60, 3)) / 1e3
    ranking = ranked(zoo, data=(perfect, y))
    assert ranking.rows[0].status == "baseline"
    assert ranking.verdict.startswith("On this target the raw input is already at least as good")


def test_a_ranking_without_a_scored_source_has_no_best_and_prints_the_reasons(tmp_path):
    zoo = tiny_zoo(tmp_path, models=0, broken=True)
    ranking = ranked(zoo)
    assert ranking.best is None
    assert {row.model for row in ranking.failures} == {"no-weights", "no-network", "no-number"}
    assert all(row.note and row.note in str(ranking) for row in ranking.failures)
    assert "``best`` is None" in rank.__doc__


def test_a_source_that_fails_is_a_row_with_its_reason(broken_zoo):
    ranking = ranked(broken_zoo)
    assert len([row for row in ranking if row.status == "ok"]) == 4
    assert [row.model for row in ranking.rows[-3:]] == ["no-weights", "no-network", "no-number"]
    reasons = [row.note for row in ranking.failures]
    assert "absent.safetensors" in reasons[0]
    assert "no such variant" in reasons[1]
    assert "NaN" in reasons[2]
    assert not any("\n" in reason for reason in reasons)


def test_a_score_that_is_undefined_on_one_encoding_is_a_note(zoo, monkeypatch):
    right = computing._value

    def fails_once(score, given, shared):
        if shared.X.shape[1] == 9 and score.metric == "euclidean":
            raise ValueError("X is\nodd")
        return right(score, given, shared)

    monkeypatch.setattr(computing, "_value", fails_once)
    ranking = ranked(zoo)
    assert [(row.model, row.note) for row in ranking.failures] == [("net1", "X is odd")] * 2
    assert ranking.best.model == "net0"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite_is_no_score(zoo, monkeypatch, value):
    right = computing._value

    def spoiled(score, given, shared):
        if shared.X.shape[1] != 9:
            return right(score, given, shared)
        spoils = replace(
            score, of_shared=lambda each: replace(right(score, given, each), value=value)
        )
        return right(spoils, given, shared)

    monkeypatch.setattr(computing, "_value", spoiled)
    ranking = ranked(zoo, metric="cosine")
    assert {row.model for row in ranking.failures} == {"net1"}
    assert ranking.failures[0].note == f"MSC cosine is {value}"
    assert Ranking.from_json(ranking.to_json()) == ranking


def test_what_no_cut_changes_is_computed_once_for_each_source(zoo, monkeypatch):
    computed = []
    right = computing._value

    def counts(score, given, shared):
        computed.append(score.name)
        return right(score, given, shared)

    monkeypatch.setattr(computing, "_value", counts)
    ranking = ranked(zoo, score="leep,knn")
    assert (computed.count("leep"), computed.count("knn")) == (2, 5)
    for model in ("net0", "net1"):
        leeps = [row.scores["leep"] for row in ranking if row.model == model]
        assert len(leeps) == 2
        assert len(set(leeps)) == 1
    assert "leep" not in ranking.baseline.scores


def test_numbers_are_ranked_by_scores_of_numbers(tmp_path, zoo):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 6)).astype(np.float32)
    ranking = ranked(zoo, data=(X, X[:, 0] + 0.1 * rng.normal(size=60)))
    assert ranking.target.task == "numbers"
    assert ranking.target.classes == ()
    assert set(ranking.best.scores) == {"consensus", "logme", "knn_r2", "ridge_r2"}
    assert "silhouette" not in str(ranking)
    assert Ranking.from_json(ranking.to_json()) == ranking
    with pytest.raises(UsageError, match="score 'silhouette' needs classes"):
        ranked(zoo, data=(X, X[:, 0]), score="silhouette")


def test_a_second_run_encodes_nothing_and_gives_the_same_table(zoo):
    first = ranked(zoo)
    passes = zoo.passes()
    assert len(passes) == 2 * 3
    second = ranked(zoo)
    assert zoo.passes() == passes
    assert table(second) == table(first)
    assert all(row.reused for row in second if row.status == "ok")


def test_a_run_that_was_stopped_goes_on_where_it_was(zoo, tmp_path):
    whole = ranked(zoo, store=tmp_path / "other")
    before = len(zoo.passes())

    class Impatient(Recorder):
        def encoding(self, model, done, total):
            if model == "net1" and done == 40:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ranked(zoo, progress=Impatient())
    stopped = len(zoo.passes())
    resumed = ranked(zoo)
    assert [name for name, _ in zoo.passes()[stopped:]] == ["net1"] * 3
    assert stopped - before < 6
    assert [row.scores for row in resumed] == [row.scores for row in whole]


@pytest.mark.parametrize("where", ["net0", "net1", "raw input"])
def test_a_target_that_changes_ends_the_run_before_anything_wrong_is_kept(zoo, tmp_path, where):
    file = tmp_path / "X.npy"
    with np.load(zoo.data) as target:
        np.save(file, target["X"])
        np.save(tmp_path / "labels.npy", target["y"])

    class Meddler(Recorder):
        def encoding(self, model, done, total):
            if (model, done) == (where, 20):
                np.save(file, np.zeros_like(np.load(file)))

        def scoring(self, model, cut):
            if (model, cut, where) == ("net1", "penultimate", "raw input"):
                np.save(file, np.zeros_like(np.load(file)))

    store = tmp_path / "store"
    with pytest.raises(DataError, match=r"X\.npy was changed meanwhile; run again"):
        rank(zoo.manifest, tmp_path, allow_code=zoo.code, store=store, progress=Meddler())
    kept = {"net0": 0, "net1": 2, "raw input": 4}[where]
    assert len([path for path in store.glob("*.npy") if "labels" not in path.name]) == kept


def test_progress_hears_of_every_step(zoo):
    recorder = Recorder()
    ranked(zoo, progress=recorder)
    kinds = [event[0] for event in recorder.events]
    assert recorder.events[0] == ("started", "target", ("net0", "net1"))
    assert ("encoding", "net0", 60, 60) in recorder.events
    assert ("scoring", "net1", "penultimate") in recorder.events
    assert recorder.events[-1] == ("finished", "net1", 2)
    assert kinds.count("finished") == 2


def test_results_are_written_where_asked(zoo, tmp_path):
    ranking = ranked(zoo, out=tmp_path / "out")
    assert Ranking.from_json(tmp_path / "out" / "ranking.json") == ranking
    assert (tmp_path / "out" / "ranking.csv").read_text() == ranking.to_csv()


def test_provenance_is_enough_to_repeat_the_run(zoo):
    ranking = ranked(zoo, cuts="1", limit=30)
    how = ranking.provenance
    assert how.command.startswith("zoorank.rank(zoo=")
    assert "cuts='1', store=" in how.command
    assert "metric" not in how.command
    assert how.manifest == str(zoo.manifest)
    assert len(how.manifest_sha256) == len(ranking.target.fingerprint) == 64
    assert how.versions["python"] == platform.python_version()
    assert how.versions["zoorank"] == zoorank.__version__
    assert how.engine["instruction_set"] == zoorank.build_info()["instruction_set"]
    assert how.settings["cuts"] == ["1"]
    assert how.weights == {"net0": None, "net1": None}
    assert ranking.target.n_samples == 30
    assert ranked(zoo, command="mine").provenance.command == "mine"


def test_arrays_are_named_but_not_printed_in_the_command(zoo):
    X, y = np.random.default_rng(0).normal(size=(30, 6)), [0, 1, 2] * 10
    assert "data=<tuple>" in ranked(zoo, data=(X, y)).provenance.command


def test_cuts_may_be_text_or_a_sequence(zoo):
    expected = table(ranked(zoo, cuts=["1", "penultimate"]))
    assert table(ranked(zoo, cuts="1,penultimate")) == expected
    assert table(ranked(zoo, cuts=["1, penultimate"])) == expected
    assert {row.cut for row in ranked(zoo, cuts="all")} >= {"penultimate", None}


def test_a_cut_that_some_sources_lack_is_a_row(tmp_path):
    zoo = tiny_zoo(tmp_path / "zoo")
    text = zoo.manifest.read_text().replace('name = "net1"\n', 'name = "net1"\ncuts = ["layer9"]\n')
    zoo.manifest.write_text(text)
    ranking = ranked(zoo)
    assert [row.model for row in ranking.failures] == ["net1"]
    assert "layer9" in ranking.failures[0].note


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"cuts": "penultimat"}, UsageError, "unknown cut 'penultimat'; did you mean"),
        ({"metric": "cosin"}, UsageError, "unknown metric 'cosin'; did you mean 'cosine'"),
        ({"score": "silhouete"}, UsageError, "did you mean 'silhouette'"),
        ({"device": "cpi"}, UsageError, "unknown device 'cpi'; did you mean 'cpu'"),
        ({"batch_size": 0}, UsageError, "batch_size must be at least 1, not 0"),
        ({"limit": -3}, UsageError, "limit must be at least 1, not -3"),
        ({"data": "absent.npz"}, DataError, "absent.npz"),
    ],
)
def test_a_mistake_in_the_call_is_an_error(zoo, settings, error, message):
    with pytest.raises(error, match=message) as caught:
        ranked(zoo, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timeout": float("nan"), "workers": 1}, "timeout must be more than 0, not nan"),
        ({"timeout": 0.0, "ray": "local"}, "timeout must be more than 0, not 0.0"),
        ({"memory_limit": -1, "workers": 1}, "memory_limit must be more than 0, not -1"),
        ({"timeout": 1.0}, "timeout needs workers"),
        ({"workers": 2, "ray": "local"}, "workers are processes of this machine, and ray runs"),
        ({"workers": 0}, "workers must be at least 1 or 'auto', not 0"),
        ({"gpus": 1.5, "ray": "local"}, "gpus must be a whole number, or a part of one GPU"),
        ({"ray": "local"}, "--ray needs Ray, which is not installed"),
    ],
)
def test_how_sources_cannot_be_run_is_said_before_anything_is_read(
    zoo, monkeypatch, settings, message
):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=message):
        rank(zoo.manifest, zoo.folder / "nothing.npz", allow_code=[zoo.code], **settings)


def test_a_target_must_come_from_somewhere(zoo, tmp_path):
    zoo.manifest.write_text(zoo.manifest.read_text().replace('data = "target.npz"', ""))
    with pytest.raises(UsageError, match=r"no target: give data \(--data\),"):
        ranked(zoo)
    with pytest.raises(ManifestError):
        rank(tmp_path / "absent.toml")


def test_a_place_for_results_that_cannot_be_is_known_before_the_work(zoo, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write results"):
        ranked(zoo, out=tmp_path / "file")
    assert zoo.passes() == []


@pytest.mark.parametrize("workers", [None, 1])
def test_a_run_that_is_repeated_scores_nothing_again(zoo, workers):
    """Times of scores are those of the run that computed them, to the last bit."""
    first, again = (ranked(zoo, workers=workers) for _ in range(2))
    timed = [row for row in first if row.model != "raw input"]
    assert [row.score_seconds for row in again if row.model != "raw input"] == [
        row.score_seconds for row in timed
    ]
    assert all(row.reused for row in again if row.model != "raw input")


def test_scores_that_crossed_to_another_process_are_known_there():
    crossed = [pickle.loads(pickle.dumps(score)) for score in TABLE]
    assert list(map(score_name, crossed)) == list(map(score_name, TABLE))


@pytest.mark.parametrize("workers", [None, 1])
def test_what_is_removed_while_it_runs_costs_no_table(zoo, tmp_path, monkeypatch, workers):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    class Remover(Silent):
        def finished(self, model, rows):
            zoo.manifest.unlink(missing_ok=True)
            if here.exists():
                here.rmdir()

    settings = {"allow_code": zoo.code, "store": tmp_path / "store", "workers": workers}
    found = rank(zoo.manifest, progress=Remover(), **settings)
    assert {row.model for row in found if row.status == "ok"} == {"net0", "net1"}
    assert found.provenance.directory == str(here)
    assert len(found.provenance.manifest_sha256) == 64
