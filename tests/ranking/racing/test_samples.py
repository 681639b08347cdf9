"""Samples of a race: nested, stratified, and the same for the same seed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from zoorank.errors import UsageError
from zoorank.ranking.racing.samples import allocation, samples

UNEVEN = np.random.default_rng(0).permutation(np.repeat(list("abcde"), [2919, 1767, 96, 194, 24]))


def test_each_sample_holds_the_one_before():
    drawn = samples(UNEVEN)
    assert [len(sample.rows) for sample in drawn] == [312, 1250]
    for small, large in itertools.pairwise(drawn):
        assert np.isin(small.rows, large.rows).all()
    for sample in drawn:
        assert (np.diff(sample.rows) > 0).all()
        assert (sample.labels == UNEVEN[sample.rows]).all()
        assert sample.shares == pytest.approx(np.array([2919, 1767, 96, 194, 24]) / 5000)


def test_rare_classes_are_drawn_more_often_and_none_is_left_out():
    first, second = samples(UNEVEN)
    assert np.bincount(first.codes).tolist() == [135, 105, 25, 35, 12]
    assert np.bincount(second.codes)[[2, 4]].tolist() == [96, 24]
    many = np.r_[np.zeros(4000, int), np.arange(1, 100).repeat(3)]
    assert np.bincount(samples(many)[0].codes).min() == 3


def test_an_allocation_adds_up():
    sizes = np.array([1000, 500, 10, 400])
    for rows in (100, 400, 900):
        assert abs(int(allocation(sizes, rows).sum()) - rows) <= 2
    assert (allocation(sizes, 1910) == sizes).all()


def test_the_seed_decides():
    first, again, other = (samples(UNEVEN, random_state=seed)[0] for seed in (1, 1, 2))
    assert (first.rows == again.rows).all()
    assert len(np.intersect1d(first.rows, other.rows)) < len(first.rows) / 2


@pytest.mark.parametrize(
    ("n", "first", "sizes"),
    [(60, None, []), (511, None, []), (512, None, [128]), (512, 20, [20, 80]), (60, 20, [20])],
)
def test_a_target_too_small_has_no_sample(n, first, sizes):
    assert [len(each.rows) for each in samples(np.arange(n) % 4, first)] == sizes


def test_classes_too_small_for_a_sample_leave_none():
    assert samples(np.arange(600) % 150, 300) == []


def test_a_first_sample_without_four_rows_of_a_class_is_a_mistake():
    with pytest.raises(UsageError, match="first_rows is 19; at least 20 are needed, 4 of each"):
        samples(UNEVEN, 19)
