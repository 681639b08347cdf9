"""Cuts of a source that give one encoding: each has its row, together they have one vote."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.ranking.tiny_zoo import tiny_zoo

from zoorank.encoding.encode import encode_source
from zoorank.encoding.in_memory import same_numbers
from zoorank.ranking import Ranking, RankRow
from zoorank.ranking.answer import ranked, verdict, with_consensus
from zoorank.ranking.consensus import DEFAULT
from zoorank.ranking.job import firsts_of
from zoorank.ranking.rank import rank
from zoorank.ranking.rows import CutFacts, distinct
from zoorank.scores import find_score
from zoorank.sources.manifest import load_zoo
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target

NOTE = "the same encoding as at 3, to the last bit"
PARTS = [part.key for part in DEFAULT.parts]


@pytest.fixture
def zoo(tmp_path):
    """Networks whose module 3, a ReLU, gives the input of their classifier."""
    return tiny_zoo(tmp_path / "zoo", models=3)


def ranked_all(zoo, cuts="all", **settings):
    settings = {"allow_code": [zoo.code], "store": zoo.folder / "store", **settings}
    return rank(zoo.manifest, cuts=cuts, **settings)


def repeats(ranking):
    return {(row.model, row.cut): row.same_as for row in ranking if row.same_as}


def without_time(ranking):
    timeless = {"score_seconds": 0, "encode_seconds": 0, "facts": CutFacts()}
    rows = (replace(row, reused=False, **timeless) for row in ranking)
    return [row for row in rows if row.status == "ok"]


def test_every_cut_is_there_and_the_later_one_says_which_it_repeats(zoo):
    ranking = ranked_all(zoo, cuts=["1", "3", "penultimate"])
    assert len([row for row in ranking if row.status == "ok"]) == 9
    assert repeats(ranking) == {(f"net{i}", "penultimate"): "3" for i in range(3)}
    for row in ranking:
        assert row.note == (NOTE if row.same_as else "")
        if row.same_as:
            (first,) = (r for r in ranking if (r.model, r.cut) == (row.model, "3"))
            assert (row.scores, row.score, row.rank) == (first.scores, first.score, first.rank)
    assert Ranking.from_json(ranking.to_json()) == ranking
    assert ranking.to_csv().count(NOTE) == 3
    assert "same encoding" not in ranking_of(zoo, "1,3").to_csv()
    assert "same encoding" not in ranking_of(zoo, "penultimate").to_csv()


def ranking_of(zoo, cuts):
    return ranked_all(zoo, cuts=cuts)


def test_the_consensus_is_the_one_without_the_repeats(zoo):
    alone = {(row.model, row.cut): row.score for row in ranked_all(zoo, cuts="1,3")}
    for row in ranked_all(zoo, cuts="1,3,penultimate"):
        cut = "3" if row.cut == "penultimate" else row.cut
        assert row.score == alone[row.model, cut]


@pytest.mark.parametrize("save", [True, False])
def test_a_second_run_and_one_of_another_kind_say_the_same(zoo, save):
    first = ranked_all(zoo, save_encodings=save)
    assert len(repeats(first)) == 3
    passes = len(zoo.passes())
    assert without_time(ranked_all(zoo, save_encodings=save)) == without_time(first)
    assert len(zoo.passes()) == passes
    again = ranked_all(zoo, save_encodings=not save)
    assert without_time(again) == without_time(first)


def test_what_was_kept_and_what_is_computed_now_are_compared_too(zoo):
    ranked_all(zoo, cuts="3")
    assert repeats(ranked_all(zoo, cuts="3,penultimate", save_encodings=False))


def test_a_race_says_it_too(zoo):
    ranking = ranked_all(zoo, cuts="1,3,penultimate", race=True, first_rows=30)
    assert repeats(ranking) == {(f"net{i}", "penultimate"): "3" for i in range(3)}


def test_other_encodings_are_no_repeats(zoo):
    # Of one width; and of two sources with the same weights, which are two sources.
    loaded = load_zoo(zoo.manifest, allow_code=[zoo.code])
    twin = loaded.models[0].model_copy(update={"name": "twin"})
    both = replace(loaded, models=(*loaded.models, twin))
    ranking = rank(both, cuts="1,3", store=zoo.folder / "store")
    assert len([row for row in ranking if row.status == "ok"]) == 8
    (one,) = (row for row in ranking if (row.model, row.cut) == ("net0", "3"))
    (other,) = (row for row in ranking if (row.model, row.cut) == ("twin", "3"))
    assert one.scores == other.scores
    assert repeats(ranking) == {}


def test_on_a_device_encodings_are_compared_where_they_are(monkeypatch):
    rng = np.random.default_rng(0)
    one = torch.from_numpy(rng.normal(size=(9000, 3)).astype(np.float32))
    other = one.clone()
    other[8999, 2] += 1e-6  # in the last block alone
    monkeypatch.setattr(torch.Tensor, "numpy", lambda self: pytest.fail("copied"))
    assert same_numbers(one, one.clone())
    assert not same_numbers(one, other)
    assert not same_numbers(one, torch.cat([one, one], dim=1))


def test_in_memory_and_in_files_the_same_is_the_same(zoo, tmp_path):
    spec = load_zoo(zoo.manifest, allow_code=[zoo.code]).models[0]
    target, found = load_target(zoo.data), {}
    for keep in ("store", "memory", "both"):
        store = EncodingStore(tmp_path / keep)
        encoded = encode_source(
            spec, target, cuts=["1", "3", "penultimate"], store=store, device="cpu", keep=keep
        )
        found[keep] = [each.record.content for each in encoded.encodings]
        assert firsts_of(encoded.encodings) == {"penultimate": "3"}
    assert found["store"] == found["memory"] == found["both"]
    unknown = [replace(each, record=replace(each.record, content="")) for each in encoded.encodings]
    assert firsts_of(unknown) == {}


def row(model, cut, value, same_as=None):
    scores = dict.fromkeys(PARTS, value)
    return RankRow(None, model, cut, value, scores=scores, same_as=same_as)


def test_a_repeat_has_no_vote_and_the_share_of_the_first():
    found = with_consensus(
        DEFAULT,
        [row("a", "1", 0.3), row("a", "2", 0.3, "1"), row("a", "3", 0.3, "1"), row("b", "1", 0.1)],
    )
    assert [each.score for each in found] == [0.75, 0.75, 0.75, 0.25]


def test_a_repeat_votes_where_the_first_is_not_there():
    rows = [row("a", "2", 0.3, "1"), row("b", "1", 0.1)]
    assert distinct(rows) == rows
    assert [each.score for each in with_consensus(DEFAULT, rows)] == [0.75, 0.25]


def test_the_verdict_counts_encodings_and_names_the_best_once():
    score = find_score()
    raw = RankRow(None, "raw input", None, 0.2, status="baseline")
    rows = [
        row("a", "1", 0.3),
        row("a", "2", 0.3, "1"),
        row("b", "1", 0.1),
        row("b", "2", 0.1, "1"),
    ]
    text = verdict(ranked([*rows, raw], score), score)
    assert text.startswith("Try a cut at 1 first: ")
    assert "no worse than 1 of 2 encodings" in text
    tied = ranked([*rows, row("c", "1", 0.3), raw], score)
    assert verdict(tied, score).startswith("Try a cut at 1 or c cut at 1 first: ")
