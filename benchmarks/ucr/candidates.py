"""All measurements of the study, as candidates of each target."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from measure import CUTS
from picks import CONSENSUS, IDS, LABELS, PARTS, PROBE, SINGLE, VERIFIED, VERIFY, only, selected

from zoorank.evaluation.evaluate import RANDOM, SIZE, STATIC, Evaluation, evaluate_targets
from zoorank.evaluation.tables import Candidates, read_tables
from zoorank.ranking.guidance import regime


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
        Rows of tuned.csv, by target and candidate.
    costs : sequence of dict
        Rows of costs.csv.
    """

    rows: Sequence[dict[str, str]]
    plain: Sequence[Candidates]
    tuned: dict[tuple[str, str, str], dict[str, str]]
    costs: Sequence[dict[str, str]]

    @classmethod
    def read(cls, folder: Path) -> Study:
        """Read measurements.csv, tuned.csv and costs.csv, and ids.csv where it is there."""
        measurements = folder / "measurements.csv"
        rows = _read(measurements)
        keys = [key for key in LABELS if key in rows[0]]
        ids = _read(folder / "ids.csv")
        targets = [
            with_ids(each, ids)
            for each in read_tables(
                measurements, measurements, columns=[*keys, "parameters"]
            ).targets
        ]
        by_key = {
            (row["target"], row["network"], row["cut"]): row for row in _read(folder / "tuned.csv")
        }
        return cls(rows, targets, by_key, _read(folder / "costs.csv"))

    @cached_property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Samples and classes of each target."""
        return {row["target"]: (int(row["n"]), int(row["K"])) for row in self.rows}

    @cached_property
    def targets(self) -> list[Candidates]:
        """The targets with all selectors."""
        return self.selected(self.plain)

    def selected(self, targets: Sequence[Candidates]) -> list[Candidates]:
        """Targets, perhaps with fewer candidates, with all selectors."""
        return [selected(target, self.sizes[target.target][0]) for target in targets]

    @cached_property
    def whole(self) -> Evaluation:
        """Over all targets, by the head."""
        return evaluate_targets(self.targets)

    @cached_property
    def reporting(self) -> Evaluation:
        """Over every other target in the order of the alphabet, by the head."""
        return evaluate_targets(self.targets[1::2])

    @cached_property
    def kinds(self) -> dict[str, Evaluation]:
        """Over the targets of each kind, by the head."""
        names = [regime(*self.sizes[target.target]) for target in self.targets]
        return {
            kind: evaluate_targets(
                [each for each, name in zip(self.targets, names, strict=True) if name == kind]
            )
            for kind in sorted(set(names))
        }

    @cached_property
    def cuts(self) -> dict[str, tuple[list[Candidates], Evaluation]]:
        """Where all networks are cut alike."""
        found = {}
        for cut in CUTS:
            here = [only(each, (name == cut for _, name in each.names)) for each in self.plain]
            targets = self.selected(here)
            found[cut] = (targets, evaluate_targets(targets))
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
                    [float(self.tuned[(each.target, *name)][column]) for name in each.names]
                ),
            )
            for each in targets
        ]

    @cached_property
    def seconds(self) -> dict[str, float]:
        """Processor time of every selector for all candidates of all targets.

        Timed was a sample of the candidates of each target; the others are taken to cost
        the same on average.
        """
        total = dict.fromkeys([*SINGLE, PROBE, VERIFY], 0.0)
        for target in self.targets:
            rows = [row for row in self.costs if row["target"] == target.target]
            each = {key: np.mean([float(row[key]) for row in rows]) for key in (*SINGLE, PROBE)}
            for key, mean in each.items():
                total[key] += float(mean) * len(target.names)
            total[VERIFY] += float(each[PROBE]) * VERIFIED
        total[CONSENSUS] = sum(total[key] for key in PARTS)
        total[VERIFY] += total[CONSENSUS]
        return {**total, RANDOM: 0.0, SIZE: 0.0, STATIC: 0.0}


def with_ids(target: Candidates, rows: Sequence[dict[str, str]]) -> Candidates:
    """The target with the score by the source's data, a distance, which knows no cut."""
    ids = {row["network"]: -float(row["ids"]) for row in rows if row["target"] == target.target}
    if not ids:
        return target
    mine = np.array([ids[network] for network, _ in target.names])
    return replace(target, scores={**target.scores, IDS: mine})


def _read(path: Path) -> list[dict[str, str]]:
    """Rows of a table; none where there is no such file yet."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
