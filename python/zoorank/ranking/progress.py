"""What a ranking tells whoever watches it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from zoorank.ranking.records import RankRow, TargetFacts


class Progress(Protocol):
    """Receives the events of a run, in this order, from the thread that ranks."""

    def started(self, target: TargetFacts, models: Sequence[str]) -> None:
        """The target is loaded and these sources will be tried."""

    def remark(self, text: str) -> None:
        """Something about the store that whoever waits should know, in one line, at any time."""

    def round(self, number: int, rounds: int, rows: int, models: Sequence[str]) -> None:
        """Sources of a race are about to be run on so many samples, in a round from 1.

        It never comes without a race. A round comes once for all that are in it, and again for
        each source of it that is run on all samples.
        """

    def encoding(self, model: str, done: int, total: int) -> None:
        """So many of the target's samples went through the model."""

    def scoring(self, model: str, cut: str) -> None:
        """The encoding at this cut is about to be scored."""

    def finished(self, model: str, rows: Sequence[RankRow]) -> None:
        """The source is done; its rows carry no rank yet."""


class Silent:
    """Progress that shows nothing."""

    def started(self, target: TargetFacts, models: Sequence[str]) -> None:
        """Show nothing."""

    def remark(self, text: str) -> None:
        """Show nothing."""

    def round(self, number: int, rounds: int, rows: int, models: Sequence[str]) -> None:
        """Show nothing."""

    def encoding(self, model: str, done: int, total: int) -> None:
        """Show nothing."""

    def scoring(self, model: str, cut: str) -> None:
        """Show nothing."""

    def finished(self, model: str, rows: Sequence[RankRow]) -> None:
        """Show nothing."""
