"""Who leaves a race: the worse ones, and the best one no more often than allowed."""

from __future__ import annotations

import numpy as np
import pytest

import zoorank
from zoorank.ranking.racing.elimination import RoundEstimates, errors_by_round
from zoorank.ranking.racing.samples import samples
from zoorank.scores.sampled import sampled_silhouette

CLASSES = np.repeat(range(4), [300, 180, 100, 20])


def models(seed, count, noise):
    """Encodings that share their signal, with noise of their own."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(4, 6))[CLASSES] + rng.normal(size=(len(CLASSES), 6))
    noise = np.broadcast_to(noise, count)
    return [(signal + each * rng.normal(size=signal.shape)).astype(np.float32) for each in noise]


def round_estimates(Xs, sample, known=None, margins=None):
    found = [
        sampled_silhouette(X[sample.rows], sample.labels, sample.sizes, metric="euclidean")
        for X in Xs
    ]
    influences = np.stack([each.influence for each in found], axis=1)
    values = np.array([each.value for each in found])
    return RoundEstimates.of(values, influences, sample, known, margins)


def truths(Xs):
    return np.array([zoorank.silhouette_score(X, CLASSES) for X in Xs])


@pytest.mark.parametrize("controls", [0, 1, 2])
def test_models_that_are_alike_lose_their_best_no_more_often_than_allowed(controls):
    """Over two rounds, at 80 %, so that an error would show: 20 of 100 may be lost."""
    lost = left = 0
    for seed in range(100):
        Xs = models(seed, 8, 0.7)
        truth = truths(Xs)
        known, field = np.full(8, np.nan), np.ones(8, dtype=bool)
        drawn = samples(CLASSES, 40, seed)
        for number, (sample, error) in enumerate(
            zip(drawn, errors_by_round(0.8, len(drawn)), strict=True)
        ):
            for _ in range(max(controls, 1)):
                if controls:
                    values = round_estimates(Xs, sample, known).values
                    best = np.argmax(np.where(field & np.isnan(known), values, -2))
                    known[best] = truth[best]
                judged = np.flatnonzero(field | ~np.isnan(known))
                found = round_estimates([Xs[i] for i in judged], sample, known[judged])
                field[judged] &= ~found.worse(error / max(controls, 1), (seed, number))
        best = np.argmax(truth)
        lost += not field[best] and np.isnan(known[best])
        left += 8 - field.sum()
    assert lost <= 20
    assert left > 0  # a test that never drops anything would hold too


def test_who_is_known_corrects_the_others():
    """Of encodings that err alike: their errors shrink, and are what they say over seeds."""
    first, second, *own = models(3, 5, [1.0, 1.0, 1.0, 1.0, 1.0])
    Xs = [first, second, *(first + second + 0.3 * each for each in own)]
    truth = truths(Xs)
    known = np.where(np.arange(5) < 2, truth, np.nan)
    off, reckoned, plain = [], [], []
    for seed in range(120):
        sample = samples(CLASSES, 150, seed)[0]
        found = round_estimates(Xs, sample, known)
        assert (found.values[:2] == truth[:2]).all()
        assert (found.half_widths(0.95)[:2] == 0).all()
        assert found.weights.sum(axis=1) == pytest.approx(np.ones(5))
        off.append(found.values[2:] - truth[2:])
        reckoned.append(found.errors[2:, 0])
        plain.append(round_estimates(Xs, sample).errors[2:, 0])
    assert np.std(off, axis=0) == pytest.approx(np.sqrt(np.mean(np.square(reckoned), 0)), rel=0.3)
    assert np.mean(reckoned) < 0.7 * np.mean(plain)


def test_two_that_are_known_and_the_same_are_one_control():
    Xs = models(4, 2, [0.3, 0.6])
    sample = samples(CLASSES)[0]
    truth = truths(Xs)
    one = round_estimates(Xs, sample, np.array([truth[0], np.nan]))
    two = round_estimates([Xs[0], *Xs], sample, np.array([truth[0], truth[0], np.nan]))
    assert two.degrees == one.degrees
    assert two.values[2] == pytest.approx(one.values[1], abs=1e-12)
    assert two.covariance[2, 2] == pytest.approx(one.covariance[1, 1])


@pytest.mark.parametrize("off", [0.0, 1e-6, -1e-6])
def test_controls_that_are_nearly_the_same_do_not_blow_up(off):
    """Their difference is rounding, and so must be what is made of it."""
    first, second = models(4, 2, [0.5, 0.6])
    sample = samples(CLASSES, 150)[0]
    truth = truths([first, second])
    alone = round_estimates([first, second], sample, np.array([truth[0], np.nan]))
    both = round_estimates(
        [first, 1.1 * first, second], sample, np.array([truth[0], truth[0] + off, np.nan])
    )
    assert np.abs(both.weights).max() < 3
    assert both.values[2] == pytest.approx(alone.values[1], abs=1e-5)
    assert both.errors[2, 0] == pytest.approx(alone.errors[1, 0], rel=0.02)


def test_controls_are_weighted_by_what_they_may_be_off_by():
    first, second = models(4, 2, [0.5, 0.6])
    sample = samples(CLASSES, 150)[0]
    truth = truths([first, second])
    known = np.array([truth[0], truth[0], np.nan])
    found = round_estimates(
        [first, 1.1 * first, second], sample, known, np.array([1e-3, 1e-3, 0.0])
    )
    exact = round_estimates([first, 1.1 * first, second], sample, known)
    assert np.abs(found.weights).max() < 3
    assert found.half_widths(0.95)[2] == pytest.approx(exact.half_widths(0.95)[2], rel=0.02)


def test_no_more_controls_than_the_rows_can_tell_of():
    Xs = models(5, 20, 0.5)
    sample = samples(CLASSES, 60)[0]
    known = truths(Xs)
    known[0] = np.nan
    found = round_estimates(Xs, sample, known)
    degrees = round_estimates(Xs, sample).degrees
    assert np.count_nonzero(found.weights[0]) == 1 + degrees // 10
    assert found.degrees == degrees - degrees // 10


def test_what_a_known_score_may_be_off_by_is_passed_on():
    Xs = models(6, 3, 0.5)
    sample = samples(CLASSES)[0]
    known = np.array([truths(Xs)[0], np.nan, np.nan])
    exact = round_estimates(Xs, sample, known)
    inexact = round_estimates(Xs, sample, known, np.array([0.01, 0.0, 0.0]))
    assert np.diag(inexact.covariance - exact.covariance) == pytest.approx(np.full(3, 1e-4))


def test_worse_models_are_dropped_and_the_best_is_not():
    Xs = models(0, 6, [0.1, 0.1, 3.0, 3.0, 5.0, 5.0])
    worse = round_estimates(Xs, samples(CLASSES)[0]).worse(0.05, (0, 0))
    assert worse.tolist() == [False, False, True, True, True, True]


def test_equal_encodings_are_never_worse():
    (X,) = models(0, 1, 0.5)
    found = round_estimates([X, X.copy(), 2 * X], samples(CLASSES)[0])
    assert not found.worse(0.5, (0, 0)).any()


def test_errors_are_those_of_differences_over_draws():
    """Standard errors against the spread over seeds, classes of 20 and 300 alike."""
    Xs = models(1, 3, [0.3, 0.8, 1.5])
    found = [round_estimates(Xs, samples(CLASSES, 150, seed)[0]) for seed in range(120)]
    for other in (1, 2):
        spread = np.std([each.values[other] - each.values[0] for each in found], ddof=1)
        reckoned = np.sqrt(np.mean([each.errors[other, 0] ** 2 for each in found]))
        assert reckoned == pytest.approx(spread, rel=0.3)


def test_a_class_that_is_drawn_wholly_leaves_nothing_to_chance():
    labels = np.repeat([0, 1], [200, 8])
    X = np.random.default_rng(0).normal(size=(208, 3)) + labels[:, None]
    (sample,) = samples(labels, 100)
    assert np.bincount(sample.codes).tolist() == [92, 8]
    influences = np.where(sample.codes == 1, X[sample.rows, 0], 0.0)[:, None] * [0, 1]
    assert RoundEstimates.of(np.zeros(2), influences, sample).errors[0, 1] == pytest.approx(1e-6)


def test_many_models_give_the_same_answer_for_the_same_seed():
    Xs = models(2, 30, np.linspace(0.5, 1.5, 30))
    found = round_estimates(Xs, samples(CLASSES, 100)[0])
    first = found.worse(0.05, (3, 1))
    assert (first == found.worse(0.05, (3, 1))).all()
    assert 0 < first.sum() < 30


def test_errors_of_the_rounds_add_up():
    assert sum(errors_by_round(0.95, 3)) == pytest.approx(0.05)
    assert errors_by_round(0.95, 1) == pytest.approx([0.05])
    assert errors_by_round(0.95, 0) == []
