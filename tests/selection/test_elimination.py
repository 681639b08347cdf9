"""Who leaves a race: the worse ones, and the best one no more often than allowed."""

from __future__ import annotations

import numpy as np
import pytest

import zoorank
from zoorank.scores.sampled import sampled_silhouette
from zoorank.selection.elimination import Heat, errors_by_round
from zoorank.selection.samples import samples

CLASSES = np.repeat(range(4), [300, 180, 100, 20])


def models(seed, count, noise):
    """Encodings that share their signal, with noise of their own."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(4, 6))[CLASSES] + rng.normal(size=(len(CLASSES), 6))
    noise = np.broadcast_to(noise, count)
    return [(signal + each * rng.normal(size=signal.shape)).astype(np.float32) for each in noise]


def heat(Xs, sample):
    found = [
        sampled_silhouette(X[sample.rows], sample.labels, sample.shares, metric="euclidean")
        for X in Xs
    ]
    influences = np.stack([each.influence for each in found], axis=1)
    return Heat.of(np.array([each.value for each in found]), influences, sample)


def test_models_that_are_alike_lose_their_best_no_more_often_than_allowed():
    """Over two rounds, at 80 %, so that an error would show: 20 of 100 may be lost."""
    lost = left = 0
    for seed in range(100):
        Xs = models(seed, 8, 0.7)
        best = int(np.argmax([zoorank.silhouette_score(X, CLASSES) for X in Xs]))
        field = np.arange(8)
        drawn = samples(CLASSES, 40, seed)
        for number, (sample, error) in enumerate(
            zip(drawn, errors_by_round(0.8, len(drawn)), strict=True)
        ):
            field = field[~heat([Xs[i] for i in field], sample).worse(error, (seed, number))]
        lost += best not in field
        left += 8 - len(field)
    assert lost <= 20
    assert left > 0  # a test that never drops anything would hold too


def test_worse_models_are_dropped_and_the_best_is_not():
    Xs = models(0, 6, [0.1, 0.1, 3.0, 3.0, 5.0, 5.0])
    worse = heat(Xs, samples(CLASSES)[0]).worse(0.05, (0, 0))
    assert worse.tolist() == [False, False, True, True, True, True]


def test_equal_encodings_are_never_worse():
    (X,) = models(0, 1, 0.5)
    found = heat([X, X.copy(), 2 * X], samples(CLASSES)[0])
    assert not found.worse(0.5, (0, 0)).any()


def test_errors_are_those_of_differences_over_draws():
    """Standard errors against the spread over seeds, classes of 20 and 300 alike."""
    Xs = models(1, 3, [0.3, 0.8, 1.5])
    found = [heat(Xs, samples(CLASSES, 150, seed)[0]) for seed in range(120)]
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
    assert Heat.of(np.zeros(2), influences, sample).errors[0, 1] == pytest.approx(1e-6)


def test_many_models_give_the_same_answer_for_the_same_seed():
    Xs = models(2, 30, np.linspace(0.5, 1.5, 30))
    found = heat(Xs, samples(CLASSES, 100)[0])
    first = found.worse(0.05, (3, 1))
    assert (first == found.worse(0.05, (3, 1))).all()
    assert 0 < first.sum() < 30


def test_errors_of_the_rounds_add_up():
    assert sum(errors_by_round(0.95, 3)) == pytest.approx(0.05)
    assert errors_by_round(0.95, 1) == pytest.approx([0.05])
    assert errors_by_round(0.95, 0) == []
