"""What docs/informed.md states of cases in which little is known, each through `rank`."""

import numpy as np
import pytest
from tests.ranking.tiny_zoo import tiny_zoo

from zoorank.ranking.consensus import INFORMED, NAME
from zoorank.ranking.rank import rank
from zoorank.ranking.record import Trained, append_record
from zoorank.sources.base import Known
from zoorank.sources.manifest import load_zoo

MODEL = """
[[model]]
name = "{name}"
factory = "tiny_code:{kind}"
arguments = {{ name = "{name}", width = {width} }}
weights = {{ random = {{ seed = {seed} }} }}
"""


@pytest.fixture
def ranking_of(tmp_path, monkeypatch):
    """Rank networks, given as (kind, seed[, width]) by name, with what is known of them."""

    def found(networks, lines=(), published=None, cuts=("1",)):
        zoo = tiny_zoo(tmp_path / str(len(list(tmp_path.iterdir()))))
        text = zoo.manifest.read_text().partition("[[model]]")[0].replace("penultimate", "3")
        for name, (kind, seed, *width) in networks.items():
            text += MODEL.format(name=name, kind=kind, seed=seed, width=(*width, 8)[0])
        zoo.manifest.write_text(text)
        record = ()
        if lines:
            record = zoo.folder / "record.jsonl"
            append_record(record, lines)
        sources = load_zoo(zoo.manifest, allow_code=[zoo.code])

        def known(self):
            accuracy = (published or {}).get(self.name)
            return Known(accuracy, "" if accuracy is None else "B")

        monkeypatch.setattr(type(sources.models[0]), "known", known)
        return rank(sources, zoo.data, cuts=cuts, record=record, store=tmp_path / "store")

    return found


def lines_of(accuracies, targets="xyz", cut="1"):
    return [
        Trained(target, name, cut, accuracy)
        for target in targets
        for name, accuracy in accuracies.items()
    ]


def ok(ranking):
    return {row.model: row for row in ranking if row.status == "ok"}


TWO = {"a": ("Net", 0), "b": ("Net", 1)}
THREE = {**TWO, "c": ("Net", 2)}


def test_nothing_known_leaves_the_consensus(ranking_of):
    plain = ranking_of(THREE)
    strangers = ranking_of(THREE, lines_of({"x": 0.5, "y": 0.9}, cut="7"), {"x": 0.7})
    for ranking in (plain, strangers):
        assert ranking.key == NAME
        assert all(row.merit is None for row in ranking)
    assert [row.model for row in plain] == [row.model for row in strangers]


def test_two_sources_have_no_vote_by_publication_and_one_by_a_record_of_both(ranking_of):
    assert ranking_of(TWO, published={"a": 0.5, "b": 0.9}).key == NAME
    for lines in (lines_of({"a": 0.4, "b": 0.9}), lines_of({"b": 0.9, "z": 0.4})):
        ranking = ranking_of(TWO, lines)
        assert ranking.key == INFORMED
        assert ok(ranking)["b"].merit.record == -ok(ranking)["a"].merit.record > 0
    assert ranking_of(TWO, lines_of({"b": 0.9})).key == NAME


def test_one_candidate_has_nothing_beside_it(ranking_of):
    ranking = ranking_of({"a": ("Net", 0)}, lines_of({"a": 0.9, "b": 0.4}), {"a": 0.9})
    assert (ranking.key, ranking.best.score) == (NAME, 0.5)


def test_a_source_without_a_published_accuracy_is_worth_the_middle(ranking_of):
    four = {**THREE, "unknown": ("Net", 3)}
    merits = {
        name: row.merit.published
        for name, row in ok(ranking_of(four, published={"a": 0.5, "b": 0.9, "c": 0.6})).items()
    }
    assert merits["a"] < merits["c"] == merits["unknown"] == 0 < merits["b"]


def test_a_source_without_a_record_has_that_of_its_cut_and_a_wider_interval(ranking_of):
    lines = [*lines_of({"a": 0.5, "b": 0.5}), *lines_of({"a": 0.9, "b": 0.9}, cut="3")]
    ranking = ranking_of(THREE, lines, cuts=("1", "3"))
    rows = {(row.model, row.cut): row for row in ranking if row.status == "ok"}
    assert rows["c", "1"].merit.targets == 0
    assert rows["c", "1"].merit.record < 0 < rows["c", "3"].merit.record
    assert "record of other sources" in rows["c", "3"].note
    for cut in ("1", "3"):
        assert rows["c", cut].half_width > rows["a", cut].half_width


def test_equal_candidates_share_votes_and_a_rank_and_the_smaller_comes_first(ranking_of):
    twins = {"larger": ("Larger", 0), "twin": ("Net", 0), "c": ("Net", 2), "d": ("Net", 3)}
    published = {"larger": 0.7, "twin": 0.7, "c": 0.6, "d": 0.8}
    for seed in range(5):  # what is equal must come out of the solved system as equal
        c, d, same = np.random.default_rng(seed).uniform(0.5, 0.9, 3).round(3)
        lines = lines_of({"larger": same, "twin": same, "c": c, "d": d}, "uvwxyz"[seed:])
        ranking = ranking_of(twins, lines, published)
        rows = ok(ranking)
        assert ranking.key == INFORMED
        assert rows["larger"].scores[NAME] == rows["twin"].scores[NAME]
        assert rows["larger"].merit.published == 0  # they share the two middle places
        assert rows["larger"].score == rows["twin"].score
        assert rows["larger"].rank == rows["twin"].rank
        assert [name for name in rows if name in ("larger", "twin")] == ["twin", "larger"]


def test_the_same_encoding_of_two_sources_has_a_record_each(ranking_of):
    twins = {"a": ("Net", 0), "twin": ("Net", 0), "c": ("Net", 2)}
    rows = ok(ranking_of(twins, lines_of({"a": 0.5, "twin": 0.9, "c": 0.5})))
    assert rows["a"].scores[NAME] == rows["twin"].scores[NAME]
    assert rows["a"].score < rows["twin"].score


@pytest.mark.parametrize("kind", ["Constant", "NotANumber"])
def test_a_constant_or_failing_encoding_has_no_place_and_no_vote(ranking_of, kind):
    bad = {**TWO, "bad": (kind, 0)}
    lines = lines_of({"a": 0.5, "b": 0.6, "bad": 0.95})
    published = {"a": 0.5, "b": 0.6, "bad": 0.95}
    ranking = ranking_of(bad, lines, published)
    (row,) = ranking.failures
    assert (row.model, row.rank, row.score, row.merit) == ("bad", None, None, None)
    assert row.note == (
        "its encoding is the same for all samples, which is no encoding"
        if kind == "Constant"
        else "cut '1' gives NaN for row 0"
    )
    alone = ranking_of(TWO, lines, published)
    assert ranking.key == alone.key == INFORMED
    # Three have a published accuracy and two of them a place, so it has no vote.
    assert {name: each.merit.published for name, each in ok(ranking).items()} == {"a": 0, "b": 0}
    for name, each in ok(ranking).items():
        assert each.score == pytest.approx(ok(alone)[name].score)


def test_constant_encodings_alone_are_no_ranking(ranking_of):
    ranking = ranking_of(
        {"a": ("Constant", 0), "b": ("Constant", 1)}, lines_of({"a": 0.5, "b": 0.9})
    )
    assert ranking.best is None
    assert ranking.key == NAME
    assert ranking.verdict == "No source could be scored; the notes give the reasons."


def test_the_raw_input_has_its_consensus_alone(ranking_of):
    ranking = ranking_of(
        THREE, lines_of({"a": 0.5, "b": 0.6, "c": 0.95}), {"a": 0.5, "b": 0.6, "c": 0.9}
    )
    raw = ranking.baseline
    assert raw.score == raw.merit.consensus != 0
    assert (raw.merit.published, raw.merit.record) == (0, 0)
