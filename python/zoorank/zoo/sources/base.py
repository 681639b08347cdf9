"""What a source of weights has to answer."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from zoorank.zoo.frozen import Frozen


class WeightsSource(Frozen):
    """Where the weights of one model come from."""

    @abstractmethod
    def locate(self) -> Path | None:
        """Find the weights file without importing or running anything.

        Returns
        -------
        Path or None
            The file, or None when the factory's own initial values are the weights.

        Raises
        ------
        SourceError
            When there is no such file.
        """

    @property
    def init_seed(self) -> int:
        """Seed under which the factory runs, so that it builds the same network each time."""
        return 0

    @property
    def calibrates(self) -> bool:
        """Whether statistics of batch normalization come from the target, not the file."""
        return False
