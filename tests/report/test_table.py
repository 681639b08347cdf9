from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from tests.ranking.rankings import RACED, RANKING

from zoorank.report.table import RankingTable, count, seconds


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
            assert f"{value:.4f}" in text
    for shown in ("480", "1.93M", "31.2", "0.41", "0.10…0.30", RANKING.verdict, "cosine"):
        assert shown in text
    assert " ".join(RANKING.rows[0].note.split()[:2]) in text


@pytest.mark.parametrize("width", [70, 80])
def test_what_a_narrow_table_leaves_out_is_named(width):
    scores = {"consensus": 0.9, **RANKING.rows[0].scores, "logme": 0.1, "hscore": 0.2, "knn": 0.3}
    labels = {
        "consensus": "consensus",
        **RANKING.labels,
        "logme": "LogME",
        "hscore": "H-score",
        "knn": "1-NN accuracy",
    }
    row = replace(RANKING.rows[0], scores=scores)
    text = drawn(replace(RANKING, rows=(row,), key="consensus", labels=labels), width)
    assert max(map(len, text.splitlines())) <= width
    assert row.model in text
    assert row.cut in text
    for key in ("consensus", *RANKING.labels):
        assert f"{scores[key]:.4f}" in text
    assert "Too narrow for: score seconds, encode seconds, 1-NN accuracy" in " ".join(text.split())


def test_a_name_that_does_not_fit_folds():
    name = "a" * 100
    text = drawn(replace(RANKING, rows=(replace(RANKING.rows[0], model=name),)), 80)
    assert text.count("a" * 10) >= 100 // 10 - 4
    assert sum(line.count("a") for line in text.splitlines() if "aaa" in line) >= 100


def test_notes_stand_beside_the_rows_where_there_is_room():
    assert "note" in drawn(RANKING, 160)
    narrow = drawn(RANKING, 80)
    assert "batch" not in "".join(line for line in narrow.splitlines() if "…" in line)
    assert "lite2, _blocks.10: batch halved to 16 after out of memory" in narrow
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
    assert "-0.0500 ± 0.0100" in drawn(RANKING, 160)


def test_a_terminal_that_knows_ascii_alone_gets_ascii():
    text = drawn(RANKING, 120, encoding="ascii")
    assert "* 1" in text
    assert "0.10..0.30" in text


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
    assert "± 0.0100" in text
    (line,) = (line for line in text.splitlines() if "-0.0500" in line)
    assert line.split()[-2:] == ["1", "300"]
    assert RACED.race.summary in " ".join(text.split())
    assert "left" not in drawn(RANKING, width)


@pytest.mark.parametrize("width", [36, 40, 60])
def test_the_narrowest_table_keeps_names_and_what_decides(width):
    text = drawn(RACED, width)
    assert max(map(len, text.splitlines())) <= width
    table = text.partition("Too narrow for: ")[0]
    assert "…" not in table.replace("0.10…0.30", "")
    for row in RACED:
        assert row.model[:8] in table
        if row.score is not None:
            assert f"{row.score:.4f}" in table
    left_out = " ".join(text.split()).partition("Too narrow for: ")[2].partition(".")[0]
    assert left_out.startswith("score seconds, encode seconds, range by class")
    assert ("MSC euclidean" in left_out) == (
        f"{RACED.rows[0].scores['euclidean']:.4f}" not in table
    )
