"""The replay of a budget on the UCR study: what it takes, and whether its figures hold."""

import csv
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the study trains: pip install 'zoorank[zoo]'")

STUDY = Path(__file__).parents[2] / "benchmarks" / "ucr"
RESULTS = STUDY.parent / "results" / "amd-epyc-avx512"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(STUDY)


@pytest.fixture
def study():
    from candidates import Study

    return Study.read(STUDY)


def costs():
    import budget

    return {(row["target"], row["network"]): row for row in budget.read(budget.COSTS)}


def test_a_budget_takes_no_more_than_its_share(study):
    import budget

    target, spent = study.plain[4], costs()
    all_of_them = budget.replay(target, spent, {}, 2.0, 0)
    assert all_of_them[2] == all_of_them[3] == 35
    assert all_of_them[0] == all_of_them[1]
    _, whole, run, networks = budget.replay(target, spent, {}, 0.25, 0)
    assert (whole, networks) == (all_of_them[1], 35)
    assert 6 <= run <= 10
    none = budget.replay(target, spent, {}, 0.001, 0)
    assert none[2] == 0


def test_a_record_knows_nothing_of_the_target_at_hand(study):
    import budget

    found = list(budget.figures(study.plain, 4))
    assert study.plain[4].target not in {target for target, _, _ in found}
    assert len({target for target, _, _ in found}) == len(study.plain) - 1


@pytest.mark.slow
def test_a_quarter_of_the_time_loses_no_more_than_a_point(monkeypatch, study):
    import budget

    monkeypatch.setattr(budget, "SHARES", (0.25,))
    monkeypatch.setattr(budget, "ORDERS", 5)
    nothing, record = budget.replayed()
    with (RESULTS / "budget.csv").open(encoding="utf-8") as stream:
        said = {row["known"]: row for row in csv.DictReader(stream) if row["share"] == "0.25"}
    for row in (nothing, record):
        assert row["regret"] == pytest.approx(float(said[row["known"]]["regret"]), abs=0.5)
        assert row["regret of all"] == pytest.approx(
            float(said[row["known"]]["regret of all"]), abs=1e-3
        )
    assert record["regret"] - record["regret of all"] <= budget.ALLOWED
