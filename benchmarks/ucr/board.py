"""All measurements of the study, as candidates of each target."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from measure import CUTS
from picks import CONSENSUS, LABELS, PARTS, PROBE, VERIFIED, only, selected

from zoorank.selection.board import Candidates, read_board
from zoorank.selection.evaluate import Evaluation, evaluate_board
from zoorank.selection.guidance import regime


@dataclass(frozen=True)
class Study:
    """What was measured, and the selectors made of it.

    Attributes
    ----------
    rows : sequence of dict
        Of measurements.csv.
    plain : sequence of Candidates
        Single scores and the probe.
    tuned : dict
        Accuracy by fine-tuning of those that were: by target, then by candidate.
    """

    rows: Sequence[dict[str, str]]
    plain: Sequence[Candidates]
    tuned: dict[tuple[str, str, str], dict[str, str]]

    @classmethod
    def read(cls, measurements: Path, tuned: Path) -> Study:
        """Read the two files of measurements."""
        rows = _read(measurements)
        keys = [key for key in LABELS if key in rows[0]]
        board = read_board(measurements, measurements, columns=[*keys, "parameters"])
        by_key = {(row["target"], row["network"], row["cut"]): row for row in _read(tuned)}
        return cls(rows, board, by_key)

    @cached_property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Samples and classes of each target."""
        return {row["target"]: (int(row["n"]), int(row["K"])) for row in self.rows}

    @cached_property
    def board(self) -> list[Candidates]:
        """The targets with all selectors."""
        return self.selected(self.plain)

    def selected(self, targets: Sequence[Candidates]) -> list[Candidates]:
        """Targets, perhaps with fewer candidates, with all selectors."""
        return [selected(target, self.sizes[target.target][0]) for target in targets]

    @cached_property
    def whole(self) -> Evaluation:
        """Over all targets, by the head."""
        return evaluate_board(self.board)

    @cached_property
    def reporting(self) -> Evaluation:
        """Over every other target in the order of the alphabet, by the head."""
        return evaluate_board(self.board[1::2])

    @cached_property
    def kinds(self) -> dict[str, Evaluation]:
        """Over the targets of each kind, by the head."""
        names = [regime(*self.sizes[target.target]) for target in self.board]
        return {
            kind: evaluate_board(
                [each for each, name in zip(self.board, names, strict=True) if name == kind]
            )
            for kind in sorted(set(names))
        }

    @cached_property
    def cuts(self) -> dict[str, tuple[list[Candidates], Evaluation]]:
        """Where all networks are cut alike."""
        found = {}
        for cut in CUTS:
            here = [only(each, (name == cut for _, name in each.names)) for each in self.plain]
            board = self.selected(here)
            found[cut] = (board, evaluate_board(board))
        return found

    @cached_property
    def sample(self) -> list[Candidates]:
        """What chance has drawn, all of it fine-tuned, by the head: the truths differ only."""
        drawn = {key for key, row in self.tuned.items() if row["drawn"] == "1"}
        return [
            only(each, ((each.target, *name) in drawn for name in each.names))
            for each in self.plain
        ]

    def by_tuning(self, targets: Sequence[Candidates], column: str = "tuned") -> list[Candidates]:
        """The targets with the accuracy of fine-tuning for the truth."""
        return [
            replace(
                each,
                truth=np.array(
                    [float(self.tuned[each.target, *name][column]) for name in each.names]
                ),
            )
            for each in targets
        ]

    @cached_property
    def seconds(self) -> dict[str, float]:
        """Processor time of every score for all candidates of all targets."""
        return {
            key: sum(float(row[f"{key}_seconds"]) for row in self.rows)
            for key in LABELS
            if f"{key}_seconds" in self.rows[0]
        }

    @property
    def consensus_seconds(self) -> float:
        """Of the scores that vote."""
        return sum(self.seconds[key] for key in PARTS)

    @cached_property
    def verify_seconds(self) -> float:
        """Of consensus and then of heads on its first few."""
        spent = {
            (row["target"], row["network"], row["cut"]): float(row[f"{PROBE}_seconds"])
            for row in self.rows
        }
        heads = 0.0
        for target in self.board:
            first = np.argsort(-target.scores[CONSENSUS], kind="stable")[:VERIFIED]
            heads += sum(spent[target.target, *target.names[i]] for i in first)
        return self.consensus_seconds + heads


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
