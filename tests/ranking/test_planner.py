"""What is run next: the best promise for its time, and a sample first where that pays."""

from __future__ import annotations

import random

from zoorank.ranking.planner import Plan, Prospect, Spent, Step, sample_size, shares


def steps(plan, left, takes):
    """All steps as they come, one at a time, and the seconds that are left in the end."""
    found, sampled = [], {}
    while (step := plan.next(left)) is not None:
        opening, a_row, value = takes[step.name]
        rows = plan.rows if step.whole else plan.sample
        rows -= plan.sample if step.whole and step.name in sampled else 0
        left -= opening + rows * a_row
        plan.ended(step.name, Spent(opening, a_row))
        if not step.whole:
            sampled[step.name] = value
            plan.judged(sampled)
        found.append(step)
    return found, left


def names(found, *, whole=True):
    return [step.name for step in found if step.whole == whole]


def test_with_time_enough_everything_is_run_on_all_rows():
    plan = Plan([Prospect(name) for name in "abc"], rows=100)
    assert names(steps(plan, 1e6, dict.fromkeys("abc", (1.0, 0.1, 0)))[0]) == ["a", "b", "c"]
    assert plan.next(1e6) is None


def test_what_is_known_to_be_good_comes_first_and_what_is_cheap():
    known = {"good": 0.9, "bad": 0.2, "none": None}
    plan = Plan([Prospect(name, expected=each) for name, each in known.items()], rows=100)
    assert names(steps(plan, 1e6, dict.fromkeys(known, (1.0, 0.1, 0)))[0]) == [
        "good",
        "none",
        "bad",
    ]
    plan = Plan([Prospect(name, size=size) for name, size in (("a", 9.0), ("b", 1.0))], rows=9)
    assert plan.next(60.0) == Step("b", whole=True)


def test_what_is_of_a_family_that_was_run_comes_later():
    prospects = [Prospect(f"{family}{i}", family) for family in "xy" for i in range(2)]
    plan = Plan(prospects, rows=100)
    found, _ = steps(plan, 1e6, {each.name: (1.0, 0.1, 0) for each in prospects})
    assert names(found) == ["x0", "y0", "x1", "y1"]


def test_what_an_earlier_run_has_done_comes_first_and_what_it_found_broken_last():
    prospects = [
        Prospect("broken", broken=True, expected=0.99),
        Prospect("new"),
        Prospect("done", remembered="whole"),
        Prospect("looked at", remembered="sample"),
    ]
    plan = Plan(prospects, rows=1000, sample=100)
    assert plan.next(60.0) == Step("done", whole=True)
    assert plan.next(60.0) == Step("looked at", whole=False)
    plan = Plan(prospects[:2], rows=1000)
    assert [plan.next(60.0).name for _ in range(2)] == ["new", "broken"]


def test_a_sample_comes_first_where_time_is_short_and_finds_the_best():
    quality = random.Random(0).sample(range(50), 50)
    takes = {f"s{i}": (0.1, 0.01, float(each)) for i, each in enumerate(quality)}
    plan = Plan([Prospect(name) for name in takes], rows=1000, sample=100)
    found, left = steps(plan, 120.0, takes)
    sampled, whole = names(found, whole=False), names(found)
    assert len(sampled) >= 25
    assert len(whole) >= 5
    assert set(whole) <= set(sampled)
    assert 0 <= left < 10.2
    best = sorted(sampled, key=lambda name: -takes[name][2])
    assert set(best[:2]) <= set(whole)


def test_there_is_no_sample_where_opening_is_what_takes_long():
    takes = {f"s{i}": (5.0, 0.001, 0.0) for i in range(50)}
    plan = Plan([Prospect(name) for name in takes], rows=1000, sample=100)
    found, _ = steps(plan, 100.0, takes)
    # The first ones tell what opening takes.
    assert len(names(found, whole=False)) <= 1
    assert len(names(found)) >= 15


def test_there_is_no_sample_where_all_fits():
    takes = {f"s{i}": (0.1, 0.01, 0.0) for i in range(20)}
    plan = Plan([Prospect(name) for name in takes], rows=1000, sample=100)
    found, _ = steps(plan, 1e4, takes)
    assert len(names(found, whole=False)) == 1
    assert len(names(found)) == 20


def test_what_would_not_end_in_time_is_not_begun():
    takes = {"a": (0, 0.1, 0), "b": (0, 0.1, 0), "c": (0, 0.1, 0), "d": (0, 0.1, 0)}
    plan = Plan(
        [Prospect(name, size=1.0) for name in takes] + [Prospect("huge", size=9.0)], rows=10
    )
    found, left = steps(plan, 8.0, takes)
    assert names(found) == ["a", "b", "c", "d"]
    assert left == 4.0
    assert plan.seconds("huge") == 9.0


def test_a_source_whose_sample_is_not_done_is_not_run_on_all_rows():
    plan = Plan([Prospect("a"), Prospect("b")], rows=1000, sample=100)
    assert plan.next(10.0) == Step("a", whole=False)
    assert plan.next(10.0) == Step("b", whole=False)
    assert plan.next(10.0) is None
    plan.ended("a", Spent(0.0, 0.001))
    plan.judged({"a": 1.0})
    assert plan.next(10.0) == Step("a", whole=True)
    plan.gone("b")
    assert plan.next(10.0) is None


def test_sizes_of_samples():
    assert [sample_size(rows, 2) for rows in (100, 511, 512, 10_000, 10**6)] == [
        0,
        0,
        128,
        625,
        1024,
    ]
    assert sample_size(10_000, 200) == 1600
    assert sample_size(5000, 200) == 0
    assert sample_size(0, 1) == 0


def test_figures_count_within_their_benchmark():
    assert shares([]) == {}
    assert shares([("a", "x", 0.2), ("b", "x", 0.2)]) == {"a": 0.5, "b": 0.5}
