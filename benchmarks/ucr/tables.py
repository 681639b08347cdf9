"""From measurements to tables: docs/ucr-study.md, and the evidence that `rank` quotes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from board import Study
from crossfit import Crossfit, crossfit
from findings import findings, introduction
from measure import CUTS
from picks import (
    COMBINED,
    CONSENSUS,
    IDS,
    PROBE,
    SINGLE,
    first,
    label,
    points,
)
from pictures import regret_picture
from second import Second

from zoorank.selection.evaluate import BASELINES, RANDOM, SIZE, STATIC, Difference, paired
from zoorank.selection.guidance import EVIDENCE

sys.path.insert(0, str(Path(__file__).parents[1] / "figures"))
from measured import results

Cells = Callable[[str], Iterable[str]]


def write_tables(folder: Path, page: Path) -> Path:
    """Write the page with its picture, and the evidence; return the page."""
    study = Study.read(folder)
    second = Second.of(study)
    regret_picture(study, second, page.with_name("ucr-study-regret.svg"))
    page.write_text(page_text(study, second), encoding="utf-8")
    EVIDENCE.write_text(evidence_text(study), encoding="utf-8")
    return page


def page_text(study: Study, second: Second) -> str:
    """The page in Markdown."""
    chosen = crossfit(study.board, [study.sizes[each.target][0] for each in study.board])
    sections = [
        introduction(study, second),
        findings(study, second, chosen),
        by_head(study),
        beside_heads(study, chosen),
        in_sample(second),
        by_cut(study),
        by_kind(study),
        costs(study),
    ]
    return "\n\n".join(sections) + "\n"


def in_order(study: Study) -> list[str]:
    """Every selector and baseline, least regret first: the rows of all tables."""
    names = [score.name for score in study.whole.scores]
    return sorted(names, key=lambda name: points(study.whole, name))


def table(head: Sequence[str], names: Iterable[str], cells: Cells) -> str:
    """A table in Markdown with a row for each selector, baselines in italics."""
    lines = [f"| selector | {' | '.join(head)} |", "|---|" + "--:|" * len(head)]
    for name in names:
        shown = f"*{label(name)}*" if name in BASELINES else label(name)
        shown = f"**{shown}**" if name in COMBINED else shown
        lines.append(f"| {shown} | {' | '.join(cells(name))} |")
    return "\n".join(lines)


def section(title: str, said: str, *parts: str) -> str:
    """A heading, what the table holds, and the table."""
    return "\n\n".join([f"## {title}", said, *parts])


def by_head(study: Study) -> str:
    """Every measure of every selector."""
    found = study.whole

    def cells(name: str) -> list[str]:
        m = found[name].measures
        one = m["regret@1"]
        return [
            f"{100 * one.mean:.2f} [{100 * one.low:.1f}, {100 * one.high:.1f}]",
            f"{points(study.reporting, name):.2f}",
            *(f"{100 * m[f'regret@{k}'].mean:.2f}" for k in (3, 5)),
            *(f"{m[f'held@{k}'].mean:.0%}" for k in (1, 3)),
            *(f"{m[each].mean:.3f}" for each in ("reciprocal_rank", "weighted_tau", "spearman")),
            chance(found[name].p_static),
        ]

    head = ["regret@1", "reporting half", "@3", "@5", "best in top 1", "top 3", "MRR"]
    return section(
        "Every selector, by the head",
        "Regret of the first pick in points with its 95 % bootstrap interval over targets, the "
        "same on the reporting half, and of the best of the first three and five; p of a paired "
        "test of the first pick against the best static source.",
        table([*head, "weighted τ", "ρ", "p"], in_order(study), cells),
    )


def beside_heads(study: Study, chosen: Crossfit) -> str:
    """Every selector beside a cross-validated head on every candidate, target by target."""
    extra = chosen.regrets
    heads = np.array(study.whole[PROBE].regrets)

    def of(name: str) -> np.ndarray:
        return extra[name] if name in extra else np.array(study.whole[name].regrets)

    def cells(name: str) -> list[str]:
        mine = of(name)
        half = "-" if name in extra else difference(paired(mine[1::2], heads[1::2]))
        return [f"{100 * mine.mean():.2f}", difference(paired(mine, heads)), half]

    names = sorted([*in_order(study), *extra], key=lambda name: of(name).mean())
    return section(
        "Beside a cross-validated head on every candidate",
        "Regret less that of the head, target by target: below 0 the selector is better. 95 % "
        "bootstrap interval over targets and p of the paired test; an interval that holds 0 is "
        "within chance. What was *chosen on the other half* was chosen and reported "
        f"{chosen.n_choices} times, on halves drawn at random, and each target counts only where "
        "it had no part in the choice.",
        table(["regret", "less the head: all targets", "reporting half"], names, cells),
        chosen_text(chosen),
    )


def chosen_text(chosen: Crossfit) -> str:
    """What was chosen how often."""
    often = chosen.chosen.most_common(3)
    parts = ", ".join(f"{name} ({count / chosen.n_choices:.0%})" for name, count in often)
    margins = ", ".join(
        f"{'never' if margin < 0 else f'{margin:g}'} ({count / chosen.n_choices:.0%})"
        for margin, count in chosen.margins.most_common()
    )
    return (
        f"The steady rule chose {len(chosen.chosen)} different rank averages, most often {parts}. "
        f"Margins chosen, in standard errors: {margins}."
    )


def in_sample(second: Second) -> str:
    """By fine-tuning, the sample as a zoo of its own."""

    def cells(name: str) -> list[str]:
        by_tuning, by_head = second.tuned[name].measures, second.head[name].measures
        one = by_tuning["regret@1"]
        return [
            f"{100 * one.mean:.2f} [{100 * one.low:.1f}, {100 * one.high:.1f}]",
            f"{100 * by_tuning['regret@3'].mean:.2f}",
            f"{by_tuning['spearman'].mean:.3f}",
            f"{100 * by_head['regret@1'].mean:.2f}",
            f"{by_head['spearman'].mean:.3f}",
        ]

    names = [score.name for score in second.tuned.scores]
    return section(
        "The sample, by fine-tuning",
        second.sample_text(),
        table(
            ["regret@1 by fine-tuning", "@3", "ρ", "regret@1 by the head", "ρ"],
            sorted(names, key=lambda name: points(second.tuned, name)),
            cells,
        ),
    )


def by_cut(study: Study) -> str:
    """Where selectors cut, and what they lose where they may not."""
    best = np.array([each.truth.max() for each in study.board])

    def cells(name: str) -> list[str]:
        if name in (STATIC, RANDOM, SIZE, IDS):
            shares = ["-"] * len(CUTS)
        else:
            at = [each.names[first(each, each.scores[name])][1] for each in study.board]
            shares = [f"{at.count(cut) / len(at):.0%}" for cut in CUTS]
        lost = [
            f"{100 * (best.mean() - found[name].measures['pick'].mean):.2f}"
            for _, found in study.cuts.values()
        ]
        return [*shares, f"{points(study.whole, name):.2f}", *lost]

    lines = ["| cut | mean accuracy | holds a best candidate of |", "|---|--:|--:|"]
    for cut, (board, found) in study.cuts.items():
        held = sum(each.truth.max() == top for each, top in zip(board, best, strict=True))
        mean = found[RANDOM].measures["pick"].mean
        lines.append(f"| {cut} | {mean:.3f} | {held} of {len(best)} targets |")
    lacks = [100 * (best.mean() - found.oracle) for _, found in study.cuts.values()]
    head = [
        *(f"cuts at {cut}" for cut in CUTS),
        "network and cut",
        *(f"all at {cut}" for cut in CUTS),
    ]
    return section(
        "Where to cut",
        "\n".join(lines),
        f"The best network lacks {lacks[0]:.1f} points where all are cut at {CUTS[0]}, "
        f"{lacks[1]:.1f} at {CUTS[1]} and {lacks[2]:.1f} at {CUTS[2]}. Below: where the selectors "
        "cut, their regret when they choose network and cut, and when they choose the network "
        "alone and all are cut alike, always to the best candidate of all.",
        table(head, in_order(study), cells),
    )


def by_kind(study: Study) -> str:
    """Regret by the kind of target, which is what `rank` quotes."""
    head = [f"{kind} ({len(found.targets)} targets)" for kind, found in study.kinds.items()]

    def cells(name: str) -> list[str]:
        return [f"{points(found, name):.1f}" for found in study.kinds.values()]

    return section(
        "By kind of target",
        "Mean regret of the first pick in points, by the head. Differences of a point or two "
        "between so few targets say little.",
        table(head, in_order(study), cells),
    )


def costs(study: Study) -> str:
    """Processor time of each selector, beside that of a head on every candidate."""
    spent = study.seconds
    whole = spent[PROBE]

    def cells(name: str) -> list[str]:
        return [
            f"{spent[name]:.1f}",
            f"{spent[name] / whole:.1%}",
            f"{points(study.whole, name):.2f}",
        ]

    names = sorted(
        (name for name in in_order(study) if name in spent),
        key=lambda name: (spent[name], points(study.whole, name)),
    )
    return section(
        "What it costs, without encoding",
        "Seconds of one core for all candidates of all targets, extrapolated from "
        f"{len(study.costs)} of them, and the share of what a head on every candidate takes. A "
        "static source costs nothing on the target at hand; it needs every candidate's accuracy "
        "on many others.",
        table(["seconds", "share", "regret@1"], names, cells),
        wide_costs(),
    )


def wide_costs() -> str:
    """How the shares change where encodings are wide, by benchmarks/score_cost.py."""
    heads = {
        row["n"]: row["milliseconds"] for row in results("score_cost") if row["score"] == PROBE
    }
    parts = []
    for row in results("scores_together"):
        if row["threads"] == 1 and not row["busy cores"]:
            votes, head = row["milliseconds"], heads[row["n"]]
            parts.append(
                f"for {row['n']} samples of {row['d']} numbers the four votes with MSC cosine "
                f"take {votes:.0f} ms and a cross-validated head {head:.0f} ms"
            )
    return (
        "These shares are of short encodings. On wide ones with classes that are easy to tell "
        f"apart the gap is smaller: {'; '.join(parts)} "
        "(`benchmarks/score_cost.py`, one core). `rank` prints what encoding and scoring took."
    )


def evidence_text(study: Study) -> str:
    """What `rank` quotes, by kind of target, in JSON."""
    regimes = {}
    for kind, found in study.kinds.items():
        keys = [CONSENSUS, PROBE, *SINGLE]
        scores = {
            key: {
                "label": label(key),
                "top1": round(found[key].measures["held@1"].mean, 4),
                "top3": round(found[key].measures["held@3"].mean, 4),
                "regret": round(points(found, key), 2),
            }
            for key in keys
        }
        regimes[kind] = {
            "targets": len(found.targets),
            "candidates": found.n_candidates[0],
            "random": round(points(found, RANDOM), 2),
            "static": round(points(found, STATIC), 2),
            "best": min(SINGLE, key=lambda key: scores[key]["regret"]),
            "scores": scores,
        }
    return json.dumps({"regimes": regimes}, indent=2) + "\n"


def difference(found: Difference) -> str:
    """A difference in points with its interval and p."""
    low, high = 100 * found.low, 100 * found.high
    return f"{100 * found.mean:+.2f} [{low:+.1f}, {high:+.1f}], p {chance(found.p)}"


def chance(p: float) -> str:
    """A p-value; that of a comparison with itself is none."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
