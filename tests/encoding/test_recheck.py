"""What only shows in larger batches than the trial's two samples, or after some of them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.encoding.numpy_source import Model, NumpySource, Rows

from zoorank.encoding.encode import encode_source
from zoorank.encoding.trial import MIXED, RANDOM
from zoorank.errors import SourceError
from zoorank.sources.base import ModelFacts
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target


@pytest.fixture
def target():
    X = np.random.default_rng(1).normal(size=(61, 4)).astype(np.float32)
    return load_target((X, np.arange(61) % 3))


@pytest.fixture
def store(tmp_path) -> EncodingStore:
    return EncodingStore(tmp_path / "store")


def encoded(fault, target, store, **settings):
    model = Model(fault)
    return encode_source(
        NumpySource(model), target, cuts=["two"], store=store, **{"batch_size": 20, **settings}
    )


def large(change):
    """Do something to all batches but those of the trial."""
    return lambda X, two: change(two) if len(X) > 2 else two


class Drift:
    """Adds what it saw before, as a network does that forgets to clear its state."""

    state = 0.0

    def __call__(self, X, two):
        if len(X) > 2:
            self.state += float(np.abs(two).mean())
        return two + self.state


class Reused:
    """Gives the same memory again for every batch of a size, with the numbers of the first."""

    def __init__(self):
        self.kept = {}

    def __call__(self, X, two):
        return two if len(X) == 1 else self.kept.setdefault((len(X), X[0, 0] * (len(X) < 3)), two)


@pytest.mark.parametrize(
    "fault",
    [
        large(lambda two: two - two.mean(axis=0)),
        lambda X, two: (two - two.mean(axis=0)) / two.std(axis=0) if len(X) >= 8 else two,
        lambda X, two: two + 0.01 * two.mean() * (len(X) > 2),
        Drift(),
        Reused(),
    ],
    ids=["centred", "normalised", "by a hundredth", "drifts", "given again"],
)
def test_what_depends_on_the_batch_is_marked(target, store, fault) -> None:
    found = encoded(fault, target, store)
    assert found.note == MIXED
    assert encoded(None, target, store).note == MIXED, "the note is kept with the encoding"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda two: two[::-1], "mixes up the samples of a batch: of 16, row 0 comes out as row"),
        (lambda two: np.roll(two, 1, axis=0), "mixes up the samples of a batch"),
        (lambda two: np.repeat(two[:1], len(two), axis=0), "comes out as row 0"),
        (lambda two: two * (np.arange(len(two)) < 2)[:, None], "rows of a batch are lost"),
    ],
    ids=["turned", "rolled", "one for all", "unwritten"],
)
def test_mixed_up_and_lost_rows_are_refused(target, store, fault, reason) -> None:
    with pytest.raises(SourceError, match=reason):
        encoded(large(fault), target, store)
    assert list(store.directory.iterdir()) == []


def test_only_the_last_batch_is_wrong(target, store) -> None:
    def late(X, two):
        return two * 0.5 if len(X) == 19 else two

    assert encoded(late, target, store).note == MIXED


def test_what_differs_by_rounding_is_not_marked(target, store) -> None:
    rng = np.random.default_rng(2)
    assert encoded(large(lambda two: two + 1e-5 * rng.normal(size=two.shape)), target, store)
    assert encoded(None, target, store).note == ""


def test_little_noise_is_random_too(target, store) -> None:
    rng = np.random.default_rng(3)
    found = encoded(lambda X, two: two + 1e-3 * rng.normal(size=two.shape), target, store)
    assert found.note == RANDOM


def test_samples_that_differ_by_little_are_told_apart(target, store) -> None:
    # One number is large and the same for all; what the others say is mixed up.
    def fault(X, two):
        rows = two[::-1] if len(X) > 2 else two
        return np.hstack([rows, np.full((len(X), 1), 3000.0)])

    with pytest.raises(SourceError, match="mixes up"):
        encoded(fault, target, store)


def test_bf16_may_differ_by_its_own_rounding(target, store) -> None:
    rng = np.random.default_rng(4)
    model = Model(large(lambda two: two * (1 + 4e-3 * rng.choice([-1, 0, 1], size=two.shape))))
    model.facts = ModelFacts("numpy", 30, 120, precision="bf16")
    settings = {"store": store, "batch_size": 20, "precision": "bf16"}
    found = encode_source(NumpySource(model), target, cuts=["two"], **settings)
    assert found.note == ""


def test_a_fixed_batch_is_looked_at_too(target, store) -> None:
    model = Model(lambda X, two: two * 0 if len({*X[:, 0].tolist()}) > 2 else two)
    model.facts = ModelFacts("numpy", 30, 120, batch_size=8)
    with pytest.raises(SourceError, match="rows of a batch are lost"):
        encode_source(NumpySource(model), target, cuts=["two"], store=store)


def test_batches_sorted_by_length_are_looked_at(target, store) -> None:
    model = Model(large(lambda two: two - two.mean(axis=0)), transform=Rows(lengths=True))
    found = encode_source(NumpySource(model), target, cuts=["two"], store=store, batch_size=8)
    assert found.note == MIXED
