from __future__ import annotations

from dataclasses import replace

import pytest

from zoorank.ranking.answer import ranked, verdict
from zoorank.ranking.ranking import RankRow
from zoorank.scores import find_score

SCORE = find_score()
LOWER = replace(SCORE, higher_is_better=False)


def source(model, score, kept=10):
    return RankRow(None, model, "fc", score, parameters_kept=kept)


def raw(score):
    return RankRow(None, "raw input", None, score, parameters_kept=0, status="baseline")


FAILED = RankRow(None, "bad", None, status="failed", note="no weights")


def names(rows):
    return [(row.rank, row.model) for row in rows]


def test_best_first_and_failures_last_in_the_order_of_the_zoo():
    other = replace(FAILED, model="worse")
    rows = ranked([FAILED, source("a", 0.1), other, source("b", 0.3)], SCORE)
    assert names(rows) == [(1, "b"), (2, "a"), (None, "bad"), (None, "worse")]


def test_lower_is_better_turns_the_order():
    assert names(ranked([source("a", 0.1), source("b", 0.3)], LOWER)) == [(1, "a"), (2, "b")]


def test_equal_scores_share_a_rank_and_the_smaller_network_leads():
    rows = [source("a", 0.2), source("big", 0.5, 9), source("small", 0.5, 2), source("c", 0.1)]
    assert names(ranked(rows, SCORE)) == [(1, "small"), (1, "big"), (3, "a"), (4, "c")]


def test_full_ties_keep_the_order_of_the_zoo():
    assert names(ranked([source("z", 0.2), source("a", 0.2)], SCORE)) == [(1, "z"), (1, "a")]


@pytest.mark.parametrize(("score", "place"), [(0.5, 0), (0.3, 0), (0.2, 1), (-1.0, 2), (None, 2)])
def test_the_baseline_stands_where_its_score_puts_it_without_a_number(score, place):
    rows = ranked([source("a", 0.1), source("b", 0.3), raw(score)], SCORE)
    assert rows[place].status == "baseline"
    assert rows[place].rank is None
    assert [row.rank for row in rows if row.status == "ok"] == [1, 2]


def test_ranking_is_idempotent_and_loses_nothing():
    rows = ranked([source("a", 0.1), raw(0.2), FAILED, source("b", 0.3)], SCORE)
    assert ranked(rows, SCORE) == rows
    assert len(rows) == 4


def sentence(*rows, score=SCORE):
    return verdict(ranked(rows, score), score)


def test_verdict_names_the_best_source():
    text = sentence(source("a", 0.1), source("b", 0.3), raw(0.05))
    assert text.startswith("Try b cut at fc first: MSC cosine 0.3000.")
    assert text.endswith("The raw input without a network has 0.0500.")


def test_verdict_counts_what_the_raw_input_beats():
    assert "no worse than 1 of 2" in sentence(source("a", 0.1), source("b", 0.3), raw(0.2))


@pytest.mark.parametrize("baseline", [0.3, 0.4])
def test_verdict_says_so_when_the_zoo_does_not_help(baseline):
    text = sentence(source("a", 0.1), source("b", 0.3), raw(baseline))
    assert text.startswith("On this target the raw input is already at least as good")
    assert "the zoo does not help" in text


def test_verdict_follows_the_direction_of_the_score():
    assert "Try a " in sentence(source("a", 0.1), raw(0.2), score=LOWER)
    assert "does not help" in sentence(source("a", 0.3), raw(0.2), score=LOWER)


def test_verdict_without_a_baseline_or_without_sources():
    assert sentence(source("a", 0.1), raw(None)) == "Try a cut at fc first: MSC cosine 0.1000."
    assert sentence(FAILED, raw(0.1)).startswith("No source could be scored")


def left(model, score, round_=1, **facts):
    return replace(source(model, score), rows=100, left_in_round=round_, **facts)


def test_what_left_a_race_stands_by_its_estimate_but_never_first():
    rows = [left("lucky", 0.6), source("a", 0.5), left("late", 0.45, 2), source("b", 0.4)]
    assert names(ranked([*rows, raw(0.1)], SCORE)) == [
        (1, "a"), (2, "lucky"), (3, "late"), (4, "b"), (None, "raw input"),
    ]  # fmt: skip
    assert names(ranked([*rows, left("luckier", 0.7)], SCORE))[:3] == [
        (1, "a"), (2, "luckier"), (3, "lucky"),
    ]  # fmt: skip
    assert names(ranked([*rows, raw(0.5)], SCORE))[:3] == [
        (None, "raw input"), (1, "a"), (2, "lucky"),
    ]  # fmt: skip
    turned = [replace(row, score=-row.score) for row in rows]
    assert names(ranked(turned, LOWER)) == [(1, "a"), (2, "lucky"), (3, "late"), (4, "b")]


def test_an_estimate_does_not_make_a_zoo_help():
    rows = [source("a", 0.5), left("lucky", 0.6, half_width=0.2), raw(0.55)]
    assert "By this score the zoo does not help" in verdict(ranked(rows, SCORE), SCORE)


def test_intervals_that_overlap_the_first_one_share_a_mark():
    rows = [
        source("a", 0.5),
        left("near", 0.4, half_width=0.11),
        left("far", 0.4, half_width=0.09),
        raw(0.499),
        FAILED,
    ]
    assert [row.model for row in ranked(rows, SCORE) if row.tied] == ["a", "near"]
    wide = [replace(source("a", 0.5), half_width=0.2), source("b", 0.4), source("c", 0.2)]
    assert [row.model for row in ranked(wide, SCORE) if row.tied] == ["a", "b"]
    assert not any(row.tied for row in ranked([source("a", 0.5), source("b", 0.5)], SCORE))
    assert ranked([FAILED], SCORE) == (FAILED,)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ((0.3, 0.2), "Try 0 cut at fc first: "),
        ((0.3, 0.3, 0.2), "Try 0 cut at fc or 1 cut at fc first: "),
        ((0.3, 0.3, 0.3), "Try 0 cut at fc or 2 others that are as good first: "),
    ],
)
def test_the_verdict_names_what_is_as_good(scores, words):
    rows = ranked([source(str(i), score) for i, score in enumerate(scores)], SCORE)
    assert verdict(rows, SCORE).startswith(words)
