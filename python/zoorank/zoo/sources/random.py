"""No weights at all: the factory's own initial values, as a control."""

from __future__ import annotations

from zoorank.zoo.sources.base import WeightsSource


class RandomWeights(WeightsSource):
    """``weights.random = {seed = 0}``: what the architecture alone is worth."""

    seed: int = 0

    def locate(self) -> None:
        """Return None: there is no file."""
        return None

    @property
    def init_seed(self) -> int:
        """The seed the manifest asks for."""
        return self.seed
