"""Is it worth it to know more than the encodings? Records, published accuracies, both.

    python benchmarks/informed/study.py

Of figures that are there already: series (benchmarks/ucr/measurements.csv) with records of k
other targets; published.py beside this file has ten published CNNs. What `informed`
judges by is measured on series, for each target on the others alone (see `series`), and taken
as it is to other kinds; a published accuracy weighs as much as the consensus, which was chosen
nowhere. Writes benchmarks/results/informed_series.csv, what `rank` quotes, and docs/informed.md.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "figures"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ucr"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import evidence
import numpy as np
from candidates import Study
from effects import measured, votes_of
from held import covered
from picks import PARTS, PROBE, VERIFY, only, rank_average
from records import expected_of, lines_of

from zoorank.evaluation.agreement import agreement
from zoorank.evaluation.evaluate import RANDOM, STATIC, static_scores
from zoorank.evaluation.tables import Candidates
from zoorank.ranking.belief import Effects
from zoorank.ranking.informed import Expectation
from zoorank.ranking.record import Trained
from zoorank.verification.spending import Spending

BENCHMARKS = Path(__file__).resolve().parents[1]
KS = (1, 3, 5, 10, 35)
DRAWS = 2  # of records of k targets
SHUFFLED = (10, 35)  # k for which the controls are measured
HALVES = 12  # zoos of half of the networks
HEADS = 5

Row = dict[str, object]


def main() -> int:
    """Measure, write what was found, and bring what quotes it in line."""
    rows = series(Study.read(BENCHMARKS / "ucr"))
    with evidence.SERIES.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    evidence.bring_in_line()
    return 0


def regret(target: Candidates, score: np.ndarray) -> float:
    """What the pick lacks; equal scores are shared out."""
    first = score >= score.max() - 1e-12
    return float(target.truth.max() - target.truth[first].mean())


def after_heads(target: Candidates, expected: Expectation, n: int) -> tuple[int, int]:
    """The pick of `verify` where more is known, and how many heads it spends."""
    spending, heads = Spending(expected), []
    accuracies = dict(zip(target.names, target.scores[PROBE].tolist(), strict=True))
    for _ in range(HEADS):
        place = spending.next(heads)
        if place is None:
            break
        heads.append(Trained(target.target, *place, min(accuracies[place], 1.0), samples=n))
    known = spending.accuracies(heads)
    return target.names.index(max(known, key=lambda name: known[name])), len(heads)


def series(study: Study) -> list[Row]:
    """Regret of every rule on every target, with k other targets in the record."""
    targets = study.targets
    static = static_scores(targets)
    networks = sorted({network for target in targets for network, _ in target.names})
    rng = np.random.default_rng(1)
    halves = [set(np.array(networks)[rng.random(len(networks)) < 0.5]) for _ in range(HALVES)]
    rows: list[Row] = []
    for place, target in enumerate(targets):
        others = [each for each in targets if each is not target]
        effects = measured(others)  # the split: this target has no part in it
        smaller = [
            (kept, rank_average(PARTS)(kept))
            for zoo in halves
            if len((kept := only(target, (name in zoo for name, _ in target.names))).names) > 1
        ]
        n = study.sizes[target.target][0]

        def told(rule: str, k: int, score: np.ndarray, record: np.ndarray | None, weight: float,
                 target: Candidates = target, smaller: list = smaller,
                 effects: Effects = effects) -> None:  # fmt: skip
            at = {name: i for i, name in enumerate(target.names)}
            lacks = [
                regret(kept, weight * effects.vote * votes_of(shares)
                       + (0 if record is None else record[[at[name] for name in kept.names]]))
                for kept, shares in smaller
            ]  # fmt: skip
            found = agreement(np.asarray(score).round(12), target.truth)
            rows.append({"target": target.target, "rule": rule, "k": k,
                         "regret": found["regret@1"], "regret_halves": float(np.mean(lacks)),
                         "regret_first_5": found["regret@5"],
                         "spearman": found["spearman"], "heads": 0, "covered": ""})  # fmt: skip

        nothing = np.zeros(len(target.names))
        told(RANDOM, 0, nothing, nothing, 0.0)
        told("MSC euclidean", 0, target.scores["euclidean"], target.scores["euclidean"], 0.0)
        told(STATIC, len(others), static[place], static[place], 0.0)
        told("a head on everything", 0, target.scores[PROBE], target.scores[PROBE], 0.0)
        rows[-1]["heads"] = len(target.names)
        told("consensus", 0, target.scores["consensus"], None, 1.0)
        for k in KS:
            draws = np.random.default_rng([place, k])
            for _ in range(1 if k >= len(others) else DRAWS):
                chosen = [others[i] for i in draws.choice(len(others), k, replace=False)]
                expected = expected_of(target, lines_of(chosen), effects, {})
                told("record alone", k, expected.record, expected.record, 0.0)
                told("informed", k, expected.belief.mean, expected.record, 1.0)
                rows[-1]["covered"] = covered(expected, target.truth)
                if k in SHUFFLED:
                    shuffled = expected_of(target, lines_of(chosen, draws), effects, {})
                    told("informed, record shuffled", k, shuffled.belief.mean, shuffled.record, 1.0)
                if k not in SHUFFLED:
                    continue
                pick, heads = after_heads(target, expected, n)
                lacking = float(target.truth.max() - target.truth[pick])
                rows.append({**rows[-1], "rule": "informed, then heads", "regret": lacking,
                             "regret_halves": "", "regret_first_5": "", "spearman": "",
                             "heads": heads, "covered": ""})  # fmt: skip
        first = target.scores[VERIFY]
        told("consensus, then heads", 0, first, None, 1.0)
        rows[-1] |= {"regret_halves": "", "spearman": "", "regret_first_5": "", "heads": HEADS}
    return averaged(rows)


def averaged(rows: Sequence[Row]) -> list[Row]:
    """One row a target, rule and k: the mean over draws of the record."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault((row["target"], row["rule"], row["k"]), []).append(row)
    found = []
    for each in groups.values():
        means = {
            name: ""
            if each[0][name] == ""
            else round(float(np.mean([row[name] for row in each])), 6)
            for name in each[0]
            if name not in ("target", "rule", "k")
        }
        found.append({**{name: each[0][name] for name in ("target", "rule", "k")}, **means})
    return found


if __name__ == "__main__":
    sys.exit(main())
