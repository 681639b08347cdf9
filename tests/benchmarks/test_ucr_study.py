"""The UCR study: what is drawn, chosen and printed. It is measured elsewhere."""

import csv
import difflib
import re
from pathlib import Path

import numpy as np
import pytest

from zoorank.evaluation.tables import Candidates
from zoorank.scores import TABLE

pytest.importorskip("torch", reason="the study trains: pip install 'zoorank[zoo]'")

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "benchmarks" / "ucr"
PAGE = (ROOT / "docs" / "ucr-study.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(STUDY)


def tables():
    """Heading and first cells of every table of selectors on the page."""
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        for table in re.findall(r"^\| selector \|.*\n((?:\|.*\n)+)", part, flags=re.MULTILINE):
            cells = [line.split("|")[1].strip(" *") for line in table.splitlines()[1:]]
            yield part.partition("\n")[0], cells


@pytest.mark.slow
def test_the_page_and_the_evidence_are_those_of_the_measurements():
    pytest.importorskip("matplotlib", reason="the study draws: pip install 'zoorank[report]'")
    from candidates import Study
    from regret_picture import is_stale, shown
    from second import Second
    from tables import EVIDENCE, evidence_text, page_text

    study = Study.read(STUDY)
    second = Second.of(study)
    lines = page_text(PAGE, study, second).splitlines()
    stale = "\n".join(difflib.unified_diff(PAGE.splitlines(), lines, n=0, lineterm=""))
    assert not stale, f"`make figures` puts this right:\n{stale}"
    assert evidence_text(study) == EVIDENCE.read_text(encoding="utf-8")
    assert not is_stale(ROOT / "docs" / "ucr-study-regret.svg", shown(study, second))


@pytest.mark.slow
def test_what_the_page_says_in_words_is_so():
    """Words that would have to change with the figures."""
    from candidates import Study
    from crossfit import MARGIN_CHOSEN, STEADY, crossfit
    from picks import CONSENSUS, PROBE, points

    from zoorank.evaluation.evaluate import RANDOM, paired

    study = Study.read(STUDY)
    whole = study.whole
    chosen = crossfit(study.targets, [study.sizes[each.target][0] for each in study.targets])
    # "So nothing here speaks for another default", nor for another margin.
    assert paired(whole[CONSENSUS].regrets, chosen.regrets[STEADY]).low <= 0
    assert paired(whole[PROBE].regrets, chosen.regrets[MARGIN_CHOSEN]).low <= 0
    # "that comes out again"
    lost = [points(whole, name) for name in (RANDOM, "euclidean", "logme", PROBE, CONSENSUS)]
    assert lost == sorted(lost, reverse=True)
    # "the order that the pilot had too": middle, first, last.
    first, middle, last = (found[RANDOM].measures["pick"].mean for _, found in study.cuts.values())
    assert middle > first > last


def test_every_table_has_every_selector_and_every_baseline():
    from picks import COMBINED, SINGLE, label

    found = dict(tables())
    assert len(found) >= 6
    wanted = {label(key) for key in (*COMBINED, *SINGLE)}
    wanted |= {"random", "best static source", "parameter count"}
    for title, cells in found.items():
        assert wanted <= set(cells), title


def test_every_score_without_source_data_was_measured():
    with (STUDY / "measurements.csv").open(encoding="utf-8") as stream:
        header = next(csv.reader(stream))
    of_classes = {score.key for score in TABLE if "classification" in score.tasks}
    assert of_classes - {"ids"} <= set(header)


def test_rounds_draw_one_candidate_a_cut_and_every_network_once_for_it():
    from finetune import CUTS, jobs, rounds

    names = [f"net{i}" for i in range(7)]
    drawn = list(rounds(names))
    assert drawn == list(rounds(reversed(names)))
    assert all([cut for _, cut in candidates] == list(CUTS) for candidates in drawn)
    for cut in range(len(CUTS)):
        assert sorted(candidates[cut][0] for candidates in drawn) == names
    wanted = jobs(names, 2, [])
    assert len({job.key for job in wanted}) == len(wanted) == 2 * len(CUTS) * (len(names) - 1)
    assert all(job.network != job.target for job in wanted)


def test_what_chance_has_drawn_is_not_put_down_to_a_selector():
    from finetune import Job, jobs

    names = ["a", "b", "c"]
    (first, *_) = jobs(names, 1, [])
    other = Job("a", "zzz", "layers.0", 0)
    found = jobs(names, 1, [Job(*first.key, 0), other])
    assert found[0].drawn == 1
    assert found[-1] == other
    assert len(found) == len(jobs(names, 1, [])) + 1


def test_a_line_that_a_kill_cut_off_is_trained_again(tmp_path):
    from finetune import COLUMNS, append, trained

    kept = tmp_path / "tuned.csv"
    row = dict(zip(COLUMNS, ["t", "n", "c", *"123456"], strict=True))
    append(kept, row)
    with kept.open("a", encoding="utf-8") as stream:
        stream.write("t,m,c,1,0.")
    assert list(trained(kept)) == [("t", "n", "c")]
    append(kept, {**row, "network": "m"})
    assert list(trained(kept)) == [("t", "n", "c"), ("t", "m", "c")]


def test_held_out_rows_have_every_class_on_the_training_side():
    from finetune import held_out

    labels = np.repeat([0, 1, 2], [1, 4, 40])
    train, stop = held_out(labels)
    assert sorted([*train, *stop]) == list(range(45))
    assert np.bincount(labels[train]).tolist() == [1, 3, 30]


def targets_of_chance(rng, n_targets=12, n_networks=10):
    """Scores of chance, but for LogME, which is the truth with some noise."""
    from picks import CONSENSUS, PROBE, SINGLE

    targets = []
    for position in range(n_targets):
        truth = rng.random(n_networks)
        scores = {key: rng.random(n_networks) for key in (*SINGLE, PROBE, CONSENSUS)}
        scores["logme"] = truth + 0.01 * rng.random(n_networks)
        names = tuple((f"net{i}", "x") for i in range(n_networks))
        targets.append(Candidates(f"t{position}", names, truth, scores))
    return targets


def test_crossfit_chooses_what_is_good_and_reports_it_where_it_was_not_chosen(monkeypatch):
    import crossfit

    monkeypatch.setattr(crossfit, "SPLITS", 5)
    monkeypatch.setattr(crossfit, "ZOOS", 3)
    monkeypatch.setattr(crossfit, "FAMILY", [(i,) for i in range(len(crossfit.SINGLE))])
    found = crossfit.crossfit(targets_of_chance(np.random.default_rng(0)), [50] * 12)
    assert set(found.chosen) == {"LogME"}
    assert found.n_choices == 10
    assert found.regrets[crossfit.STEADY] == pytest.approx(np.zeros(12), abs=0.02)


def test_crossfit_of_scores_of_chance_promises_nothing(monkeypatch):
    import crossfit

    monkeypatch.setattr(crossfit, "SPLITS", 20)
    targets = targets_of_chance(np.random.default_rng(1), n_targets=16)
    for target in targets:
        target.scores["logme"][:] = np.random.default_rng(2).random(10)
    found = crossfit.crossfit(targets, [50] * 16)
    by_chance = np.mean([target.truth.max() - target.truth.mean() for target in targets])
    weights = crossfit.family_weights()
    all_of_them = [crossfit.regrets(target, weights) for target in targets]
    in_sight = np.min(np.stack(all_of_them).mean(axis=0))
    assert in_sight < 0.6 * by_chance
    assert found.regrets[crossfit.PLAIN].mean() > 0.8 * by_chance


def test_a_margin_never_reached_leaves_the_order():
    import crossfit

    (target, *_) = targets_of_chance(np.random.default_rng(3))
    target.scores["probe"][:] = 1.0
    *_, never = crossfit.of_margins(target, 50)
    first = int(np.argmax(target.scores["consensus"]))
    assert never == pytest.approx(target.truth.max() - target.truth[first])
