"""Tie-aware measures against the mean over every order that ties allow."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoorank.evaluation.agreement import MEASURES, TAKEN, agreement


def orders(score):
    """Every order of trying the candidates that the score allows."""
    return [
        order
        for order in itertools.permutations(range(len(score)))
        if all(score[a] >= score[b] for a, b in itertools.pairwise(order))
    ]


def direct(score, truth):
    best = truth.max()
    first = int(truth.argmax())
    rows = []
    for order in orders(score):
        places = [place for place, i in enumerate(order, 1) if truth[i] == best]
        row = {
            "reciprocal_rank": 1 / places[0],
            "hit": places[0] == 1,
            "first_reciprocal_rank": 1 / (order.index(first) + 1),
            "first_hit": order[0] == first,
            "pick": truth[order[0]],
        }
        for k in TAKEN:
            row[f"regret@{k}"] = best - truth[list(order[:k])].max()
            row[f"held@{k}"] = places[0] <= k
        rows.append(row)
    return {name: np.mean([row[name] for row in rows]) for name in rows[0]}


few = st.lists(st.integers(0, 3), min_size=2, max_size=6)


@settings(max_examples=150, deadline=None)
@given(few, st.integers(0, 2**32 - 1))
def test_agrees_with_the_mean_over_all_orders(score, seed):
    score = np.array(score, dtype=float)
    truth = np.random.default_rng(seed).integers(0, 4, len(score)) / 4
    found = agreement(score, truth)
    assert set(found) == set(MEASURES)
    for name, value in direct(score, truth).items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_the_same_score_for_all_is_a_random_pick():
    truth = np.arange(84) / 84
    found = agreement(np.zeros(84), truth)
    assert found["pick"] == pytest.approx(truth.mean())
    assert found["reciprocal_rank"] == pytest.approx(sum(1 / k for k in range(1, 85)) / 84)
    assert found["weighted_tau"] == found["spearman"] == 0


def test_where_all_are_equally_good_nothing_is_lost_and_no_order_is_right():
    found = agreement(np.array([3.0, 1.0, 2.0]), np.ones(3))
    assert (found["hit"], found["regret@1"]) == (1, 0)
    assert np.isnan(found["weighted_tau"])
    assert np.isnan(found["spearman"])


def test_the_right_order_and_its_reverse():
    truth = np.array([0.1, 0.5, 0.3, 0.9])
    assert agreement(truth, truth)["weighted_tau"] == pytest.approx(1)
    assert agreement(-truth, truth)["spearman"] == pytest.approx(-1)
