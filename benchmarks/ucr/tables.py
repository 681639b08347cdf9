"""From measurements to docs/ucr-study.md, its tables and figures, and what `rank` quotes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from candidates import Study
from crossfit import Crossfit, crossfit
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
from second import Second
from study_figures import figures

from zoorank.evaluation.evaluate import BASELINES, RANDOM, SIZE, STATIC, Difference, paired
from zoorank.ranking.guidance import EVIDENCE

sys.path.insert(0, str(Path(__file__).parents[1] / "figures"))
sys.path.insert(0, str(Path(__file__).parents[1] / "informed"))
from effects import measured
from pages import as_measured

Cells = Callable[[str], Iterable[str]]


def write_tables(folder: Path, page: Path) -> Path:
    """Bring the page with its picture, and the evidence, in line; return the page."""
    from regret_picture import draw_regrets, is_stale, save, shown

    study = Study.read(folder)
    second = Second.of(study)
    picture, data = page.with_name("ucr-study-regret.svg"), shown(study, second)
    if is_stale(picture, data):
        save(draw_regrets(study, second), picture, data)
    text = page.read_text(encoding="utf-8")
    page.write_text(page_text(text, study, second), encoding="utf-8")
    EVIDENCE.write_text(evidence_text(study), encoding="utf-8")
    return page


def page_text(text: str, study: Study, second: Second) -> str:
    """The page with its tables and figures as they were measured."""
    chosen = crossfit(study.targets, [study.sizes[each.target][0] for each in study.targets])
    tables = {
        "ucr_by_head": lambda: by_head(study),
        "ucr_beside_heads": lambda: beside_heads(study, chosen),
        "ucr_in_sample": lambda: in_sample(second),
        "ucr_cuts": lambda: cuts(study),
        "ucr_by_cut": lambda: by_cut(study),
        "ucr_by_kind": lambda: by_kind(study),
        "ucr_costs": lambda: costs(study),
    }
    return as_measured(text, tables, figures(study, second, chosen))


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
    return "\n".join(lines) + "\n"


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
    return table([*head, "weighted τ", "ρ", "p"], in_order(study), cells)


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
    return table(["regret", "less the head: all targets", "reporting half"], names, cells)


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
    return table(
        ["regret@1 by fine-tuning", "@3", "ρ", "regret@1 by the head", "ρ"],
        sorted(names, key=lambda name: points(second.tuned, name)),
        cells,
    )


def cuts(study: Study) -> str:
    """How good the candidates at each cut are."""
    best = [each.truth.max() for each in study.targets]
    lines = ["| cut | mean accuracy | holds a best candidate of |", "|---|--:|--:|"]
    for cut, (targets, found) in study.cuts.items():
        held = sum(each.truth.max() == top for each, top in zip(targets, best, strict=True))
        mean = found[RANDOM].measures["pick"].mean
        lines.append(f"| {cut} | {mean:.3f} | {held} of {len(best)} targets |")
    return "\n".join(lines) + "\n"


def by_cut(study: Study) -> str:
    """Where selectors cut, and what they lose where they may not."""
    best = np.array([each.truth.max() for each in study.targets])

    def cells(name: str) -> list[str]:
        if name in (STATIC, RANDOM, SIZE, IDS):
            shares = ["-"] * len(CUTS)
        else:
            at = [each.names[first(each, each.scores[name])][1] for each in study.targets]
            shares = [f"{at.count(cut) / len(at):.0%}" for cut in CUTS]
        lost = [
            f"{100 * (best.mean() - found[name].measures['pick'].mean):.2f}"
            for _, found in study.cuts.values()
        ]
        return [*shares, f"{points(study.whole, name):.2f}", *lost]

    head = [
        *(f"cuts at {cut}" for cut in CUTS),
        "network and cut",
        *(f"all at {cut}" for cut in CUTS),
    ]
    return table(head, in_order(study), cells)


def by_kind(study: Study) -> str:
    """Regret by the kind of target, which is what `rank` quotes."""
    head = [f"{kind} ({len(found.targets)} targets)" for kind, found in study.kinds.items()]

    def cells(name: str) -> list[str]:
        return [f"{points(found, name):.1f}" for found in study.kinds.values()]

    return table(head, in_order(study), cells)


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
    return table(["seconds", "share", "regret@1"], names, cells)


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
    others = json.loads(EVIDENCE.read_text(encoding="utf-8"))  # of benchmarks/informed/study.py
    effects = {name: round(value, 4) for name, value in asdict(measured(study.targets)).items()}
    return json.dumps({**others, "effects": effects, "regimes": regimes}, indent=2) + "\n"


def difference(found: Difference) -> str:
    """A difference in points with its interval and p."""
    low, high = 100 * found.low, 100 * found.high
    return f"{100 * found.mean:+.2f} [{low:+.1f}, {high:+.1f}], p {chance(found.p)}"


def chance(p: float) -> str:
    """A p-value; that of a comparison with itself is none."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
