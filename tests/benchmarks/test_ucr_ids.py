"""The committed IDS scores are those of the code, and close to the authors' own ranking."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from zoorank.scores.ids import class_prototypes, inter_dataset_distance

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data():
    folder = Path(os.environ.get("ZOORANK_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "tables").is_dir():
        pytest.skip(f"no real data in {folder} (set ZOORANK_DATA)")
    return folder


@pytest.fixture(scope="module")
def scores():
    with (ROOT / "benchmarks" / "ucr" / "ids.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    found = {(row["target"], row["network"]): float(row["ids"]) for row in rows}
    assert len(rows) == 3 * len(found) == 3 * 36 * 35
    return found


@pytest.mark.parametrize("pair", [("MoteStrain", "SonyAIBORobotSurface2"), ("CBF", "ECGFiveDays")])
def test_scores_are_what_the_code_computes(data, scores, pair):
    prototypes = []
    for name in pair:
        with np.load(data / "ucr" / f"{name}.npz") as file:
            prototypes.append(class_prototypes(file["X_train"], file["y_train"]))
    assert scores[pair] == pytest.approx(inter_dataset_distance(*prototypes).value, rel=1e-5)
    assert scores[pair[::-1]] == pytest.approx(scores[pair], rel=1e-5)


def test_the_order_is_close_to_the_published_one(data, scores):
    with (data / "tables" / "name_map_2015_to_2018.csv").open(encoding="utf-8") as stream:
        today = {row["name2015"]: row["name2018"] for row in csv.DictReader(stream)}
    with (data / "tables" / "similar_datasets.csv").open(encoding="utf-8") as stream:
        lists = [[today[name] for name in row if name] for row in list(csv.reader(stream))[1:]]
    agreement = []
    for target, *sources in lists:
        ours = [scores[target, source] for source in sources if (target, source) in scores]
        if ours:
            agreement.append(spearmanr(range(len(ours)), ours).statistic)
    assert len(agreement) == 36
    assert np.median(agreement) > 0.98
    assert min(agreement) > 0.75
