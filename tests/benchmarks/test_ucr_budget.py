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
def test_a_quarter_of_the_time_loses_what_is_said(monkeypatch, study):
    import budget

    monkeypatch.setattr(budget, "SHARES", (0.25,))
    nothing, record = budget.replayed()
    with (RESULTS / "budget.csv").open(encoding="utf-8") as stream:
        said = {row["known"]: row for row in csv.DictReader(stream) if row["share"] == "0.25"}
    for row in (nothing, record):
        assert row["regret"] == pytest.approx(float(said[row["known"]]["regret"]), abs=0.01)
        assert row["regret of all"] == pytest.approx(
            float(said[row["known"]]["regret of all"]), abs=1e-3
        )
    assert budget.verdict([nothing, record]) == 0


def test_what_is_lost_too_much_is_said_of_either_row(capsys):
    import budget

    def rows(nothing, record):
        lost = {"": nothing, "record": record}
        return [
            {"known": known, "share": share, "regret": 3.0 + points, "regret of all": 3.0}
            for known, points in lost.items()
            for share, points in ((0.125, 9.0), (0.25, points))
        ]

    assert budget.verdict(rows(1.17, 0.63)) == 0
    said = "nothing: +1.17 points, more than the bar of 1\nrecord: +0.63 points, within the bar"
    assert said in capsys.readouterr().out
    assert "1.40 points are lost by a quarter of the time with nothing" in budget.verdict(
        rows(1.4, 0.63)
    )
    assert "with record known, and 1 are allowed" in budget.verdict(rows(1.17, 1.1))
