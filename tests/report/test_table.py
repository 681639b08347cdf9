from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from tests.ranking.rankings import BUDGETED, RACED, RANKING

from zoorank.ranking.rows import CutFacts
from zoorank.report.figures import count, seconds, significant
from zoorank.report.table import RankingTable


def drawn(ranking, width, *, colour=False, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    console = Console(
        file=file, width=width, force_terminal=colour, color_system="standard" if colour else None
    )
    console.print(RankingTable(ranking))
    file.flush()
    return file.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_nothing_is_cut_off_and_nothing_is_wider_than_the_console(width):
    text = drawn(RANKING, width)
    assert max(map(len, text.splitlines())) <= width
    for row in RANKING:
        assert row.model in text
        assert row.cut is None or row.cut in text
        for value in row.scores.values():
            assert significant(value) in text
    for shown in ("480", "1.93M", RANKING.verdict, "cosine"):
        assert shown in text
    assert " ".join(RANKING.rows[0].note.split()[:2]) in text
    assert ("0.10…0.30" in text) == (width > 80)


CONSENSUS = {
    "consensus": "consensus",
    "euclidean": "MSC euclidean",
    "logme": "LogME",
    "hscore": "H-score",
    "knn": "1-NN accuracy",
    "cosine": "MSC cosine",
}


def by_consensus(**facts):
    """A row as `rank` makes it by default."""
    scores = dict(zip(CONSENSUS, (0.9, 0.2, -0.1, 8.63, 0.97, 0.3), strict=True))
    row = replace(RANKING.rows[0], scores=scores, facts=CutFacts(**facts), note="")
    return replace(RANKING, rows=(row,), key="consensus", labels=CONSENSUS)


def test_80_columns_hold_what_decides_with_its_parts():
    text = drawn(by_consensus(milliseconds=3.14, licence="MIT", bytes=7_720_000), 80)
    assert max(map(len, text.splitlines())) <= 80
    (head,) = (line for line in text.splitlines() if "consensus" in line)
    wanted = ["source", "cut", "consensus", "MSC", "LogME", "H-score", "1-NN", "dim", "params"]
    assert head.split() == wanted
    (line,) = (line for line in text.splitlines() if "lite2" in line and "★" in line)
    wanted = "★ 1 lite2 _blocks.10 0.900 0.200 -0.100 8.630 0.970 480 1.93M"
    assert line.split() == wanted.split()
    assert "In a wider window: MSC cosine, range by class, milliseconds a sample, size, " in text


def test_a_wide_table_has_all_that_is_known():
    text = drawn(by_consensus(milliseconds=3.14, licence="MIT", accuracy=0.776, flops=4.1e9), 160)
    for shown in ("3.1", "MIT", "77.6%", "4.10G", "euclidean", "accuracy"):
        assert shown in text
    assert "size" not in text
    assert "In a wider window" not in text


@pytest.mark.parametrize("width", [50, 60])
def test_what_a_narrow_table_leaves_out_is_named(width):
    text = drawn(by_consensus(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "0.900" in text
    left_out = " ".join(text.split()).partition("In a wider window: ")[2]
    assert "1-NN accuracy" in left_out
    assert "MSC cosine" in left_out


def test_rows_with_the_same_note_share_a_line():
    rows = [replace(RANKING.rows[3], model=f"net{i}") for i in range(12)]
    text = drawn(replace(RANKING, rows=(RANKING.rows[0], *rows)), 100)
    assert text.count("no weights") == 1
    assert "net6, net7 and 4 more: no weights" in text


def test_nothing_in_a_name_moves_the_cursor():
    row = replace(RANKING.rows[0], model="a\x1b[2Jb\u202ec\nd", cut="\x07", note="\x9b31m\rgone")
    text = drawn(replace(RANKING, rows=(row,)), 160)
    assert {char for char in text if not char.isprintable()} == {"\n"}
    assert "a\\x1b[2Jb\\u202ec\\nd" in text


def test_a_name_that_does_not_fit_folds():
    name = "a" * 100
    text = drawn(replace(RANKING, rows=(replace(RANKING.rows[0], model=name),)), 80)
    assert text.count("a" * 10) >= 100 // 10 - 4
    assert sum(line.count("a") for line in text.splitlines() if "aaa" in line) >= 100


def test_notes_stand_beside_the_rows_where_there_is_room():
    assert "note" in drawn(RANKING, 160)
    narrow = drawn(RANKING, 80)
    assert "batch" not in "".join(line for line in narrow.splitlines() if "…" in line)
    assert "lite2 cut at _blocks.10: batch halved to 16 after out of memory" in narrow
    assert 'broken: no weights, "a.pt" is absent' in narrow


def test_a_table_without_notes_has_no_place_for_them():
    rows = tuple(replace(row, note="") for row in RANKING)
    assert "note" not in drawn(replace(RANKING, rows=rows), 160)


def test_the_best_row_is_marked_with_and_without_colour():
    (best,) = [line for line in drawn(RANKING, 120).splitlines() if "lite2" in line][:1]
    assert best.lstrip().startswith("★ 1")
    coloured = drawn(RANKING, 120, colour=True)
    assert "\x1b[1;32m" in coloured
    assert "\x1b[" not in drawn(RANKING, 120)


def test_the_interval_of_an_estimate_is_shown():
    assert "-0.050 ± 0.010" in drawn(RANKING, 160)


def test_a_terminal_that_knows_ascii_alone_gets_ascii():
    text = drawn(RANKING, 120, encoding="ascii")
    assert "* 1" in text
    assert "0.10..0.30" in text


def test_what_is_left_out_of_the_target_is_said():
    target = replace(RANKING.target, notes=("3 files skipped",), task="numbers", classes=())
    lines = drawn(replace(RANKING, target=target), 80).splitlines()
    assert lines[0] == "digits: 1797 samples, numbers to predict, image (8, 8)"
    assert lines[1] == "3 files skipped"


def test_markup_in_names_is_text():
    rows = (replace(RANKING.rows[0], model="[red]lite[/red]", note="[bold]x"),)
    text = drawn(replace(RANKING, rows=rows), 160)
    assert "[red]lite[/red]" in text
    assert "[bold]x" in text


@pytest.mark.parametrize(
    ("number", "text"), [(999, "999"), (1000, "1.00k"), (15_800, "15.8k"), (3e9, "3.00G")]
)
def test_counts_have_three_digits(number, text):
    assert count(int(number)) == text


def test_durations_have_the_digits_that_matter():
    assert [seconds(each) for each in (0.0, 0.05, 99.96, 1e4)] == ["<0.01", "0.05", "100", "10000"]


@pytest.mark.parametrize("width", [80, 120, 160])
def test_a_race_shows_who_left_where_and_how_it_went(width):
    text = drawn(RACED, width)
    assert max(map(len, text.splitlines())) <= width
    assert "1=" in text
    assert "2=" in text
    assert "± 0.010" in text
    (line,) = (line for line in text.splitlines() if "-0.050" in line)
    assert line.split()[-2:] == ["1", "300"]
    assert RACED.race.summary in " ".join(text.split())
    assert "left" not in drawn(RANKING, width)


@pytest.mark.parametrize("width", [36, 40, 60])
def test_the_narrowest_table_keeps_names_and_what_decides(width):
    text = drawn(RACED, width)
    assert max(map(len, text.splitlines())) <= width
    table = text.partition("In a wider window: ")[0]
    assert "…" not in table.replace("0.10…0.30", "")
    for row in RACED:
        assert row.model[:8] in (text if row.status == "failed" else table)
        if row.score is not None:
            assert significant(row.score) in table


@pytest.mark.parametrize("width", [80, 160])
def test_a_budget_shows_what_it_left_out_and_why(width):
    text = drawn(BUDGETED, width)
    words = " ".join(text.split())
    assert BUDGETED.budget.summary in words
    assert "late, later: takes about 2 h, and 9 min were left" in words
    line = next(line for line in text.splitlines() if "looked-at" in line)
    assert "0.300" in text
    assert width < 160 or " 128" in line
    assert not any("late" in line.split()[:1] for line in text.splitlines() if "0." in line)
