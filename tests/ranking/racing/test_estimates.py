"""Intervals of rows that left: they hold where those of first order do not."""

from __future__ import annotations

import numpy as np
import pytest

import zoorank
from zoorank.engine.intervals import student_t
from zoorank.ranking.racing.elimination import RoundEstimates
from zoorank.ranking.racing.estimates import (
    SampledCandidate,
    SharedBias,
    estimated_rows,
    selective_confidence,
)
from zoorank.ranking.racing.samples import samples
from zoorank.ranking.ranking import RankRow
from zoorank.scores.base import SampleScore
from zoorank.scores.sampled import sampled_silhouette

CLASSES, EACH, D = 12, 40, 8
LABELS = np.repeat(np.arange(CLASSES), EACH)
SIZES = np.full(CLASSES, EACH)


def zoo(seed):
    """Two encodings that tell twelve classes apart, and eight in which they all but coincide.

    Where classes coincide the nearest of twelve noisy means is too near, so that these alone
    have a bias: no control shares it.
    """
    rng = np.random.default_rng(seed)
    centres, noise = rng.normal(size=(CLASSES, D))[LABELS], rng.normal(size=(len(LABELS), D))
    apart = [4.0, 3.5, *np.linspace(0.3, 0.8, 8)]
    own = rng.normal(size=(len(apart), len(LABELS), D))
    return [each * centres + noise + 0.5 * extra for each, extra in zip(apart, own, strict=True)]


def entry(X, sample):
    found = sampled_silhouette(X[sample.rows], sample.labels, sample.sizes, metric="euclidean")
    row = RankRow(1, "model", "cut", scores={"euclidean": found.value}, per_class=found.per_class)
    return SampledCandidate.of(row, found, {"euclidean": found})


def full(X):
    found = zoorank.silhouette(X, LABELS, method="exact")
    return RankRow(1, "m", "c", scores={"euclidean": found.score}, per_class=tuple(found.per_class))


def round_estimates(entries, known, sample):
    values = np.array([each.row.scores["euclidean"] for each in entries])
    influences = np.stack([each.influence for each in entries], axis=1).astype(float)
    return RoundEstimates.of(values, influences, sample, known)


def test_intervals_hold_where_the_controls_do_not_share_the_bias():
    held, first_order, widths = [], [], []
    for seed in range(20):
        Xs = zoo(seed)
        on_all = [full(X) for X in Xs]
        truth = np.array([row.scores["euclidean"] for row in on_all])
        sample = samples(LABELS, 96, seed)[0]
        entries = [entry(X, sample) for X in Xs]
        left, controls = entries[2:], entries[:2]
        known = np.r_[np.full(8, np.nan), truth[:2]]
        found = round_estimates([*left, *controls], known, sample)
        rows = estimated_rows(
            left, list(zip(controls, on_all[:2], strict=True)), found, "euclidean", 0.95
        )
        off = np.array([row.score for row in rows]) - truth[2:]
        half = np.array([row.half_width for row in rows])
        held.append(abs(off) <= half)
        plain = student_t(0.95, found.degrees) * np.sqrt(np.diag(found.covariance)[:8])
        first_order.append(abs(found.values[:8] - truth[2:]) <= plain)
        widths.append((half / plain).mean())
        for row in rows:
            assert row.score == row.scores["euclidean"] == pytest.approx(np.mean(row.per_class))
    assert np.mean(first_order) < 0.8
    assert np.mean(held) > 0.93
    assert np.mean(held, axis=1).min() >= 0.5
    assert np.mean(widths) < 2


def test_intervals_hold_where_few_rows_decide_the_weights():
    """Twelve rows have nearly all of the variance: four weights made for them explain them."""
    labels = np.repeat([0, 1], [400, 24])
    held, first_order = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        all_rows = np.where(labels == 1, 60.0, 1.0)[:, None] * rng.normal(size=(424, 5))
        sample = samples(labels, 60, seed)[0]
        shares = sample.sizes / sample.sizes.sum()

        def means(rows, codes, shares=shares):
            return sum(shares[c] * rows[codes == c].mean(axis=0) for c in (0, 1))

        drawn = all_rows[sample.rows]
        values, truth = means(drawn, sample.codes), means(all_rows, labels)
        known = np.r_[np.nan, truth[1:]]
        found = RoundEstimates.of(values, shares[sample.codes][:, None] * drawn, sample, known)
        off = abs(found.values[0] - truth[0])
        held.append(off <= found.half_widths(0.95)[0])
        plain = student_t(0.95, found.degrees) * np.sqrt(found.covariance[0, 0])
        first_order.append(off <= plain)
    assert np.mean(first_order) < 0.88
    assert np.mean(held) > 0.91


def test_intervals_of_the_few_that_look_bad_are_surer():
    """Of 40 alike, who looks worst: at 95 % each, half of them would not hold."""
    rng = np.random.default_rng(0)
    off = rng.normal(size=(400, 40))
    worst = np.sort(off, axis=1)[:, :2]
    assert (abs(worst) < student_t(0.95, 10_000)).mean() < 0.6
    assert (abs(worst) < student_t(selective_confidence(0.95, 2, 40), 10_000)).mean() > 0.93
    assert selective_confidence(0.95, 40, 40) == 0.95


def test_what_estimates_have_in_common_is_taken_off_and_the_rest_widens():
    alike = SharedBias.of(np.full(10, -0.02))
    assert alike.mean == pytest.approx(-0.02)
    assert alike.square == pytest.approx(0.01**2)
    apart = SharedBias.of(np.array([-0.03, -0.01, -0.03, -0.01]))
    assert apart.mean == pytest.approx(-0.02)
    assert apart.square > alike.square
    one = SharedBias.of(np.array([-0.02]))
    assert one.square == pytest.approx(0.02**2)
    none = SharedBias.of(np.zeros(3))
    assert (none.mean, none.square) == (0, 0)


def test_a_score_without_biases_is_estimated_without():
    """Scores of other packages tell none."""
    found = SampleScore(0.5, (0.4, 0.6), np.zeros(8))
    made = SampledCandidate.of(RankRow(1, "m", "c"), found, {"own": found})
    assert made.biases == {"own": 0.0}
    assert made.class_biases.tolist() == [0.0, 0.0]


def test_known_values_have_no_interval_whatever_is_left_unexplained():
    sample = samples(LABELS, 96, 0)[0]
    Xs = zoo(0)[:4]
    entries = [entry(X, sample) for X in Xs]
    known = np.array([0.5, np.nan, np.nan, np.nan])
    found = round_estimates(entries, known, sample)
    plain, wider = found.half_widths(0.95), found.half_widths(0.95, 0.01)
    assert plain[0] == wider[0] == 0
    assert (wider[1:] > np.maximum(plain[1:], 0.19)).all()
