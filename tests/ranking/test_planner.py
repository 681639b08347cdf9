"""What is run next: the best promise for its time, and a sample first where that pays."""

from __future__ import annotations

import random

from zoorank.ranking.planner import Prospect, Schedule, Spent, Step, sample_size, shares


def steps(schedule, left, takes):
    """All steps as they come, one at a time, and the seconds that are left in the end."""
    found, sampled = [], {}
    while (step := schedule.next(left)) is not None:
        opening, a_row, value = takes[step.name]
        rows = schedule.rows if step.whole else schedule.sample
        rows -= schedule.sample if step.whole and step.name in sampled else 0
        left -= opening + rows * a_row
        schedule.ended(step.name, Spent(opening, a_row))
        if not step.whole:
            sampled[step.name] = value
            schedule.judged(sampled)
        found.append(step)
    return found, left


def names(found, *, whole=True):
    return [step.name for step in found if step.whole == whole]


def test_with_time_enough_everything_is_run_on_all_rows():
    schedule = Schedule([Prospect(name) for name in "abc"], rows=100)
    assert names(steps(schedule, 1e6, dict.fromkeys("abc", (1.0, 0.1, 0)))[0]) == ["a", "b", "c"]
    assert schedule.next(1e6) is None


def test_what_is_known_to_be_good_comes_first_and_what_is_cheap():
    known = {"good": 0.9, "bad": 0.2, "none": None}
    schedule = Schedule([Prospect(name, expected=each) for name, each in known.items()], rows=100)
    assert names(steps(schedule, 1e6, dict.fromkeys(known, (1.0, 0.1, 0)))[0]) == [
        "good",
        "none",
        "bad",
    ]
    schedule = Schedule(
        [Prospect(name, size=size) for name, size in (("a", 9.0), ("b", 1.0))], rows=9
    )
    assert schedule.next(60.0) == Step("b", whole=True)


def test_what_is_of_a_family_that_was_run_comes_later():
    prospects = [Prospect(f"{family}{i}", family) for family in "xy" for i in range(2)]
    schedule = Schedule(prospects, rows=100)
    found, _ = steps(schedule, 1e6, {each.name: (1.0, 0.1, 0) for each in prospects})
    assert names(found) == ["x0", "y0", "x1", "y1"]


def test_what_an_earlier_run_has_done_comes_first_and_what_it_found_broken_last():
    prospects = [
        Prospect("broken", broken=True, expected=0.99),
        Prospect("new"),
        Prospect("done", remembered="whole"),
        Prospect("looked at", remembered="sample"),
    ]
    schedule = Schedule(prospects, rows=1000, sample=100)
    assert schedule.next(60.0) == Step("done", whole=True)
    assert schedule.next(60.0) == Step("looked at", whole=False)
    schedule = Schedule(prospects[:2], rows=1000)
    assert [schedule.next(60.0).name for _ in range(2)] == ["new", "broken"]


def test_a_sample_comes_first_where_time_is_short_and_finds_the_best():
    quality = random.Random(0).sample(range(50), 50)
    takes = {f"s{i}": (0.1, 0.01, float(each)) for i, each in enumerate(quality)}
    schedule = Schedule([Prospect(name) for name in takes], rows=1000, sample=100)
    found, left = steps(schedule, 120.0, takes)
    sampled, whole = names(found, whole=False), names(found)
    assert len(sampled) >= 25
    assert len(whole) >= 5
    assert set(whole) <= set(sampled)
    assert 0 <= left < 10.2
    best = sorted(sampled, key=lambda name: -takes[name][2])
    assert set(best[:2]) <= set(whole)


def test_there_is_no_sample_where_opening_is_what_takes_long():
    takes = {f"s{i}": (5.0, 0.001, 0.0) for i in range(50)}
    schedule = Schedule([Prospect(name) for name in takes], rows=1000, sample=100)
    found, _ = steps(schedule, 100.0, takes)
    # The first ones tell what opening takes.
    assert len(names(found, whole=False)) <= 1
    assert len(names(found)) >= 15


def test_there_is_no_sample_where_all_fits():
    takes = {f"s{i}": (0.1, 0.01, 0.0) for i in range(20)}
    schedule = Schedule([Prospect(name) for name in takes], rows=1000, sample=100)
    found, _ = steps(schedule, 1e4, takes)
    assert len(names(found, whole=False)) == 1
    assert len(names(found)) == 20


def test_what_would_not_end_in_time_is_not_begun():
    takes = {"a": (0, 0.1, 0), "b": (0, 0.1, 0), "c": (0, 0.1, 0), "d": (0, 0.1, 0)}
    schedule = Schedule(
        [Prospect(name, size=1.0) for name in takes] + [Prospect("huge", size=9.0)], rows=10
    )
    found, left = steps(schedule, 8.0, takes)
    assert names(found) == ["a", "b", "c", "d"]
    assert left == 4.0
    assert schedule.seconds("huge") == 9.0


def test_a_source_whose_sample_is_not_done_is_not_run_on_all_rows():
    schedule = Schedule([Prospect("a"), Prospect("b")], rows=1000, sample=100)
    assert schedule.next(10.0) == Step("a", whole=False)
    assert schedule.next(10.0) == Step("b", whole=False)
    assert schedule.next(10.0) is None
    schedule.ended("a", Spent(0.0, 0.001))
    schedule.judged({"a": 1.0})
    assert schedule.next(10.0) == Step("a", whole=True)
    schedule.gone("b")
    assert schedule.next(10.0) is None


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
