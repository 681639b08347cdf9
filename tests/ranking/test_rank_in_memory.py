"""Encodings that stay where the network made them: what is copied, kept and resumed."""

import json
import sqlite3

import numpy as np
import pytest

import zoorank
from zoorank import scores
from zoorank.engine import environment
from zoorank.ranking import job, outcomes
from zoorank.ranking.rank import rank
from zoorank.scores import computing

torch = pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")

from zoorank.encoding.encode import encode_source  # noqa: E402
from zoorank.sources.manifest import load_zoo  # noqa: E402
from zoorank.sources.torch.encoder import TorchEncoder  # noqa: E402
from zoorank.store.encodings import EncodingStore  # noqa: E402
from zoorank.store.ledger import Ledger  # noqa: E402
from zoorank.targets import load_target  # noqa: E402

INFO = zoorank.build_info()
NO_GPU = INFO["cuda_unavailable_reason"] or (
    "" if torch.cuda.is_available() else "this torch has no CUDA"
)


def ranked(zoo, out, **options):
    options = {"score": "silhouette", "allow_code": [zoo.code], **options}
    return rank(zoo.manifest, out=out, **options)


def facts(ranking):
    return [(row.model, row.cut, row.scores, row.per_class, row.dim) for row in ranking.rows]


def encodings(out):
    return list((out / "encodings").glob("[0-9a-f]*.npy"))


def test_results_are_those_of_a_run_that_saves(zoo, tmp_path):
    saved = ranked(zoo, tmp_path / "saved")
    kept = ranked(zoo, tmp_path / "kept", save_encodings=False)
    assert facts(kept) == facts(saved)
    assert len(encodings(tmp_path / "saved")) == 4
    assert encodings(tmp_path / "kept") == []
    assert all(not row.note for row in kept.rows)


def test_the_networks_output_is_what_is_scored(zoo, tmp_path, monkeypatch):
    made, seen = [], []
    empty, value = TorchEncoder.empty, computing._value

    def room(self, rows, features):
        made.append(empty(self, rows, features))
        return made[-1]

    def looking(score, facts, shared):
        seen.append(shared.X)
        return value(score, facts, shared)

    monkeypatch.setattr(TorchEncoder, "empty", room)
    monkeypatch.setattr(computing, "_value", looking)
    table = scores.find_scores("silhouette:cosine,silhouette:euclidean")
    one = load_zoo(zoo.manifest, allow_code=[zoo.code])
    store, ledger = EncodingStore(tmp_path), Ledger(tmp_path)
    shared = outcomes.Run(
        load_target(zoo.data), table, store, ledger, 20, "cpu", save_encodings=False
    )
    wanted = outcomes.Job(one.models[0], ("1", "penultimate"))
    assert len(job.encode_and_score(shared, wanted, lambda _: None).candidates) == 2
    ledger.close()
    assert len(seen) == 4
    # What the engine makes of it is a view of the same memory.
    assert {np.asarray(each).ctypes.data for each in seen} == {each.data_ptr() for each in made}


def test_a_second_run_computes_nothing(zoo, tmp_path):
    first = ranked(zoo, tmp_path, save_encodings=False)
    passes = len(zoo.passes())
    second = ranked(zoo, tmp_path, save_encodings=False)
    assert len(zoo.passes()) == passes
    assert facts(second) == facts(first)
    assert all(row.reused for row in second.rows if row.cut)


def test_other_scores_are_computed_again(zoo, tmp_path):
    ranked(zoo, tmp_path, save_encodings=False)
    passes = len(zoo.passes())
    again = ranked(zoo, tmp_path, save_encodings=False, score="silhouette,macro_silhouette")
    assert len(zoo.passes()) == 2 * passes
    assert all("macro_cosine" in row.scores for row in again.rows)
    ranked(zoo, tmp_path, save_encodings=False, score="macro_silhouette")
    assert len(zoo.passes()) == 2 * passes


def test_a_head_that_is_a_cut_too_is_there_for_the_scores_of_a_second_run(zoo, tmp_path):
    options = {"save_encodings": False, "score": "leep,knn"}
    first = ranked(zoo, tmp_path, cuts="logits", **options)
    assert all("leep" in row.scores for row in first.rows if row.cut)
    assert facts(ranked(zoo, tmp_path, cuts="logits", **options)) == facts(first)
    more = ranked(zoo, tmp_path, cuts="1,logits", **options)
    assert {row.scores["leep"] for row in more.rows if row.cut == "1"} == {
        row.scores["leep"] for row in first.rows if row.cut
    }


def test_what_is_in_the_store_is_used(zoo, tmp_path):
    saved = ranked(zoo, tmp_path)
    passes = len(zoo.passes())
    assert facts(ranked(zoo, tmp_path, save_encodings=False)) == facts(saved)
    assert len(zoo.passes()) == passes


def test_a_run_that_saves_is_not_content_with_results(zoo, tmp_path):
    ranked(zoo, tmp_path, save_encodings=False)
    ranked(zoo, tmp_path)
    assert len(encodings(tmp_path)) == 4


def test_results_of_another_version_are_not_reused(zoo, tmp_path, monkeypatch):
    ranked(zoo, tmp_path, save_encodings=False)
    passes = len(zoo.passes())
    monkeypatch.setattr(zoorank, "__version__", "0.0.0")
    ranked(zoo, tmp_path, save_encodings=False)
    assert len(zoo.passes()) == 2 * passes


def test_broken_results_are_no_results(zoo, tmp_path):
    ranked(zoo, tmp_path, save_encodings=False)
    passes = len(zoo.passes())
    (ledger,) = (tmp_path / "encodings").glob("ledger-*.sqlite")
    with sqlite3.connect(ledger) as database:
        database.execute("UPDATE outcomes SET content = substr(content, 1, 20)")
    ranked(zoo, tmp_path, save_encodings=False)
    assert len(zoo.passes()) == 2 * passes


def test_scores_of_the_host_work_on_the_same_memory(zoo, tmp_path):
    saved = ranked(zoo, tmp_path / "saved", score="consensus")
    kept = ranked(zoo, tmp_path / "kept", score="consensus", save_encodings=False)
    assert [(row.model, row.cut, row.scores) for row in kept.rows] == [
        (row.model, row.cut, row.scores) for row in saved.rows
    ]


def test_what_does_not_fit_goes_to_the_store_and_says_so(zoo, tmp_path, monkeypatch):
    from zoorank.sources.torch.encoder import TorchEncoder

    def full(*_):
        raise MemoryError

    monkeypatch.setattr(TorchEncoder, "empty", full)
    one = load_zoo(zoo.manifest, allow_code=[zoo.code])
    found = encode_source(
        one.models[0],
        load_target(zoo.data),
        cuts=["1"],
        store=EncodingStore(tmp_path),
        device="cpu",
        keep="memory",
    )
    assert "1,920 bytes of encodings do not fit on cpu: they are in the store" in found.note
    assert found.encodings[0].array is None
    assert found.encodings[0].load().shape == (60, 8)


def test_both_are_the_same(zoo, tmp_path):
    one = load_zoo(zoo.manifest, allow_code=[zoo.code])
    (found,) = encode_source(
        one.models[0],
        load_target(zoo.data),
        cuts=["1"],
        store=EncodingStore(tmp_path),
        device="cpu",
        keep="both",
    ).encodings
    assert not found.is_only_copy
    np.testing.assert_array_equal(found.load(), found.values.numpy())
    assert found.values is found.array


def test_the_ranking_says_what_was_asked_for(zoo, tmp_path):
    ranked(zoo, tmp_path, save_encodings=False)
    settings = json.loads((tmp_path / "ranking.json").read_text())["provenance"]["settings"]
    assert settings["save_encodings"] is False


@pytest.mark.parametrize(
    ("save", "names", "device", "keep"),
    [
        (None, "silhouette", "cuda", "memory"),
        (None, "silhouette,macro_silhouette", "cuda", "memory"),
        (None, "silhouette,logme", "cuda", "both"),
        (True, "silhouette", "cuda", "both"),
        (False, "silhouette,logme", "cuda", "memory"),
        (None, "silhouette", "cpu", "store"),
        (True, "silhouette", "cpu", "store"),
        (False, "silhouette", "cpu", "memory"),
    ],
)
def test_where_encodings_are_kept(monkeypatch, save, names, device, keep):
    monkeypatch.setattr(environment, "unavailable_reason", lambda: "")
    shared = outcomes.Run(None, scores.find_scores(names), None, None, 1, device, save)
    assert job.keep_on(device, shared) == keep
    monkeypatch.setattr(environment, "unavailable_reason", lambda: "no driver")
    assert job.keep_on(device, shared) == ("memory" if save is False else "store")


@pytest.mark.cuda
@pytest.mark.skipif(bool(NO_GPU), reason=NO_GPU or "there is a GPU")
def test_nothing_but_results_leaves_the_device(zoo, tmp_path, monkeypatch):
    there = ranked(zoo, tmp_path / "there", device="cuda")
    assert encodings(tmp_path / "there") == []
    here = ranked(zoo, tmp_path / "here", device="cpu")
    for row in there.rows:
        (other,) = (each for each in here.rows if (each.model, each.cut) == (row.model, row.cut))
        for key, value in row.scores.items():
            assert value == pytest.approx(other.scores[key], abs=1e-3)  # the network's own rounding
    # No copy of a matrix to the host: only numbers are asked for.
    right = torch.Tensor.cpu
    monkeypatch.setattr(
        torch.Tensor,
        "cpu",
        lambda self: pytest.fail("copied") if self.ndim == 2 else right(self),
    )
    ranked(zoo, tmp_path / "again", device="cuda")


@pytest.mark.cuda
@pytest.mark.skipif(bool(NO_GPU), reason=NO_GPU or "there is a GPU")
def test_scores_of_the_host_get_copies_and_say_so(zoo, tmp_path):
    found = ranked(zoo, tmp_path, device="cuda", score="silhouette,logme,knn", save_encodings=False)
    notes = {row.note for row in found.rows if row.cut}
    there = ", ".join(score.label for score in scores.find_scores("logme,knn"))
    assert notes == {f"copied to the host for {there}"}
