"""A race ends with the winner of the full run, and says who left where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.ranking.race_zoo import RaceZoo, race_zoo
from tests.ranking.tiny_zoo import tiny_zoo

import zoorank
from zoorank.errors import UsageError
from zoorank.ranking import Ranking
from zoorank.ranking.racing.samples import samples
from zoorank.ranking.rank import rank
from zoorank.ranking.rows import CutFacts

MODELS = {
    "one": ("Keep", 1, 1.0),
    "three": ("Keep", 3, 0.2),
    "none": ("Keep", 0, 1.0),
    "same": ("Keep", 3, 0.2),
    "two": ("Keep", 2, 1.0),
}
# Of 640 rows: 160 in the first round, all in the second.
FIRST, ALL = 160, 640


@pytest.fixture
def zoo(tmp_path) -> RaceZoo:
    return race_zoo(tmp_path / "zoo", MODELS)


def ranked(zoo, **settings):
    settings = {"allow_code": [zoo.code], "store": zoo.folder / "store", **settings}
    return rank(zoo.manifest, **settings)


def raced(zoo, **settings):
    return ranked(zoo, race=True, **settings)


def by_model(ranking):
    return {row.model: row for row in ranking}


def table(ranking):
    """All of the rows but what a clock says and where the encodings came from."""
    timeless = {"score_seconds": None, "encode_seconds": None, "facts": CutFacts()}
    return [replace(row, reused=False, **timeless) for row in ranking]


def test_the_winner_is_that_of_the_full_run_and_the_worse_leave(zoo):
    ranking = raced(zoo)
    assert zoo.passes() == {"three": ALL, "same": ALL, "one": FIRST, "none": FIRST, "two": FIRST}
    rows = by_model(ranking)
    full = by_model(ranked(zoo, metric="euclidean", store=zoo.folder / "other"))
    assert ranking.best.model == "three"
    for model in ("three", "same"):
        assert rows[model].scores == pytest.approx(full[model].scores, abs=1e-6)
        assert (rows[model].rows, rows[model].left_in_round, rows[model].half_width) == (
            None,
            None,
            0,
        )
    for model in ("one", "two", "none"):
        assert (rows[model].rows, rows[model].left_in_round) == (FIRST, 1)
        assert rows[model].status == "ok"
        assert abs(rows[model].score - full[model].score) <= rows[model].half_width
        assert 0 < rows[model].half_width < 0.1
        assert not rows[model].tied
        assert rows[model].scores["cosine"] == pytest.approx(full[model].scores["cosine"], abs=0.1)
    assert [row.rank for row in ranking if row.status == "ok"] == [1, 1, 3, 4, 5]


def test_the_facts_say_how_it_went(zoo):
    race = raced(zoo, metric="euclidean").race
    assert [(each.rows, each.models, each.left) for each in race.rounds] == [
        (FIRST, 5, 3),
        (ALL, 2, 0),
    ]
    assert (race.forwards, race.full_forwards) == (2 * ALL + 3 * FIRST, 5 * ALL)
    assert race.summary == (
        "Race at 95% confidence: 5 sources on 160 samples; 2 were run on all 640. "
        "55% of the forward passes of a full run."
    )


def test_a_race_survives_its_files(zoo, tmp_path):
    ranking = raced(zoo, out=tmp_path / "out")
    assert Ranking.from_json(tmp_path / "out" / "ranking.json") == ranking
    header = (tmp_path / "out" / "ranking.csv").read_text().splitlines()[0]
    assert header.endswith("note,rows,left_in_round,tied")
    assert ranking.race.summary in str(ranking)
    assert ranking.provenance.settings["race"]["confidence"] == 0.95
    pytest.importorskip("pandas")
    frame = ranking.to_frame().set_index("model")
    assert frame.loc["one", "left_in_round"] == 1
    assert frame.loc["three", "left_in_round"] is not frame.loc["one", "left_in_round"]


def test_without_a_race_nothing_is_said_of_one(zoo):
    ranking = ranked(zoo, metric="euclidean")
    assert ranking.race is None
    assert "left_in_round" not in ranking.to_csv()
    assert Ranking.from_json(ranking.to_json()) == ranking


def test_the_same_seed_gives_the_same_bits(zoo):
    first = raced(zoo, random_state=3, store=zoo.folder / "a")
    assert table(raced(zoo, random_state=3, store=zoo.folder / "b")) == table(first)
    assert table(raced(zoo, random_state=3, store=zoo.folder / "b")) == table(first)
    other = raced(zoo, random_state=4, store=zoo.folder / "a")
    assert by_model(other)["one"].score != by_model(first)["one"].score


def test_a_second_race_encodes_nothing_and_a_full_run_only_what_is_missing(zoo):
    raced(zoo)
    passes = zoo.passes()
    again = raced(zoo)
    assert zoo.passes() == passes
    assert all(row.reused for row in again if row.status == "ok")
    full = ranked(zoo, metric="euclidean")
    more = {name: count - passes[name] for name, count in zoo.passes().items()}
    assert more == {"three": 0, "same": 0, "one": ALL, "two": ALL, "none": ALL}
    assert full.best.reused


def test_a_race_takes_its_rows_from_a_full_run(zoo):
    ranked(zoo, metric="euclidean")
    passes = zoo.passes()
    assert raced(zoo).best.model == "three"
    assert zoo.passes() == passes


@pytest.mark.parametrize("where", [("two", FIRST), ("three", ALL - FIRST)])
def test_a_race_that_was_stopped_goes_on(zoo, where):
    whole = raced(zoo, store=zoo.folder / "other")
    before = zoo.passes()

    class Impatient(Recorder):
        def encoding(self, model, done, total):
            if (model, done) == where:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        raced(zoo, progress=Impatient())
    resumed = raced(zoo)
    assert table(resumed) == table(whole)
    spent = sum(zoo.passes().values()) - sum(before.values())
    assert spent <= whole.race.forwards + where[1]


class Recorder:
    """Writes down what a race tells."""

    def __init__(self):
        self.events = []

    def started(self, target, models):
        self.events.append(("started", len(models)))

    def round(self, number, rounds, rows, models):
        self.events.append(("round", number, rounds, rows, tuple(models)))

    def encoding(self, model, done, total):
        pass

    def scoring(self, model, cut):
        pass

    def finished(self, model, rows):
        self.events.append(("finished", model))


def test_progress_hears_of_every_round(zoo):
    recorder = Recorder()
    raced(zoo, progress=recorder)
    every = tuple(MODELS)
    assert recorder.events == [
        ("started", 5),
        ("round", 1, 2, FIRST, every),
        *[("finished", model) for model in every],
        ("round", 1, 2, ALL, ("three",)),
        ("finished", "three"),
        ("round", 1, 2, ALL, ("same",)),
        ("finished", "same"),
    ]


def test_each_cut_races_for_itself(tmp_path):
    zoo = race_zoo(tmp_path / "zoo", {"three": MODELS["three"], "none": MODELS["none"]})
    ranking = raced(zoo, cuts="0,2")
    left = {(row.model, row.cut) for row in ranking if row.left_in_round}
    assert left == {("none", "0"), ("none", "2")}
    assert (ranking.best.model, ranking.best.cut) == ("three", "0")
    assert len([row for row in ranking if row.status == "ok"]) == 4


def test_rows_that_left_are_corrected_by_those_run_on_all_rows(zoo):
    """All classes and scores by the same weights, so that they still go together."""
    ranking = raced(zoo, score="macro_silhouette:euclidean")
    for row in ranking:
        if row.left_in_round:
            assert np.mean(row.per_class) == pytest.approx(row.score, abs=1e-12)
            assert row.scores["macro_euclidean"] == row.score
    full = by_model(ranked(zoo, score="macro_silhouette:euclidean"))
    sample = samples(np.arange(ALL) % 4)[0]
    X = np.load(zoo.folder / "target.npz")["X"][sample.rows]
    kept = X * np.float32([1, 0, 0, 1, 1, 1])
    uncorrected = np.mean(zoorank.silhouette(kept, sample.labels).per_class)
    error = by_model(ranking)["one"].score - full["one"].score
    assert 0 < abs(error) < abs(uncorrected - full["one"].score)


def test_two_sources_a_round_are_run_on_all_rows(tmp_path):
    """Of eight alike none leaves after the first round, and all are run in the end."""
    alike = {f"m{i}": ("Keep", 3, 1.0 + 1e-7 * i) for i in range(8)}
    zoo = race_zoo(tmp_path / "zoo", alike)
    recorder = Recorder()
    ranking = raced(zoo, progress=recorder)
    rounds = [event[1:] for event in recorder.events if event[0] == "round"]
    assert [(number, rows, len(models)) for number, _, rows, models in rounds] == [
        (1, FIRST, 8),
        (1, ALL, 1),
        (1, ALL, 1),
        (2, ALL, 6),
    ]
    assert ranking.race.share == 1
    assert zoo.passes() == dict.fromkeys(alike, ALL)


def test_those_run_on_all_rows_help_in_later_rounds(zoo):
    """From 40 rows to 160 to all, each row through each network once."""
    ranking = raced(zoo, first_rows=40)
    assert ranking.best.model == "three"
    assert max(zoo.passes().values()) == ALL
    full = by_model(ranked(zoo, metric="euclidean", store=zoo.folder / "other"))
    for row in ranking:
        if row.status == "ok":
            assert abs(row.score - full[row.model].score) <= row.half_width + 1e-6


def test_a_source_that_fails_at_once_is_a_row(tmp_path):
    zoo = race_zoo(tmp_path / "zoo", MODELS)
    text = zoo.manifest.read_text().replace("race_code:Keep", "race_code:Absent", 1)
    zoo.manifest.write_text(text)
    ranking = raced(zoo)
    assert [row.model for row in ranking.failures] == ["one"]
    assert "Absent" in ranking.failures[0].note
    assert ranking.best.model == "three"
    assert ranking.race.full_forwards == 4 * ALL


def test_who_fails_late_drove_nobody_out(tmp_path):
    """The best by far breaks in the last round; whom it beat race on without it."""
    labels = np.arange(ALL) % 4
    row = int(np.setdiff1d(np.arange(ALL), samples(labels)[0].rows)[0])
    zoo = race_zoo(tmp_path / "zoo", {**MODELS, "late": ("Late", 3, 0.0)}, bad_row=row)
    ranking = raced(zoo)
    assert [each.model for each in ranking.failures] == ["late"]
    assert f"gives NaN for row {row}" in ranking.failures[0].note
    alone = race_zoo(tmp_path / "alone", MODELS, bad_row=row)
    without = raced(alone)
    assert [row for row in table(ranking) if row.model != "late"] == table(without)
    assert zoo.passes()["three"] == ALL
    assert ranking.race.forwards >= sum(zoo.passes().values()) > without.race.forwards


def test_when_all_fail_there_is_no_winner(tmp_path):
    zoo = race_zoo(tmp_path / "zoo", {"one": MODELS["one"]})
    zoo.manifest.write_text(zoo.manifest.read_text().replace("race_code:Keep", "race_code:Absent"))
    ranking = raced(zoo)
    assert ranking.best is None
    assert len(ranking.failures) == 1
    assert (ranking.race.rounds, ranking.race.summary) == ((), ranking.race.note)


def test_a_score_that_is_undefined_on_one_encoding_is_a_note(zoo, monkeypatch):
    from zoorank.scores import sampled

    right, calls = sampled._influences, []

    def fails_once(X, *rest):
        calls.append(len(X))
        if len(calls) == 1:
            raise ValueError("X is\nodd")
        return right(X, *rest)

    monkeypatch.setattr(sampled, "_influences", fails_once)
    ranking = raced(zoo)
    assert [(row.model, row.note) for row in ranking.failures] == [("one", "X is odd")]
    assert ranking.best.model == "three"


def test_a_single_candidate_wins(tmp_path):
    zoo = race_zoo(tmp_path / "zoo", {"three": MODELS["three"]})
    ranking = raced(zoo)
    assert ranking.best.rows is None
    assert zoo.passes() == {"three": ALL}


def test_other_scores_are_computed_for_those_that_stay(zoo):
    rows = by_model(raced(zoo, score="silhouette:euclidean,logme"))
    assert "logme" in rows["three"].scores
    assert "logme" not in rows["none"].scores
    assert set(rows["none"].scores) == {"euclidean", "cosine"}


def test_a_score_of_the_head_costs_no_second_pass(zoo):
    rows = by_model(raced(zoo, score="silhouette:euclidean,leep"))
    assert "leep" in rows["three"].scores
    assert {row.cut for row in rows.values()} == {"0", None}
    assert zoo.passes()["three"] == ALL


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"metric": "manhattan"}, "manhattan"),
        ({"score": "silhouette"}, "cosine"),
        ({"score": "macro_silhouette:euclidean"}, "macro_euclidean"),
    ],
)
def test_every_silhouette_can_race(zoo, settings, key):
    ranking = raced(zoo, **settings)
    assert ranking.key == key
    assert ranking.best.model == "three"
    assert by_model(ranking)["none"].left_in_round == 1
    assert ranking.race.note == ""


def test_the_consensus_gives_way_by_default_and_says_so(zoo):
    ranking = raced(zoo)
    assert ranking.key == "euclidean"
    assert ranking.race.note.startswith("Decided by MSC euclidean: the consensus cannot be judged")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"score": "consensus"},
            "score 'consensus' cannot race, .* allowed: silhouette, macro_sil",
        ),
        ({"score": "logme,silhouette"}, "score 'logme' cannot race"),
        ({"confidence": 1.0}, "confidence must lie between 0 and 1, not 1.0"),
        ({"first_rows": 7}, "first_rows is 7; at least 16 are needed, 4 of each of the 4 classes"),
        ({"first_rows": 0}, "first_rows must be at least 1, not 0"),
        ({"first_rows": 321}, "first_rows is 321; at most 320 are allowed, half of the 640 sam"),
        ({"random_state": -1}, "random_state must be at least 0, not -1"),
    ],
)
def test_a_mistake_is_one_line_before_anything_runs(zoo, settings, message):
    with pytest.raises(UsageError, match=message) as caught:
        raced(zoo, **settings)
    assert "\n" not in str(caught.value)
    assert zoo.passes() == {}


def test_options_of_a_race_need_one(zoo):
    with pytest.raises(UsageError, match="first_rows is an option of a race, and no race was ask"):
        ranked(zoo, first_rows=100)


def test_a_cut_that_exists_nowhere_is_a_mistake(zoo):
    with pytest.raises(UsageError, match="unknown cut 'layer9'"):
        raced(zoo, cuts="layer9")


def test_a_target_too_small_to_race_for_is_ranked_in_full_and_says_so(tmp_path):
    zoo = tiny_zoo(tmp_path / "tiny")
    ranking = rank(zoo.manifest, allow_code=[zoo.code], store=tmp_path / "store", race=True)
    assert ranking.race.note.startswith("No race: 60 samples of 3 classes are too few")
    assert ranking.race.share == 1
    assert all(row.rows is None for row in ranking)
    full = rank(zoo.manifest, allow_code=[zoo.code], store=tmp_path / "store", metric="euclidean")
    assert [row.scores for row in ranking] == [row.scores for row in full]
