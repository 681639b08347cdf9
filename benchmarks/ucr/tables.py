"""From measurements to tables: docs/ucr-study.md, and the evidence that `rank` quotes."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from findings import INTRO, findings

from zoorank.scores import TABLE
from zoorank.selection.board import Candidates, read_board
from zoorank.selection.consensus import Consensus, shares_beaten
from zoorank.selection.evaluate import Evaluation, evaluate_board
from zoorank.selection.guidance import EVIDENCE, regime
from zoorank.selection.verification import MARGIN, first_within_noise

LABELS = {score.key: score.label for score in TABLE}
PARTS = [part.key for part in Consensus.default().parts]
SHRUNK = ["euclidean", "logme", "regularised_hscore", "knn"]
# What a consensus may be made of: cheap, and of different kinds.
CHEAP = ["cosine", "euclidean", "logme", "regularised_hscore", "hscore", "knn", "transrate", "parc"]
VERIFIED = 5
PROBE = "probe"
PROBE_ALL = "linear probe of every candidate"


def write_tables(measurements: Path, page: Path) -> Path:
    """Write the page and the evidence; return the page."""
    study = Study.read(measurements)
    tuning, reporting = study.halves()
    names = {
        "probe": PROBE_ALL,
        "verify": VERIFY,
        "others": [SHRUNK_NAME, *MARGINS.values()],
        "best": label,
    }
    whole, other = evaluate_board(study.board), evaluate_board(reporting)
    sections = [
        INTRO,
        study.facts(),
        findings(whole, other, names, study.cost_of_verifying()),
        section("All targets", whole),
        tuned(tuning, reporting),
        section("The reporting half", other),
        study.by_cut(),
        study.by_regime(),
        study.costs(),
    ]
    page.parent.mkdir(exist_ok=True)
    page.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    EVIDENCE.write_text(json.dumps(study.evidence(), indent=2) + "\n", encoding="utf-8")
    return page


@dataclass(frozen=True)
class Study:
    """All measurements, as candidates of each target."""

    rows: Sequence[dict[str, str]]
    board: Sequence[Candidates]

    @classmethod
    def read(cls, measurements: Path) -> Study:
        """Read measurements.csv and add the selectors that combine scores."""
        with measurements.open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        keys = [key for key in LABELS if key in rows[0]]
        board = read_board(measurements, measurements, columns=[*keys, "parameters"])
        sizes = {row["target"]: int(row["n"]) for row in rows}
        return cls(rows, [selected(target, sizes[target.target]) for target in board])

    def halves(self) -> tuple[list[Candidates], list[Candidates]]:
        """Every other target in the order of the alphabet: to tune on, and to report on."""
        return list(self.board[0::2]), list(self.board[1::2])

    def of(self, target: str) -> list[dict[str, str]]:
        """Rows of one target."""
        return [row for row in self.rows if row["target"] == target]

    def kind(self, target: Candidates) -> str:
        """Regime of a target."""
        first = self.of(target.target)[0]
        return regime(int(first["n"]), int(first["K"]))

    def facts(self) -> str:
        """What was measured."""
        n = [int(self.of(target.target)[0]["n"]) for target in self.board]
        k = [int(self.of(target.target)[0]["K"]) for target in self.board]
        return (
            f"Measured: {len(self.board)} targets with {min(n)} to {max(n)} samples of TRAIN "
            f"(median {np.median(n):.0f}) in {min(k)} to {max(k)} classes, "
            f"{len(self.rows)} pairs of a target and a candidate."
        )

    def by_cut(self) -> str:
        """Where to cut: accuracy by cut, and what ranking networks alone would lose."""
        cuts = sorted({cut for target in self.board for _, cut in target.names})
        lines = ["## Where to cut", "", "| cut | mean accuracy | holds the best candidate of |"]
        lines.append("|---|---|---|")
        lacks = 0.0
        for cut in cuts:
            at = [target.truth[[each == cut for _, each in target.names]] for target in self.board]
            best = sum(
                here.max() == target.truth.max()
                for here, target in zip(at, self.board, strict=True)
            )
            mean = np.mean([here.mean() for here in at])
            lines.append(f"| {cut} | {mean:.3f} | {best} of {len(self.board)} targets |")
            tops = [here.max() for here in at]
            lacks = np.mean([target.truth.max() for target in self.board]) - np.mean(tops)
        return "\n".join(
            [
                *lines,
                "",
                f"The best network cut at {cuts[-1]} alone lacks {100 * lacks:.1f} points.",
            ]
        )

    def by_regime(self) -> str:
        """Regret by the kind of target, which is what `rank` quotes."""
        shown = ["euclidean", "cosine", "logme", "regularised_hscore", "knn", PROBE_ALL]
        shown += ["consensus", VERIFY, "best static source", "random"]
        kinds = sorted({self.kind(target) for target in self.board})
        lines = ["## By kind of target: mean regret of the first pick, in points", ""]
        lines += [f"| selector | {' | '.join(kinds)} |", "|---|" + "---|" * len(kinds)]
        found = {kind: self.evaluated(kind) for kind in kinds}
        for name in shown:
            cells = [f"{points(found[kind], name):.1f}" for kind in kinds]
            lines.append(f"| {label(name)} | {' | '.join(cells)} |")
        counts = [str(len(found[kind].targets)) for kind in kinds]
        lines.append(f"| *targets* | {' | '.join(counts)} |")
        return "\n".join(lines)

    def evaluated(self, kind: str) -> Evaluation:
        """Evaluation over the targets of one regime."""
        return evaluate_board([target for target in self.board if self.kind(target) == kind])

    def costs(self) -> str:
        """Processor time of each score, beside that of the probe of every candidate."""
        spent = {
            key: sum(float(row[f"{key}_seconds"]) for row in self.rows)
            for key in LABELS
            if f"{key}_seconds" in self.rows[0]
        }
        whole = spent[PROBE]
        selector = sum(spent[key] for key in PARTS)
        lines = ["## What it costs, without encoding", "", "| selector | seconds | share |"]
        lines.append("|---|---|---|")
        for key, seconds in sorted(spent.items(), key=lambda item: item[1]):
            lines.append(f"| {label(key)} | {seconds:.1f} | {seconds / whole:.1%} |")
        lines.append(f"| consensus | {selector:.1f} | {selector / whole:.1%} |")
        share = self.cost_of_verifying()
        lines.append(f"| {VERIFY} | {share * whole:.1f} | {share:.1%} |")
        return "\n".join([*lines, "", "Share: of the linear probe of every candidate."])

    def cost_of_verifying(self) -> float:
        """Seconds of consensus and then of a few heads over those of all heads."""
        selector = sum(float(row[f"{key}_seconds"]) for row in self.rows for key in PARTS)
        heads = sum(self.head_cost(target) for target in self.board)
        return (selector + heads) / sum(float(row[f"{PROBE}_seconds"]) for row in self.rows)

    def head_cost(self, target: Candidates) -> float:
        """Seconds that heads on the first few candidates took."""
        first = np.argsort(-target.scores["consensus"], kind="stable")[:VERIFIED]
        seconds = {
            (row["network"], row["cut"]): float(row[f"{PROBE}_seconds"])
            for row in self.of(target.target)
        }
        return sum(seconds[target.names[i]] for i in first)

    def evidence(self) -> dict:
        """What `rank` quotes, by regime."""
        regimes = {}
        for kind in sorted({self.kind(target) for target in self.board}):
            found = self.evaluated(kind)
            scores = {
                name: {
                    "label": label(name),
                    "top1": round(found[name].measures["held@1"].mean, 4),
                    "top3": round(found[name].measures["held@3"].mean, 4),
                    "regret": round(points(found, name), 2),
                }
                for name in [*LABELS, "consensus"]
                if name in self.board[0].scores
            }
            single = [name for name in scores if name not in ("consensus", PROBE)]
            regimes[kind] = {
                "targets": len(found.targets),
                "candidates": found.n_candidates[0],
                "random": round(points(found, "random"), 2),
                "best": min(single, key=lambda name: scores[name]["regret"]),
                "scores": scores,
            }
        return {"regimes": regimes}


VERIFY = f"consensus, then heads on the first {VERIFIED}"
MARGINS = {
    MARGIN: VERIFY,
    0.0: f"{VERIFY}, the best head always",
    0.5: f"{VERIFY}, at half a standard error",
    1.0: f"{VERIFY}, at one standard error",
}
SHRUNK_NAME = "consensus with the regularised H-score"


def selected(target: Candidates, n: int) -> Candidates:
    """The candidates of a target with the selectors beside the single scores."""
    scores = dict(target.scores)
    scores["consensus"] = rank_average(PARTS)(target)
    scores[SHRUNK_NAME] = rank_average(SHRUNK)(target)
    for margin, name in MARGINS.items():
        scores[name] = verified(target, scores["consensus"], n, margin)
    scores[PROBE_ALL] = scores.pop(PROBE)
    return replace(target, scores=scores)


def rank_average(keys: Sequence[str]) -> Callable[[Candidates], np.ndarray]:
    """Mean over scores of the share of candidates beaten, as `rank` computes it."""

    def score(target: Candidates) -> np.ndarray:
        table = np.stack([target.scores[key] for key in keys], axis=1)
        return np.array([shares_beaten(table, row).mean() for row in table])

    return score


def verified(target: Candidates, order: np.ndarray, n: int, margin: float = MARGIN) -> np.ndarray:
    """What `zoorank verify` takes comes first, then the rest of the first few by their heads."""
    first = np.argsort(-order, kind="stable")[:VERIFIED]
    heads = target.scores[PROBE][first]
    score = order - 2
    score[first] = heads + 1e-6 * order[first]
    score[first[first_within_noise(heads.tolist(), n, margin)]] = 2
    return score


def tuned(tuning: Sequence[Candidates], reporting: Sequence[Candidates]) -> str:
    """The best rank average on one half, and what it is worth on the other."""
    subsets = [keys for size in (2, 3, 4, 5) for keys in itertools.combinations(CHEAP, size)]
    fixed = [tuple(PARTS), tuple(SHRUNK)]
    on_tuning = {keys: regret(tuning, rank_average(keys)) for keys in {*subsets, *fixed}}
    best = sorted(subsets, key=lambda keys: on_tuning[keys])[:5]
    said = (
        f"The five best of {len(subsets)} rank averages on the tuning half, and what they are "
        "worth on the other; then those that nothing was tuned for. How far ahead a head must be "
        "to overrule the order was chosen on the tuning half too."
    )
    lines = ["## Tuned on one half, reported on the other", "", said, ""]
    lines += ["| rank average of | regret, tuning half | regret, reporting half |", "|---|---|---|"]
    for keys in [*best, *fixed]:
        name = " + ".join(label(key) for key in keys)
        name += " (**consensus**)" if keys == tuple(PARTS) else ""
        there = regret(reporting, rank_average(keys))
        lines.append(f"| {name} | {on_tuning[keys]:.2f} | {there:.2f} |")
    both = [list(tuning), list(reporting)]
    for name in (PROBE_ALL, *MARGINS.values(), "euclidean", "random", "best static source"):
        cells = [f"{points(evaluate_board(half), name):.2f}" for half in both]
        lines.append(f"| *{label(name)}* | {' | '.join(cells)} |")
    return "\n".join(lines)


def regret(board: Sequence[Candidates], order: Callable[[Candidates], np.ndarray]) -> float:
    """Mean regret of the first pick in points."""
    plain = [replace(target, scores={"order": order(target)}) for target in board]
    return points(evaluate_board(plain), "order")


def points(found: Evaluation, name: str) -> float:
    """Mean regret of a score's first pick in points."""
    return 100 * found[name].measures["regret@1"].mean


def section(title: str, found: Evaluation) -> str:
    """A table of every selector on some targets."""
    said = (
        f"The best candidate has a mean accuracy of {found.oracle:.4f}. Regret in points with its "
        "95 % bootstrap interval over targets; p of a paired test against the best static source."
    )
    lines = [
        f"## {title}: {len(found.targets)} targets, {found.n_candidates[0]} candidates each",
        "",
        said,
        "",
        "| selector | regret@1 | @3 | @5 | best in top 1 | top 3 | MRR | weighted τ | ρ | p |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for score in sorted(found.scores, key=lambda each: each.measures["regret@1"].mean):
        m = score.measures
        name = f"*{label(score.name)}*" if score.is_baseline else label(score.name)
        first = m["regret@1"]
        cells = [
            f"{100 * first.mean:.2f} [{100 * first.low:.1f}, {100 * first.high:.1f}]",
            *(f"{100 * m[f'regret@{k}'].mean:.2f}" for k in (3, 5)),
            *(f"{m[f'held@{k}'].mean:.0%}" for k in (1, 3)),
            *(f"{m[each].mean:.3f}" for each in ("reciprocal_rank", "weighted_tau", "spearman")),
            f"{score.p_static:.3f}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def label(key: str) -> str:
    """A score as tables call it."""
    return LABELS.get(key, key)
