"""Published figures from published tables, and tables of every form."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from zoorank.errors import DataError, UsageError
from zoorank.evaluation.evaluate import (
    RANDOM,
    SIZE,
    STATIC,
    Difference,
    evaluate,
    evaluate_targets,
    paired,
)
from zoorank.evaluation.tables import Candidates, read_tables

DATA = Path(os.environ.get("ZOORANK_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(scope="module")
def tables():
    folder = DATA / "tables"
    if not folder.is_dir():
        pytest.skip(f"no published tables in {folder} (set ZOORANK_DATA)")
    return folder


@pytest.fixture(scope="module")
def ids(tables):
    return evaluate(tables / "similar_datasets.csv", tables / "df_transfer_acc.csv")


@pytest.fixture
def file(tables):
    return tables / "tllib_finetuned_acc_and_scores.csv"


def mean(evaluation, score, measure):
    return evaluation[score].measures[measure].mean


class TestUCR85:
    """Fawaz et al. (2018): 85 data sets, fine-tuned, and their order by IDS."""

    def test_published_order_with_the_first_best_source(self, ids):
        found = mean(ids, "similar_datasets", "first_reciprocal_rank")
        assert found == pytest.approx(0.11626114810805344, abs=1e-15)
        assert 85 * mean(ids, "similar_datasets", "first_hit") == pytest.approx(4)
        assert 85 * mean(ids, RANDOM, "first_hit") == pytest.approx(1.01, abs=5e-3)
        assert mean(ids, RANDOM, "first_reciprocal_rank") == pytest.approx(0.05969, abs=5e-6)

    def test_with_all_best_sources(self, ids):
        assert mean(ids, "similar_datasets", "reciprocal_rank") == pytest.approx(0.1696, abs=5e-5)
        assert 85 * mean(ids, "similar_datasets", "hit") == pytest.approx(8)
        assert 85 * mean(ids, RANDOM, "hit") == pytest.approx(5.86, abs=5e-3)
        # 0.1305 is the published figure, from draws; this is its expectation.
        assert mean(ids, RANDOM, "reciprocal_rank") == pytest.approx(0.1305, abs=1e-3)

    def test_accuracy_of_the_picks(self, ids):
        assert ids.oracle == pytest.approx(0.8571, abs=5e-5)
        assert mean(ids, STATIC, "pick") == pytest.approx(0.8274, abs=5e-5)
        assert mean(ids, "similar_datasets", "pick") == pytest.approx(0.8198, abs=5e-5)
        assert mean(ids, RANDOM, "pick") == pytest.approx(0.8154, abs=5e-5)
        assert mean(ids, RANDOM, "regret@1") == pytest.approx(0.8571 - 0.8154, abs=1e-4)

    def test_static_is_better_than_random_and_the_test_says_so(self, ids):
        assert ids[STATIC].p_random < 0.001
        assert ids[STATIC].p_static == 1
        assert ids["similar_datasets"].p_static > 0.05


class TestTransferLearningLibrary:
    """Ten convolutional networks on eight data sets."""

    @pytest.mark.parametrize(
        ("score", "tau"), [("LogME", 0.670), ("HScore", 0.650), ("LEEP", 0.419), ("NCE", 0.687)]
    )
    def test_weighted_tau(self, file, score, tau):
        assert mean(evaluate(file, file), score, "weighted_tau") == pytest.approx(tau, abs=5e-4)

    def test_static_by_rank_and_by_accuracy(self, file):
        targets = read_tables(file, file).targets
        by_rank = [
            dataclasses.replace(target, truth=rankdata(target.truth), scores={})
            for target in targets
        ]
        found = evaluate_targets([dataclasses.replace(each, scores={}) for each in by_rank])
        assert mean(found, STATIC, "weighted_tau") == pytest.approx(0.680, abs=5e-3)
        assert mean(evaluate_targets(targets), STATIC, "weighted_tau") == pytest.approx(
            0.757, abs=5e-4
        )


LONG = """target,model,cut,good,bad,parameters,accuracy
t1,a,x,3,1,10,0.9
t1,b,x,2,2,20,0.8
t1,c,y,1,3,30,0.7
t2,a,x,9,1,10,0.6
t2,b,x,8,2,20,0.5
t2,c,y,7,3,30,0.4
"""

RANKING = """rank,model,cut,status,logme,note
1,a,x,ok,0.9,
2,b,x,ok,0.8,
3,c,y,ok,0.7,
"""


def write(folder, **texts):
    paths = [folder / f"{name}.csv" for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text)
    return paths


def test_a_long_table_with_baselines(tmp_path):
    (file,) = write(tmp_path, all=LONG)
    found = evaluate(file, file)
    assert [score.name for score in found.scores[:2]] == ["good", "bad"]
    assert mean(found, "good", "regret@1") == 0
    assert mean(found, "bad", "regret@1") == mean(found, SIZE, "regret@1") == pytest.approx(0.2)
    assert mean(found, STATIC, "hit") == 1
    assert mean(found, RANDOM, "hit") == pytest.approx(1 / 3)
    assert found["bad"].is_baseline is False
    assert found[SIZE].is_baseline is True
    mended = evaluate(file, file, columns=["bad"], lower_is_better=["bad"])
    assert mean(mended, "bad", "weighted_tau") == pytest.approx(1)
    assert {score.name for score in mended.scores} == {"bad", STATIC, RANDOM}


def test_matrices_and_lists_leave_a_name_with_itself_out(tmp_path):
    truth, scores, lists = write(
        tmp_path,
        truth=",a,b,c\na,0,.5,.6\nb,.8,0,.4\nc,.7,.9,0\n",
        scores=",a,b,c\na,99,1,2\nb,2,99,1\nc,1,2,99\n",
        lists=",1,2,3,4\na,b,c,,\nb,c,a,,\nc,a,b,,\n",
    )
    for path in (scores, lists):
        found = evaluate(path, truth)
        assert found.n_candidates == (2, 2, 2)
        assert mean(found, path.stem, "hit") == 1


def test_names_may_be_numbers(tmp_path):
    text = LONG
    for place, name in enumerate(["t1", "t2", "a", "b", "c", "x", "y"]):
        text = text.replace(f"\n{name},", f"\n{place},").replace(f",{name},", f",{place},")
    scores, truth = write(tmp_path, scores=text, truth=text.replace("accuracy", "truth"))
    found = evaluate(scores, truth)
    assert found.targets == ("0", "1")
    assert [score.name for score in found.scores[:2]] == ["good", "bad"]
    assert {score.name for score in found.scores[2:]} == {STATIC, SIZE, RANDOM}
    (alone,) = write(tmp_path, alone="target,model,cut,z\n0,2,5,.9\n0,3,5,.8\n")
    assert read_tables(scores, alone).targets[0].truth.tolist() == [0.9, 0.8]


def test_the_same_seed_gives_the_same_intervals(tmp_path):
    (file,) = write(tmp_path, all=LONG)
    assert evaluate(file, file).to_json() == evaluate(file, file).to_json()
    frame = evaluate(file, file).to_frame()
    assert list(frame["score"])[:2] == ["good", "bad"]
    assert len(evaluate(file, file).to_csv().splitlines()) == 1 + len(frame)


def test_intervals_hold_the_mean():
    rng = np.random.default_rng(0)
    targets = []
    for t in range(30):
        truth = rng.random(8)
        names = tuple((f"m{i}", "") for i in range(8))
        scores = {"signal": truth + rng.normal(0, 0.1, 8)}
        targets.append(Candidates(f"t{t}", names, truth, scores))
    found = evaluate_targets(targets)
    for score in found.scores:
        for estimate in score.measures.values():
            assert estimate.low <= estimate.mean <= estimate.high
    assert found["signal"].p_random < 0.01


@pytest.mark.parametrize(
    ("scores", "truth", "options", "message"),
    [
        (
            LONG,
            LONG,
            {"columns": ["god"]},
            "no column 'god' of numbers; did you mean 'good'?",
        ),
        (LONG, LONG, {"lower_is_better": ["x"]}, "has no score 'x'; allowed: good, bad"),
        (LONG, LONG, {"truth_column": "acc"}, "no column 'acc' of numbers; name the true"),
        (LONG, LONG.replace("accuracy", "z"), {}, "several columns of numbers; name the true"),
        (LONG, "target,model,accuracy\nt9,a,1\n", {}, "no target with two sources in common"),
        (LONG + "t1,a,x,3,1,10,0.9\n", LONG, {}, "row 8 repeats a for t1"),
        (LONG + "t1,a\n", LONG, {}, "row 8 has 2 cells, the header 7"),
        ("nothing", LONG, {}, "holds no table"),
        (LONG, "target,model\nt1,a\n", {}, "no column of numbers; the true accuracy is needed"),
        (LONG.replace("bad", "good"), LONG, {}, "row 1 repeats 'good'"),
        (",a,b\na,0,1\nb,1,0\na,0,2\n", LONG, {}, "row 4 repeats 'a'"),
        (",a,a\nb,0,1\n", LONG, {}, "row 1 repeats 'a'"),
        (",1,2\nt1,a,b\nt1,b,a\n", LONG, {}, "row 3 repeats 't1'"),
        (",1,2\nt1,a,b\nt2,b,b\n", LONG, {}, "row 3 repeats 'b'"),
        (LONG, ",a,b\na,0,x\nb,1,0\n", {}, "row 2, column 'b': 'x' is no number"),
        (",a,b\na,0,n/a\nb,x,1\nc,2,3\n", LONG, {}, "row 2, column 'b': 'n/a' is no number"),
        (LONG.replace(",3,1,", ",n/a,1,"), LONG, {}, "row 2, column 'good': 'n/a' is no number"),
        (LONG.replace("8,2,20", "8,,20"), LONG, {}, "scores.csv: row 6, column 'bad': '' is no"),
        (LONG.replace("8,2,20", "inf,2,20"), LONG, {}, "row 6, column 'good': 'inf' is no number"),
        (LONG, LONG.replace("0.8", "0·8"), {}, "row 3, column 'accuracy': '0·8'"),
        (LONG, LONG.replace("t1", "t1s").replace("t2", "t2s"), {}, "did you mean 't1s'?"),
        (RANKING, LONG, {}, "scores.csv has no column 'target'"),
        (LONG, "model,accuracy\na,0.9\nb,0.8\n", {}, "truth.csv has no column 'target'"),
        (LONG.replace("bad", "parameters_kept"), LONG, {}, "are both a parameter count"),
        (LONG.replace("good", "random"), LONG, {}, "'random' is the name of a baseline"),
    ],
)
def test_a_wrong_table_is_met_with_one_line(tmp_path, scores, truth, options, message):
    first, second = write(tmp_path, scores=scores, truth=truth)
    with pytest.raises((DataError, UsageError)) as caught:
        evaluate(first, second, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_of_words_are_no_scores_and_those_not_named_are_not_read(tmp_path):
    text = LONG.replace(",x,", ",x,n/a,").replace(",y,", ",y,n/a,").replace("cut,", "cut,word,")
    scores, truth, partly = write(
        tmp_path, scores=text, truth=LONG, partly=LONG.replace(",3,1,", ",3,n/a,")
    )
    assert set(read_tables(scores, truth).targets[0].scores) == {"good", "bad", "parameters"}
    assert set(read_tables(partly, truth, columns=["good"]).targets[0].scores) == {"good"}
    assert len(read_tables(truth, partly, truth_column="accuracy").targets) == 2


def test_what_only_one_table_has_is_said(tmp_path):
    more = LONG + "t3,a,x,1,1,10,0.4\nt3,b,x,1,1,10,0.4\n"
    scores, truth = write(
        tmp_path,
        scores=more.replace("t3", "Plane").replace("t2,c", "t2,sea") + "Cars,a,x,1,1,10,0.4\n",
        truth=more.replace("t3", "Aircraft").replace("t1,a", "t1,b2") + "Cras,a,x,1,1,10,0.4\n",
    )
    found = evaluate(scores, truth)
    assert found.targets == ("t1", "t2")
    assert found.note == (
        f"not compared: targets 'Plane', 'Cars' (did you mean 'Cras'?) of {scores} alone; "
        f"source 'sea' of {scores} alone; pair a cut at x for t1 of {scores} alone; "
        f"targets 'Aircraft', 'Cras' (did you mean 'Cars'?) of {truth} alone; "
        f"source 'b2' of {truth} alone; pair c cut at y for t2 of {truth} alone"
    )
    assert f'"note": "{found.note}"' in found.to_json()


def test_a_target_with_one_candidate_in_common_is_said(tmp_path):
    (file,) = write(tmp_path, all=LONG + "t3,a,x,1,1,10,0.4\n")
    found = evaluate(file, file)
    assert found.targets == ("t1", "t2")
    assert found.note == "not compared: target 't3' with one candidate in common"


def test_nothing_is_said_where_all_is_in_both(tmp_path):
    (file,) = write(tmp_path, all=LONG)
    assert evaluate(file, file).note == ""


def test_a_line_of_millions_of_cells_is_refused(tmp_path):
    file = tmp_path / "scores.csv"
    file.write_text("target,source,a,truth\nt,s,1,1\n" + "1," * 2**19 + "1\n")
    with pytest.raises(DataError, match="line 3 has over 1,048,576 characters"):
        evaluate(file, file)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        evaluate(tmp_path / "none.csv", tmp_path / "none.csv")


class TestPaired:
    """Two selectors on the same targets."""

    def test_agrees_with_the_tests_against_the_baselines(self, file):
        found = evaluate(file, file)
        for name, p in (
            (STATIC, found["LogME"].p_static),
            (RANDOM, found["LogME"].p_random),
        ):
            assert paired(found["LogME"].regrets, found[name].regrets).p == p

    def test_is_what_evaluate_has_against_a_score_that_is_named(self, file):
        found = evaluate(file, file, against="LogME")
        assert found.against == "LogME"
        assert found["NCE"].less["regret@1"] == paired(found["NCE"].regrets, found["LogME"].regrets)
        tau = found["NCE"].less["weighted_tau"]
        assert tau.mean == pytest.approx(0.687 - 0.670, abs=1e-3)
        assert tau.low < tau.mean < tau.high
        assert found["LogME"].less["weighted_tau"] == Difference(0, 0, 0, 1)
        assert evaluate(file, file)["NCE"].less["regret@1"].p == found["NCE"].p_static
        record = next(each for each in found.records() if each["score"] == "NCE")
        assert (record["against"], record["weighted_tau_less_low"]) == ("LogME", tau.low)

    def test_leaves_out_targets_that_have_no_order(self, tmp_path):
        text = LONG + "t3,a,x,1,2,10,0.5\nt3,b,x,2,1,20,0.5\n"
        (file,) = write(tmp_path, all=text)
        found = evaluate(file, file, columns=["good", "bad"], against="bad")
        assert found["good"].less["weighted_tau"].mean == pytest.approx(2)
        assert found["good"].less["regret@1"].mean == pytest.approx(-0.4 / 3)

    def test_with_a_score_that_is_not_there_is_refused(self, tmp_path):
        (file,) = write(tmp_path, all=LONG)
        with pytest.raises(UsageError, match="is called 'god'; did you mean 'good'"):
            evaluate(file, file, against="god")

    def test_all_ways_to_flip_six_signs(self):
        found = paired(np.arange(1.0, 7.0), np.zeros(6))
        assert found.p == pytest.approx(2 / 64, abs=0.01)
        assert found.mean == pytest.approx(3.5)
        assert 1 < found.low < 3.5 < found.high < 6

    def test_the_other_way_round_is_the_same_with_another_sign(self):
        rng = np.random.default_rng(0)
        a, b = rng.random((2, 30))
        one, other = paired(a, b), paired(b, a)
        assert (one.mean, one.low, one.high) == pytest.approx(
            (-other.mean, -other.high, -other.low)
        )
        assert one.p == other.p

    def test_no_difference_is_none(self):
        found = paired([0.1, 0.2], [0.1, 0.2])
        assert (found.mean, found.low, found.high, found.p) == (0, 0, 0, 1)
