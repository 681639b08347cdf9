"""Samples are prepared once for all transforms of one key, within a number of bytes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from zoorank.encoding.passes import PreparedSamples
from zoorank.targets import load_target
from zoorank.transforms.base import Prepared


@dataclass
class Counting:
    """A transform that counts its samples."""

    key: str
    count: list[int] = field(default_factory=list)

    def prepare(self, sample) -> Prepared:
        self.count.append(1)
        return Prepared(np.array(sample))


@pytest.fixture
def target():
    X = np.arange(40.0).reshape(20, 2)
    return load_target((X, np.arange(20) % 2))


def values(found) -> list[float]:
    return [each.value[0] for each in found]


def test_equal_keys_share_and_others_do_not(target) -> None:
    cache = PreparedSamples()
    one, same, other = Counting("a"), Counting("a"), Counting("b")
    rows = np.array([3, 1, 7])
    assert values(cache.prepared(target, one, rows)) == [6.0, 2.0, 14.0]
    assert values(cache.prepared(target, same, np.array([7, 2, 3]))) == [14.0, 4.0, 6.0]
    cache.prepared(target, other, rows)
    assert [len(each.count) for each in (one, same, other)] == [3, 1, 3]


def test_another_target_has_its_own(target) -> None:
    cache, transform = PreparedSamples(), Counting("a")
    cache.prepared(target, transform, range(5))
    shifted = load_target((np.asarray(target.X) + 1, target.labels))
    assert values(cache.prepared(shifted, transform, range(2))) == [1.0, 3.0]


def test_what_does_not_fit_is_prepared_again(target) -> None:
    cache, transform = PreparedSamples(limit=3 * (16 + 128)), Counting("a")
    for _ in range(2):
        assert values(cache.prepared(target, transform, range(5))) == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert len(transform.count) == 5 + 2


def test_the_oldest_makes_room(target) -> None:
    cache = PreparedSamples(limit=5 * (16 + 128))
    one, other = Counting("a"), Counting("b")
    cache.prepared(target, one, range(5))
    cache.prepared(target, other, range(5))
    cache.prepared(target, other, range(5))
    assert len(other.count) == 5
    cache.prepared(target, one, range(5))
    assert len(one.count) == 10
