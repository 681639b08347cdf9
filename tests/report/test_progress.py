from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from tests.ranking.rankings import RANKING

from zoorank.report.progress import LiveProgress, PlainProgress, Tally, outcome, progress

ROWS = [RANKING.rows[0], RANKING.rows[2]]


def console(*, terminal):
    return Console(file=io.StringIO(), width=100, force_terminal=terminal, legacy_windows=False)


def run(watcher):
    watcher.started(RANKING.target, ["lite2", "broken"])
    for done in (600, 1200, 1797):
        watcher.encoding("lite2", done, 1797)
    watcher.scoring("lite2", "_blocks.10")
    watcher.finished("lite2", ROWS)
    watcher.finished("broken", RANKING.failures)


def test_plain_lines_say_what_is_done_and_how_far_it_is():
    where = console(terminal=False)
    run(PlainProgress(where, interval=0.0))
    lines = where.file.getvalue().splitlines()
    assert lines[0] == "2 sources for 1797 samples of digits"
    assert "0 of 2 done; lite2: 600 of 1797 samples encoded" in lines
    assert "0 of 2 done; lite2: scoring _blocks.10" in lines
    assert lines[-2] == "[1/2] lite2: 2 cuts, 1 from the store, encoded in 31.2 s"
    assert lines[-1] == '[2/2] broken: failed: no weights, "a.pt" is absent'


@pytest.mark.parametrize("terminal", [True, False])
def test_a_race_counts_its_sources_in_every_round(terminal):
    where = console(terminal=terminal)
    with progress(console=where) as watcher:
        watcher.started(RANKING.target, ["lite2", "broken"])
        watcher.round(1, 2, 300, ["lite2", "broken"])
        watcher.finished("lite2", ROWS)
        watcher.finished("broken", RANKING.failures)
        watcher.round(2, 2, 1797, ["lite2"])
        watcher.finished("lite2", ROWS)
    text = where.file.getvalue()
    assert "round 1 of 2: 2 sources on 300 samples" in text
    assert "round 2 of 2: 1 source on 1797 samples" in text
    if not terminal:
        assert text.splitlines()[-1].startswith("[1/1] lite2: ")


def test_plain_lines_are_few_and_carry_no_escapes():
    where = console(terminal=False)
    run(PlainProgress(where))
    assert len(where.file.getvalue().splitlines()) == 3
    assert "\x1b" not in where.file.getvalue()


def test_live_display_leaves_one_line_for_each_source():
    where = console(terminal=True)
    with LiveProgress(where) as watcher:
        run(watcher)
    text = where.file.getvalue()
    assert "leads by MSC cosine" in text
    assert "from the store" in text
    assert text.count("failed: no weights") == 1


def shown(watcher):
    """The display as it is now."""
    where = console(terminal=False)
    where.print(watcher._drawn())
    return where.file.getvalue().splitlines()


def test_live_display_has_a_bar_for_each_source_that_runs():
    with LiveProgress(console(terminal=True)) as watcher:
        watcher.started(RANKING.target, ["lite2", "[red]b", "broken", "d"])
        watcher.encoding("lite2", 898, 1797)
        watcher.encoding("[red]b", 1797, 1797)
        watcher.scoring("[red]b", "\x1b[2J")
        every, first, second = shown(watcher)
        assert "0 of 4 done" in every
        assert "898 of 1797 samples" in first
        assert second.startswith("  [red]b")
        assert r"scoring \x1b[2J" in second
        watcher.finished("broken", RANKING.failures)
        watcher.finished("lite2", ROWS)
        every, second, leader = shown(watcher)
        assert "2 of 4 done, 1 failed" in every
        assert "[red]b" in second
        assert leader == "lite2, _blocks.10 leads by MSC cosine, 0.200"


def test_who_leads_is_who_has_the_best_first_score_so_far():
    better = replace(RANKING.rows[0], model="b", score=0.5, scores={"cosine": 0.5})
    worse = replace(RANKING.rows[0], model="c", score=0.1, scores={"cosine": 0.1})
    tally = Tally()
    tally.start(3)
    tally.finish("lite2", ROWS)
    tally.finish("b", [better])
    tally.finish("c", [worse])
    assert tally.leader_in_words() == "b, _blocks.10 leads by MSC cosine, 0.500"
    distances = [replace(better, scores={"ids": 0.5}), replace(worse, scores={"ids": 0.1})]
    tally = Tally()
    tally.finish("c", distances)
    assert tally.leader == distances[1]


def test_however_many_workers_there_are_the_display_stays_small():
    with LiveProgress(console(terminal=True)) as watcher:
        watcher.started(RANKING.target, [f"net{i}" for i in range(99)])
        for i in range(64):
            watcher.encoding(f"net{i}", i, 100)
        assert len(shown(watcher)) == 1 + 8
        assert watcher._bars.tasks[0].completed == pytest.approx(sum(range(64)) / 100)
        watcher.finished("net3", ROWS)
        assert len(shown(watcher)) == 1 + 8 + 1


@pytest.mark.parametrize(("terminal", "kind"), [(True, LiveProgress), (False, PlainProgress)])
def test_the_display_suits_the_console(terminal, kind):
    with progress(console=console(terminal=terminal)) as watcher:
        assert isinstance(watcher, kind)


def test_quiet_is_silent():
    where = console(terminal=True)
    with progress(quiet=True, console=where) as watcher:
        run(watcher)
    assert where.file.getvalue() == ""


def test_outcome_counts_cuts_that_could_not_be_scored():
    rows = [RANKING.rows[0], RANKING.failures[0]]
    assert str(outcome("lite2", rows)) == "lite2: 1 cut, encoded in 31.2 s, 1 failed"
