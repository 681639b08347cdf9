"""No weights at all: the factory's own initial values, as a control."""

from __future__ import annotations

from zoorank.zoo.sources.base import WeightsSource


class RandomWeights(WeightsSource):
    """``weights.random = {seed = 0}``: what the architecture alone is worth.

    Attributes
    ----------
    seed : int
    calibrate : bool
        Measure the statistics of batch normalization on the target. As a network is
        built they are 0 and 1, with which the signal of a deep one dies on its way: a
        control that compares nothing.
    """

    seed: int = 0
    calibrate: bool = False

    def locate(self) -> None:
        """Return None: there is no file."""
        return

    @property
    def init_seed(self) -> int:
        """The seed the manifest asks for."""
        return self.seed

    @property
    def calibrates(self) -> bool:
        """Whether the manifest asks for it."""
        return self.calibrate
