"""What docs/informed.md quotes of the studies on what is known beside the encodings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import astuple
from functools import cache
from pathlib import Path

import numpy as np
from measured import Row, read, table

from zoorank.evaluation.evaluate import (
    STATIC,
    Difference,
    Evaluation,
    ScoreEvaluation,
    evaluate,
    paired,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "informed"))

import held
import of_images
import published

ALONE = ("LogME", "HScore", "consensus", "ImageNet top-1")


def informed_series() -> str:
    rows = read("results/informed_series.csv")
    consensus = of_rule(rows, "consensus", 0)
    lines = []
    for rule, k in dict.fromkeys((row["rule"], row["k"]) for row in rows):
        mine = of_rule(rows, rule, k)
        measured = mine[0]["regret_halves"] is not None
        lines.append(
            {
                "rule": rule,
                "k": k,
                "regret": f"{100 * mean(mine, 'regret'):.2f}",
                "beside": said(beside(mine, consensus, "regret")),
                "halves": f"{100 * mean(mine, 'regret_halves'):.2f}" if measured else "-",
                "beside halves": (
                    said(beside(mine, consensus, "regret_halves")) if measured else "-"
                ),
                "rho": f"{mean(mine, 'spearman'):.2f}" if measured else "-",
                "heads": f"{heads:.1f}" if (heads := mean(mine, "heads")) else "0",
            }
        )
    return table(
        "rule | earlier targets | regret | less consensus | regret in halves | less consensus | "
        "ρ | heads",
        "{rule} | {k} | {regret} | {beside} | {halves} | {beside halves} | {rho} | {heads}",
        lines,
    )


def informed_cnn() -> str:
    found = cnn()
    lines = []
    for score in found.scores:
        tau, regret = score.measures["weighted_tau"], score.measures["regret@1"]
        lines.append(
            {
                "score": score.name,
                "tau": f"{tau.mean:.3f} [{tau.low:.2f}, {tau.high:.2f}]",
                "order": -tau.mean,
                "regret": f"{regret.mean:.2f} [{regret.low:.2f}, {regret.high:.2f}]",
                "top": f"{score.measures['held@3'].mean:.0%}",
            }
        )
    return table(
        "score | weighted τ | regret of the first pick | best in top 3",
        "{score} | {tau} | {regret} | {top}",
        sorted(lines, key=lambda line: line["order"]),
    )


def informed_coverage() -> str:
    """How often intervals hold what they say, target by target."""
    rows = read("results/informed_series.csv")
    counts = sorted({row["k"] for row in rows if row["rule"] == "informed"})
    shares = {
        ("series", k): [row["covered"] for row in of_rule(rows, "informed", k)] for k in counts
    }
    shares["CNNs, with published accuracies", 0] = held.of_published(with_record=False)
    shares["CNNs, with published accuracies", 7] = held.of_published(with_record=True)
    lines = []
    for (what, k), each in shares.items():
        found = paired(each, np.zeros(len(each)))
        lines.append(
            {"what": what, "k": k, "share": found.mean, "low": found.low, "high": found.high,
             "least": min(each)}
        )  # fmt: skip
    return table(
        "targets | earlier targets | accuracies in their interval | of the worst target",
        "{what} | {k} | {share:.1%} [{low:.0%}, {high:.0%}] | {least:.0%}",
        lines,
    )


def informed_less() -> str:
    """What informed has more or less than others, target by target, as `evaluate` prints it."""
    lines = []
    for name in (*ALONE, STATIC):
        less = cnn(name)["informed"].less
        tau, regret = (
            difference(less[each], k) for each, k in (("weighted_tau", 3), ("regret@1", 2))
        )
        lines.append({"name": name, "tau": tau, "regret": regret})
    return table(
        "informed less | weighted τ | regret of the first pick", "{name} | {tau} | {regret}", lines
    )


def informed_images() -> str:
    """Mean regret with its interval, and the same beside the consensus."""
    found = images()
    consensus = found["consensus"].regrets
    lines = []
    for score in by_regret(found):
        mean, low, high = (100 * each for each in astuple(score.measures["regret@1"])[:3])
        lines.append(
            {
                "score": score.name,
                "mean": f"{mean:.1f} [{low:.1f}, {high:.1f}]",
                "beside": said(paired(score.regrets, consensus), digits=1),
            }
        )
    return table("pick by | regret | less consensus", "{score} | {mean} | {beside}", lines)


def informed_targets() -> str:
    """Regret on each target of images."""
    found = images()
    lines = [
        {"score": score.name, "lacks": " | ".join(f"{100 * each:.1f}" for each in score.regrets)}
        for score in by_regret(found)
    ]
    return table(" | ".join(["pick by", *found.targets]), "{score} | {lacks}", lines)


def by_regret(found: Evaluation) -> list[ScoreEvaluation]:
    """Ways to pick, the best first."""
    return sorted(found.scores, key=lambda score: score.measures["regret@1"].mean)


def informed_figures() -> dict[str, str]:
    """Single figures of the page."""
    taus, _ = published.chosen_on_the_others(published.read())
    rows, found = read("results/informed_series.csv"), {}
    for name, rule, k in (
        ("one", "informed", 1),
        ("most", "informed", 35),
        ("consensus", "consensus", 0),
    ):
        mine = of_rule(rows, rule, k)
        found[f"informed.{name}"] = f"{100 * mean(mine, 'regret'):.2f}"
        found[f"informed.{name}-halves"] = f"{100 * mean(mine, 'regret_halves'):.2f}"
    return {
        "informed.cnn-chosen": f"{taus.mean():.3f}",
        **{
            f"informed.images-{key}": f"{100 * images()[name].measures['regret@1'].mean:.1f}"
            for key, name in (
                ("informed", "informed"),
                ("consensus", "consensus"),
                ("static", STATIC),
                ("head", of_images.ALONE["probe"]),
            )
        },
        **found,
    }


@cache
def cnn(against: str = STATIC) -> Evaluation:
    return evaluate(published.TABLE, published.TABLE, against=against)


@cache
def images() -> Evaluation:
    return of_images.evaluation()


def of_rule(rows: Sequence[Row], rule: str, k: int) -> list[Row]:
    """Rows of one rule, in the order of the targets."""
    return [row for row in rows if (row["rule"], row["k"]) == (rule, k)]


def mean(rows: Sequence[Row], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def beside(mine: Sequence[Row], other: Sequence[Row], name: str) -> Difference:
    return paired([row[name] for row in mine], [row[name] for row in other])


def said(found: Difference, digits: int = 2) -> str:
    """A difference in points with its interval and p."""
    low, high = 100 * found.low, 100 * found.high
    return f"{100 * found.mean:+.{digits}f} [{low:+.1f}, {high:+.1f}], p {chance(found.p)}"


def difference(found: Difference, digits: int) -> str:
    """The same in the units that it has."""
    mean, low, high = (f"{each:+.{digits}f}" for each in (found.mean, found.low, found.high))
    return f"{mean} [{low}, {high}], p {chance(found.p)}"


def chance(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
