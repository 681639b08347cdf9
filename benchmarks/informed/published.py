"""Ten CNNs on eight image sets: what a published accuracy adds to two scores of the consensus.

    python benchmarks/informed/published.py
    zoorank evaluate benchmarks/results/cnn_transfer.csv benchmarks/results/cnn_transfer.csv

Makes that table of two published ones, which are looked for in ZOORANK_DATA, else in shared/data
beside the project; without them its published columns stay as they are. Then it brings what
`rank` quotes and docs/informed.md in line. Accuracies after fine-tuning, LogME, H-score, NCE and
LEEP are those that the Transfer-Learning-Library prints
(github.com/thuml/Transfer-Learning-Library, MIT), top-1 on ImageNet that of torchvision's first
weights. The columns `consensus` (of the two of its scores that the table has) and `informed` are
made here, by the functions that `rank` uses. No weight is chosen: a published accuracy counts as
much as the consensus. What a choice on the other targets gives stands in docs/informed.md.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import numpy as np

from zoorank.evaluation.agreement import agreement
from zoorank.ranking.answer import share_beaten
from zoorank.ranking.informed import published_votes
from zoorank.ranking.rows import CutFacts

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "benchmarks" / "results" / "cnn_transfer.csv"
ACCURACIES = "tllib_finetuned_acc_and_scores.csv"
PARTS = ("LogME", "HScore")
TOP1 = "ImageNet top-1"
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)

Row = dict[str, str]


def main() -> int:
    """Make the table, and bring what quotes it in line."""
    import evidence  # which reads this table

    data = Path(os.environ.get("ZOORANK_DATA", ROOT.parent / "shared" / "data"))
    if is_there := (data / "tables" / ACCURACIES).is_file():
        rows = with_votes(joined(data / "tables"))
    else:
        rows = with_votes(read())
    with TABLE.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    if not is_there:
        print(f"kept: published columns, for {data} has no tables/{ACCURACIES}; set ZOORANK_DATA")
    evidence.bring_in_line()
    return 0


def joined(folder: Path) -> list[Row]:
    """Accuracies and scores of the one published table, with top-1 of the other."""
    top1 = {row["model"]: row["imagenet_top1"] for row in read(folder / "imagenet_top1.csv")}
    return [
        {"target": row.pop("target"), "source": (name := row.pop("model")), **row, TOP1: top1[name]}
        for row in read(folder / ACCURACIES)
    ]


def read(path: Path | None = None) -> list[Row]:
    """Rows of a table, by default of the one that is made here."""
    with (path or TABLE).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def with_votes(rows: list[Row]) -> list[Row]:
    """The rows with consensus and informed, to six digits."""
    found = []
    for target in dict.fromkeys(row["target"] for row in rows):
        mine = [row for row in rows if row["target"] == target]
        consensus, published = votes(mine)
        for row, vote, more in zip(mine, consensus, consensus + published, strict=True):
            found.append({**row, "consensus": f"{vote + 0.5:.6g}", "informed": f"{more + 1:.6g}"})
    return found


def votes(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Of the consensus and of the published accuracies, on one target, above one half."""
    table = np.array([[float(row[part]) for part in PARTS] for row in rows])
    n = len(rows)
    shares = np.array([share_beaten(table, mine) for mine in table])
    facts = {
        row["source"]: CutFacts(accuracy=float(row[TOP1]) / 100, benchmark="ImageNet-1k top-1")
        for row in rows
    }
    published = published_votes(facts)
    return (shares - 0.5) * n / (n - 1), np.array([published[row["source"]] for row in rows])


def chosen_on_the_others(rows: list[Row]) -> tuple[np.ndarray, list[float]]:
    """Weighted τ on each target with the weight that was best on all others, and these weights."""
    targets = list(dict.fromkeys(row["target"] for row in rows))
    table = np.empty((len(WEIGHTS), len(targets)))
    for column, target in enumerate(targets):
        mine = [row for row in rows if row["target"] == target]
        consensus, published = votes(mine)
        truth = np.array([float(row["finetuned_acc"]) for row in mine])
        for line, weight in enumerate(WEIGHTS):
            found = agreement((consensus + weight * published).round(12), truth)
            table[line, column] = found["weighted_tau"]
    best = [
        int(np.delete(table, column, axis=1).mean(axis=1).argmax())
        for column in range(len(targets))
    ]
    return table[best, range(len(targets))], [WEIGHTS[line] for line in best]


if __name__ == "__main__":
    sys.exit(main())
