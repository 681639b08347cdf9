"""The study of images: what each way to pick lacks on the targets that are measured."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from records import expected_of, lines_of

from zoorank.evaluation.evaluate import Evaluation, evaluate_targets
from zoorank.evaluation.tables import Candidates, read_tables
from zoorank.ranking.answer import share_beaten
from zoorank.ranking.consensus import DEFAULT
from zoorank.ranking.informed import effects

MEASUREMENTS = Path(__file__).resolve().parents[1] / "images" / "measurements.csv"
ALONE = {
    "euclidean": "MSC euclidean",
    "cosine": "MSC cosine",
    "logme": "LogME",
    "hscore": "H-score",
    "knn": "nearest neighbour",
    "probe": "head on every candidate, cross-validated",
}


@cache
def evaluation() -> Evaluation:
    """Every selector on every target; the record of informed has all other targets."""
    parts = [part.key for part in DEFAULT.parts]
    columns = list(dict.fromkeys([*parts, *ALONE]))
    targets = [
        replace(each, scores={**each.scores, "consensus": _consensus(each, parts)})
        for each in read_tables(MEASUREMENTS, MEASUREMENTS, columns=columns).targets
    ]
    selectors = []
    for target in targets:
        lines = lines_of([each for each in targets if each is not target])
        # As series have measured them: no image has a part in what images are judged by.
        informed = expected_of(target, lines, effects(), {}).belief.mean.round(12)
        scores = {label: target.scores[key] for key, label in ALONE.items()}
        scores |= {"consensus": target.scores["consensus"], "informed": informed}
        selectors.append(replace(target, scores=scores))
    return evaluate_targets(selectors)


def _consensus(target: Candidates, parts: list[str]) -> np.ndarray:
    table = np.stack([target.scores[key] for key in parts], axis=1)
    return np.array([share_beaten(table, row) for row in table])
