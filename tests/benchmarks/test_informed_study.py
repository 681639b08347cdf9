"""The figures on what is known beside the encodings: their split, their sources, their bars."""

import importlib.util
import os
import shutil
import sys
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    for name in ("figures", "ucr", "informed"):
        monkeypatch.syspath_prepend(ROOT / "benchmarks" / name)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:  # names as plain as these belong to nobody
        if str(ROOT / "benchmarks") in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_the_columns_of_the_published_table_are_made_by_what_ranks():
    import published

    rows = published.read()
    assert rows == published.with_votes(rows)
    assert len(rows) == 80


def test_informed_is_at_least_as_good_as_each_alone_on_the_published_table():
    from informed import cnn

    tau = {score.name: score.measures["weighted_tau"].mean for score in cnn().scores}
    for alone in ("LogME", "HScore", "consensus", "ImageNet top-1"):
        assert tau["informed"] > tau[alone]


def test_eight_targets_tell_informed_from_the_h_score_alone():
    from informed import ALONE, STATIC, cnn

    differences = {name: cnn(name)["informed"].less for name in (*ALONE, STATIC)}
    apart = [name for name, less in differences.items()
             if not less["weighted_tau"].low <= 0 <= less["weighted_tau"].high]  # fmt: skip
    assert apart == ["HScore"]
    assert all(less["regret@1"].low <= 0 <= less["regret@1"].high for less in differences.values())


def test_the_published_table_is_built_from_those_that_were_published():
    import published

    folder = Path(os.environ.get("ZOORANK_DATA", ROOT.parent / "shared" / "data")) / "tables"
    if not (folder / published.ACCURACIES).is_file():
        pytest.skip(f"no published tables in {folder} (set ZOORANK_DATA)")
    built = published.with_votes(published.joined(folder))
    assert built == published.read()
    assert list(built[0]) == list(published.read()[0])


def test_what_rank_quotes_is_what_was_measured():
    import evidence

    assert evidence.evidence_text() == evidence.EVIDENCE.read_text(encoding="utf-8")


def test_rank_quotes_for_images_what_ten_targets_gave():
    import evidence
    from informed import images

    found = evidence.of_pictures()
    assert (found["targets"], found["candidates"]) == (10, 38)
    for key, name in (("informed", "informed"), ("consensus", "consensus")):
        regret = 100 * images()[name].measures["regret@1"].mean
        assert found["scores"][key]["regret"] == pytest.approx(regret, abs=0.005)


def test_informed_is_ahead_of_the_consensus_on_images_and_no_worse_than_heads():
    """What the page says in words. Its weights were measured on series alone."""
    import of_images
    from informed import images

    from zoorank.evaluation.evaluate import paired

    regrets = {score.name: score.regrets for score in images().scores}
    assert paired(regrets["informed"], regrets["consensus"]).high < 0
    heads = paired(regrets["informed"], regrets[of_images.ALONE["probe"]])
    assert heads.low <= 0 <= heads.high


def program(path):
    spec = importlib.util.spec_from_file_location("program", ROOT / "benchmarks" / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["informed/study.py", "informed/published.py", "images/study.py"])
def test_one_command_makes_a_study_its_tables_and_the_page(name, monkeypatch, tmp_path):
    """From spoiled results, evidence and page, each comes back as it is committed."""
    pytest.importorskip("matplotlib", reason="pictures need it: pip install 'zoorank[plots]'")
    import evidence
    import published
    import write

    page = ROOT / "docs" / "informed.md"
    assert f"Made by `python benchmarks/{name}" in page.read_text(encoding="utf-8")
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    monkeypatch.setattr(write, "ROOT", tmp_path)
    spoiled = tmp_path / "docs" / "informed.md"
    spoiled.write_text(page.read_text(encoding="utf-8").replace("| consensus |", "| nothing |"))
    said = tmp_path / "evidence.json"
    said.write_text(evidence.EVIDENCE.read_text().replace('"kinds": {', '"kinds": {"x": {},'))
    made = {said: evidence.EVIDENCE, spoiled: page}
    monkeypatch.setattr(evidence, "EVIDENCE", said)
    module = program(name)
    if name == "informed/study.py":
        made[tmp_path / "series.csv"] = evidence.SERIES
        rows = [{key: "" if value is None else value for key, value in row.items()}
                for row in evidence.read_series()]  # fmt: skip
        monkeypatch.setattr(evidence, "SERIES", tmp_path / "series.csv")
        monkeypatch.setattr(module, "series", lambda _: rows)
    elif name == "informed/published.py":
        copy = tmp_path / "cnn.csv"
        made[copy] = published.TABLE
        copy.write_text(published.TABLE.read_text(encoding="utf-8").replace(",1\n", ",2\n"))
        monkeypatch.setattr(module, "TABLE", copy)
    else:
        monkeypatch.setattr(module, "measure_missing", lambda *_: None)
    monkeypatch.setattr(sys, "argv", [name])
    assert module.main() == 0
    for path, committed in made.items():
        assert path.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")


def test_the_series_stand_beside_what_needs_no_record():
    """Random, static, MSC and heads are those of the UCR study, on the same targets."""
    import evidence
    from candidates import Study
    from picks import PROBE

    from zoorank.evaluation.evaluate import RANDOM, STATIC, evaluate_targets

    found = evaluate_targets(Study.read(ROOT / "benchmarks" / "ucr").targets)
    rows = evidence.read_series()

    def regret(rule):
        return np.mean([row["regret"] for row in rows if row["rule"] == rule])

    known = {RANDOM: RANDOM, STATIC: STATIC, "MSC euclidean": "euclidean",
             "a head on everything": PROBE, "consensus": "consensus"}  # fmt: skip
    for rule, name in known.items():
        assert regret(rule) == pytest.approx(found[name].measures["regret@1"].mean, abs=1e-6)
    heads = [row["heads"] for row in rows if row["rule"] == "a head on everything"]
    assert heads == [float(n) for n in found.n_candidates]


def test_what_the_page_says_of_a_record_is_so():
    import study
    from informed import beside, mean, of_rule, read

    rows = read("results/informed_series.csv")
    static = of_rule(rows, "best static source", 35)
    for k in study.KS:
        for name in ("regret", "regret_halves"):
            mine = of_rule(rows, "informed", k)
            assert beside(mine, of_rule(rows, "consensus", 0), name).low < 0
            assert mean(mine, name) < mean(static, name)


def test_intervals_hold_what_they_say_where_the_model_is_true():
    """Accuracies drawn as the estimate supposes are covered 95 times in 100; shifted ones not."""
    import held

    from zoorank.ranking.belief import Effects
    from zoorank.ranking.informed import Knowledge, expect
    from zoorank.ranking.record import Trained

    rng = np.random.default_rng(0)
    effects = Effects(0.2, 0.15, 0.1, 0.1, 0.15, 0.3, vote=0.0, spread=0.05)
    names = [(f"net{i}", cut) for i in range(8) for cut in "abc"]
    found, shifted = [], []
    for _ in range(60):
        lasting = rng.multivariate_normal(np.zeros(24), effects.lasting(names))
        passing = rng.multivariate_normal(np.zeros(24), effects.passing(names), size=21)
        truth = 0.7 + 0.05 * (lasting + passing)
        lines = [Trained(str(t), *name, float(each)) for t, row in enumerate(truth[1:])
                 for name, each in zip(names, row, strict=True)]  # fmt: skip
        expected = expect(names, np.zeros(24), {}, Knowledge(tuple(lines)), effects)
        found.append(held.covered(expected, truth[0]))
        shifted.append(held.covered(expected, truth[0] + 0.3 * np.arange(24)))
    assert np.mean(found) == pytest.approx(0.95, abs=0.02)
    assert np.mean(shifted) < 0.2


def test_coverage_is_that_of_what_is_expected_by_all_other_targets():
    import evidence
    import held
    from candidates import Study
    from effects import measured
    from records import expected_of, lines_of

    targets = Study.read(ROOT / "benchmarks" / "ucr").targets
    written = {row["target"]: row["covered"] for row in evidence.read_series()
               if (row["rule"], row["k"]) == ("informed", 35)}  # fmt: skip
    assert len(written) == len(targets)
    for target in targets[::12]:
        others = [each for each in targets if each is not target]
        expected = expected_of(target, lines_of(others), measured(others), {})
        share = held.covered(expected, target.truth)
        assert written[target.target] == pytest.approx(share, abs=1e-6)
    assert 0.92 < np.mean(list(written.values())) < 0.98


@pytest.mark.parametrize("with_record", [False, True])
def test_what_is_expected_of_the_published_networks_reaches_no_further_than_it_says(with_record):
    """Consensus and publication added in full left a third of the accuracies out."""
    import held

    assert np.mean(held.of_published(with_record=with_record)) > 0.9


def test_no_target_has_a_part_in_what_it_is_judged_by():
    """With a target's truths replaced, the effects that it is judged by stay the same."""
    import effects
    import study
    from candidates import Study

    targets = Study.read(ROOT / "benchmarks" / "ucr").targets
    seen = []

    def spy(others):
        seen.append([each.target for each in others])
        return effects.measured(others)

    small = [replace(each) for each in targets[:3]]
    names = [each.target for each in small]
    patched = pytest.MonkeyPatch()
    patched.setattr(study, "measured", spy)
    patched.setattr(study, "KS", (1,))
    patched.setattr(study, "DRAWS", 1)

    class Few:
        sizes = dict.fromkeys(names, (50, 2))

    few = Few()
    few.targets = small
    try:
        rows = study.series(few)
    finally:
        patched.undo()
    assert seen == [[name for name in names if name != left] for left in names]
    assert {row["target"] for row in rows} == set(names)


def test_effects_of_made_up_targets_come_back():
    from effects import measured

    from zoorank.evaluation.tables import Candidates
    from zoorank.ranking.belief import Effects

    rng = np.random.default_rng(0)
    truth = Effects(0.2, 0.15, 0.1, 0.1, 0.15, 0.3, vote=0.0, spread=0.05)
    names = tuple((f"net{i}", cut) for i in range(30) for cut in "abcdef")
    lasting = rng.multivariate_normal(np.zeros(180), truth.lasting(names))
    passing = rng.multivariate_normal(np.zeros(180), truth.passing(names), size=60)
    targets = [
        Candidates(str(t), names, 0.7 + 0.05 * (lasting + row), {"consensus": rng.random(180)})
        for t, row in enumerate(passing)
    ]
    found = measured(targets)
    # Six cuts tell little of how cuts vary; the others are known to a few hundredths.
    wanted, got = (np.array(astuple(each))[[0, 2, 3, 5]] for each in (truth, found))
    np.testing.assert_allclose(got / got.sum(), wanted / wanted.sum(), atol=0.12)
    assert abs(found.vote) < 0.1
