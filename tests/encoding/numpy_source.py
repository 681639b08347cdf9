"""A source that needs no framework, with each of the faults that real ones have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from typing_extensions import Self

from zoorank.errors import SourceError, UsageError
from zoorank.sources.base import ALL, Cut, Known, ModelFacts, OpenOptions, Refusal
from zoorank.transforms.base import ONLY, Batch, Prepared

WIDTH = 5


@dataclass(frozen=True)
class Rows:
    """A transform that gives rows of numbers as they are, perhaps with a length."""

    lengths: bool = False

    @property
    def key(self) -> str:
        return f"rows {self.lengths}"

    def fitted(self, target):
        return self

    def prepare(self, sample) -> Prepared:
        row = np.asarray(sample, dtype=np.float32)
        return Prepared(row, int(abs(row[0]) * 100) if self.lengths else 1)

    def collate(self, prepared: Sequence[Prepared]) -> Batch:
        return Batch({ONLY: np.stack([each.value for each in prepared])}, len(prepared))


@dataclass
class Model:
    """Two layers of numbers; ``fault`` spoils what the second gives."""

    fault: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    transform: Rows = field(default_factory=Rows)
    facts: ModelFacts = field(default_factory=lambda: ModelFacts("numpy", 30, 120, 100))
    device: str = "cpu"
    sizes: list[int] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def cuts(self, batch: Batch, wanted: Sequence[str]) -> tuple[Cut | Refusal, ...]:
        names = ("one", "two") if ALL in wanted else wanted
        for name in names:
            if name not in ("one", "two", "odd"):
                raise UsageError(f"unknown cut {name!r}")
        found = [
            Cut("one", (WIDTH,), 1, 0.5, 10, 0.5),
            Cut("two", (WIDTH,), 2, 1.0, 20, 1.0),
            Refusal("odd", "its axes could be read two ways"),
        ]
        return tuple(each for each in found if each.name in names)

    def encode(self, batch: Batch, cuts: Sequence[Cut]) -> Mapping[str, np.ndarray]:
        X = batch.only
        self.sizes.append(len(X))
        weights = np.random.default_rng(0).normal(size=(X.shape[1], WIDTH)).astype(np.float32)
        one = X @ weights
        two = np.maximum(one, 0)
        if self.fault is not None:
            two = self.fault(X, two)
        values = {"one": one, "two": two}
        return {cut.name: values[cut.name] for cut in cuts}

    def empty(self, rows: int, features: int) -> np.ndarray:
        return np.empty((rows, features), dtype=np.float32)


@dataclass(frozen=True)
class NumpySource:
    """A source of one such model."""

    model: Model
    name: str = "numpy"
    modalities: frozenset = frozenset({"table"})
    cuts: tuple[str, ...] | None = None
    trained_on: str | None = None

    def resolve(self, events) -> NumpySource:
        return self

    def identity(self) -> Mapping[str, str]:
        return {"numpy": self.name}

    def known(self) -> Known:
        return Known()

    def open(self, options: OpenOptions) -> Model:
        return self.model


def refuses_one(X: np.ndarray, two: np.ndarray) -> np.ndarray:
    """As a network that squeezes away the axis of the samples."""
    if len(X) == 1:
        raise SourceError("expected 2 dimensions, got 1")
    return two
