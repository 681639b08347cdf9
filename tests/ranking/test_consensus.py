"""What decides by default, several scores in one pass, and how far to trust a pick."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata
from tests.ranking.tiny_zoo import tiny_zoo

from zoorank.encoding.encode import encode_source
from zoorank.errors import UsageError
from zoorank.ranking import Ranking, RankRow, TargetFacts
from zoorank.ranking.answer import with_consensus
from zoorank.ranking.consensus import DEFAULT, NAME, Consensus
from zoorank.ranking.guidance import evidence, guidance, regime
from zoorank.ranking.rank import rank
from zoorank.scores import find_score
from zoorank.sources.manifest import load_zoo
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target


@pytest.fixture
def zoo(tmp_path):
    return tiny_zoo(tmp_path / "zoo", models=4)


def ranked(zoo, **settings):
    return rank(zoo.manifest, allow_code=[zoo.code], store=zoo.folder / "store", **settings)


def test_is_the_mean_rank_by_its_parts(zoo):
    ranking = ranked(zoo)
    parts = [part.key for part in DEFAULT.parts]
    sources = [row for row in ranking if row.status == "ok"]
    ranks = np.mean([rankdata([row.scores[key] for row in sources]) for key in parts], axis=0)
    expected = (ranks - 0.5) / len(sources)
    assert [row.score for row in sources] == pytest.approx(expected.tolist())
    assert ranking.key == NAME
    assert next(iter(ranking.labels)) == NAME
    assert {"cosine", "euclidean", *parts} <= set(ranking.labels)
    assert ranking.class_key == "euclidean"
    assert Ranking.from_json(ranking.to_json()) == ranking


def test_less_can_be_better_and_what_has_no_value_has_no_vote():
    knn = find_score("knn")
    down = replace(find_score("logme"), name="down", identity="down", higher_is_better=False)
    rows = [
        RankRow(None, "a", "x", scores={"knn": 1.0, "down": 0.0}),
        RankRow(None, "b", "x", scores={"knn": 0.0, "down": 1.0}),
        RankRow(None, "c", "x", status="failed", note="no"),
    ]
    found = with_consensus(Consensus((knn, down)), rows)
    assert [row.score for row in found] == [0.75, 0.25, None]


def test_rows_that_beat_as_many_are_equal_to_the_last_bit():
    parts = (find_score("silhouette", "euclidean"), find_score("knn"), find_score("logme"))
    keys = [part.key for part in parts]
    for n in range(3, 19):
        # One beats the others by the parts in turn: all have the same number of votes.
        rows = [
            RankRow(
                None, str(i), "x", scores={key: float((i + j) % n) for j, key in enumerate(keys)}
            )
            for i in range(n)
        ]
        table = [[row.scores[key] for key in keys] for row in rows]
        votes = [sum(np.sum(np.array(table) < row, axis=0)) for row in np.array(table)]
        found = [row.score for row in with_consensus(Consensus(parts), rows)]
        assert len(set(found)) == len(set(votes))


def test_the_interval_of_a_part_is_not_that_of_the_consensus():
    row = RankRow(None, "a", "x", score=0.2, half_width=0.1, scores={"euclidean": 0.2, "knn": 0.9})
    rows = [row, replace(row, model="b", scores={"euclidean": 0.1, "knn": 0.9})]
    parts = (find_score("silhouette", "euclidean"), find_score("knn"))
    assert [each.half_width for each in with_consensus(Consensus(parts), rows)] == [0, 0]


def test_scores_that_need_the_classifier_get_it(zoo):
    ranking = ranked(zoo, score="leep,nce,logme")
    assert {row.cut for row in ranking if row.status == "ok"} == {"1", "penultimate"}
    assert ranking.baseline.score is None
    assert "leep" not in ranking.baseline.scores
    loaded = load_zoo(zoo.manifest, allow_code=[zoo.code])
    target = load_target(zoo.data)
    store = EncodingStore(zoo.folder / "store")
    (encoding,) = encode_source(loaded.models[1], target, cuts=["4"], store=store).encodings
    logits = encoding.load().astype(float)
    theta = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    row = next(row for row in ranking if row.model == "net1")
    assert row.scores["leep"] == pytest.approx(
        find_score("leep").compute(theta, target.labels).value, abs=1e-9
    )
    expected = find_score("nce").compute(logits.argmax(axis=1), target.labels).value
    assert row.scores["nce"] == pytest.approx(expected)
    assert row.score == row.scores["leep"]


def test_several_scores_in_one_pass(zoo):
    ranking = ranked(zoo, score=["knn", "silhouette:manhattan,logme"])
    assert list(ranking.labels) == ["knn", "manhattan", "logme", "cosine", "euclidean"]
    assert ranking.key == "knn"
    n = len(zoo.passes())
    ranked(zoo, score="consensus,transrate")
    assert len(zoo.passes()) == n


@pytest.mark.parametrize(
    ("score", "message"),
    [("knn,consensus", "name it first"), ("logm", "did you mean 'logme'?"), ("", "no score")],
)
def test_a_wrong_list_of_scores(zoo, score, message):
    with pytest.raises(UsageError) as caught:
        ranked(zoo, score=score)
    assert message in str(caught.value)


def facts(n, classes):
    return TargetFacts("t", "t.npz", "series", n, "(9,)", tuple(map(str, range(classes))), "ab")


@pytest.mark.parametrize(("n", "classes"), [(30, 2), (500, 3), (500, 30)])
def test_guidance_quotes_the_study(n, classes):
    rows = [RankRow(1, "a", "x", 0.5, dim=8)]
    text = guidance(NAME, rows, facts(n, classes))
    found = evidence().regimes[regime(n, classes)]
    own = found.scores[NAME]
    assert f"{own.top1:.0%} of them, and the first three held one for {own.top3:.0%}" in text
    assert f"{own.regret:.1f} points" in text
    for name, regret in (
        ("on every candidate lacked", found.scores["probe"].regret),
        ("static source", found.static),
        ("random pick", found.random),
    ):
        assert f"{name} {regret:.1f}" in text
    assert f"{found.targets} time-series targets" in text
    assert "plain H-score" not in text
    wide = [RankRow(1, "a", "x", 0.5, dim=n)]
    assert "plain H-score cannot tell these apart" in guidance(NAME, wide, facts(n, classes))


def test_no_guidance_without_evidence():
    rows = [RankRow(1, "a", "x", 0.5, dim=8)]
    assert guidance("somebody's score", rows, facts(50, 2)) == ""
    assert guidance(NAME, [], facts(50, 2)) == ""


def test_guidance_is_of_the_targets_kind_or_says_that_there_is_none():
    rows = [RankRow(1, "a", "x", 0.5, dim=8)]
    images = guidance(NAME, rows, replace(facts(500, 3), modality="image"))
    found = evidence().kinds["image"]
    assert f"{found.targets} image targets" in images
    assert "time-series" not in images
    for modality, words in (("text", "texts"), ("audio", "sounds"), ("table", "tables")):
        said = guidance(NAME, rows, replace(facts(500, 3), modality=modality))
        assert said == f"How far to trust it: no study of {words} is there to say."
    numbers = guidance(NAME, rows, replace(facts(500, 3), task="numbers"))
    assert numbers.startswith("Silhouettes need classes, so none is computed for numbers")
    known = guidance("informed", rows, facts(500, 3))
    assert known.startswith(guidance(NAME, rows, facts(500, 3)))
    assert "with 35 earlier targets" in known
    assert "the consensus alone picks; no figures of informed are there by kind" in known


def test_guidance_for_informed_quotes_the_figures_of_informed_where_there_are_some():
    rows = [RankRow(1, "a", "x", 0.5, dim=8)]
    text = guidance("informed", rows, replace(facts(500, 3), modality="image"))
    own = evidence().kinds["image"].scores["informed"]
    assert f"The first pick by {own.label} was a best one for {own.top1:.0%} of them" in text
    assert f"lacked {own.regret:.1f} points" in text
    assert "consensus" not in text
    assert "What records are worth was measured on time series alone." in text
