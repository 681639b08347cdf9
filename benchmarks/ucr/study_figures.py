"""Single figures that the prose of docs/ucr-study.md quotes, by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from candidates import Study
from crossfit import FAMILY, MARGIN_CHOSEN, PLAIN, STEADY, Crossfit
from measure import CUTS
from picks import CONSENSUS, IDS, PROBE, SINGLE, VERIFIED, VERIFY, label, points
from second import HEAD, Second

from zoorank.evaluation.evaluate import RANDOM, STATIC, Difference, Evaluation, paired

sys.path.insert(0, str(Path(__file__).parents[1] / "figures"))
from measured import results

# What figures call a selector, where that is not its key.
SHORT = {VERIFY: "verify", STATIC: "static", RANDOM: "random", PROBE: "heads", IDS: "ids"}
HEADS, CHANCE = "than a head on every candidate ", "than a random pick "


def figures(study: Study, second: Second, chosen: Crossfit) -> dict[str, str]:
    """All figures in prose, each as text."""
    return dict(
        [
            *of_the_data(study, second),
            *of_selectors(study),
            *of_choices(study.whole, chosen),
            *of_single_scores(study.whole),
            *of_fine_tuning(second),
            *of_cuts(study),
            *of_costs(study),
        ]
    )


def of_the_data(study: Study, second: Second) -> Iterator[tuple[str, str]]:
    """How much was measured."""
    n, k = np.array(list(study.sizes.values())).T
    yield "targets", f"{len(n)}"
    yield "samples", f"{n.min()} to {n.max()}"
    yield "samples.median", f"{np.median(n):.0f}"
    yield "classes", f"{k.min()} to {k.max()}"
    yield "pairs.head", f"{len(study.rows)}"
    yield "pairs.tuned", f"{len(second.rows)}"
    yield "candidates", f"{study.whole.n_candidates[0]}"


def of_selectors(study: Study) -> Iterator[tuple[str, str]]:
    """Consensus, and consensus and heads, beside heads on every candidate."""
    whole, half = study.whole, study.reporting
    for short, name in (("consensus", CONSENSUS), ("verify", VERIFY)):
        yield f"{short}.beside-heads", in_words(compared(whole, name, PROBE))
        yield f"{short}.half-beside-heads", in_words(compared(half, name, PROBE))
        yield f"{short}.cost", f"{study.seconds[name] / study.seconds[PROBE]:.0%}"
    for short, name in (("consensus", CONSENSUS), ("verify", VERIFY), ("heads", PROBE)):
        yield f"{short}.regret", f"{points(whole, name):.2f}"
        yield f"{short}.half", f"{points(half, name):.2f}"
    held = whole[CONSENSUS].measures
    for k in (1, 3):
        yield f"consensus.top-{k}", f"{held[f'held@{k}'].mean:.0%}"
    yield "consensus.first-3", f"{100 * held['regret@3'].mean:.1f}"
    yield f"consensus.first-{VERIFIED}", f"{100 * held[f'regret@{VERIFIED}'].mean:.1f}"
    yield "verify.closes", f"{points(whole, CONSENSUS) - points(whole, VERIFY):.1f}"


def of_choices(whole: Evaluation, chosen: Crossfit) -> Iterator[tuple[str, str]]:
    """What tuning a selector, or the margin of `verify`, on half of the targets is worth."""
    steady, plain, margin = (chosen.regrets[name] for name in (STEADY, PLAIN, MARGIN_CHOSEN))
    yield "choice.family", f"{len(FAMILY)}"
    yield "choice.steady", f"{100 * steady.mean():.2f}"
    yield "choice.plain", f"{100 * plain.mean():.2f}"
    yield "choice.consensus", in_words(paired(whole[CONSENSUS].regrets, steady), "than the former ")
    yield "choice.margin", f"{100 * margin.mean():.2f}"
    yield "choice.margin-beside-heads", in_words(paired(margin, whole[PROBE].regrets), HEADS)
    yield "choice.often", f"{chosen.n_choices}"
    yield "choice.different", f"{len(chosen.chosen)}"
    most = chosen.chosen.most_common(3)
    yield "choice.most", ", ".join(f"{name} ({n / chosen.n_choices:.0%})" for name, n in most)
    yield (
        "choice.margins",
        ", ".join(
            f"{'never' if each < 0 else f'{each:g}'} ({count / chosen.n_choices:.0%})"
            for each, count in chosen.margins.most_common()
        ),
    )


def of_single_scores(whole: Evaluation) -> Iterator[tuple[str, str]]:
    """MSC beside what needs no score, the best single score, and the pilot's order."""
    best = min(SINGLE, key=lambda key: points(whole, key))
    for key in ("euclidean", "cosine"):
        yield f"{key}.p-random", f"{whole[key].p_random:.3f}"
        yield f"{key}.p-static", f"{whole[key].p_static:.2f}"
    yield "single", f"{len(SINGLE)}"
    yield "single.best", label(best)
    yield "single.best-regret", f"{points(whole, best):.1f}"
    yield "hscore.regularised", f"{points(whole, 'regularised_hscore'):.1f}"
    for name in ("euclidean", "cosine", IDS, RANDOM, STATIC, "hscore"):
        yield f"{SHORT.get(name, name)}.regret", f"{points(whole, name):.1f}"
    yield "ids.beside-euclidean", in_words(compared(whole, "euclidean", IDS), "than IDS ")
    order = (RANDOM, "euclidean", "logme", PROBE, CONSENSUS)
    yield "pilot.order", ", ".join(f"{points(whole, name):.1f}" for name in order)


def of_fine_tuning(second: Second) -> Iterator[tuple[str, str]]:
    """The second truth: the sample, and first picks out of all candidates."""
    tuned = second.tuned
    frozen, trained, epoch = (
        np.array([float(row[name]) for row in second.rows])
        for name in ("frozen", "tuned", "best_epoch")
    )
    least, most = min(tuned.n_candidates), max(tuned.n_candidates)
    yield "sample.size", f"{least} or {most}"
    yield "sample.most", f"{most}"
    yield "sample.best-tuned", f"{tuned.oracle:.4f}"
    yield "sample.best-head", f"{second.head.oracle:.4f}"
    yield "sample.agreement", f"{second.agreement:.2f}"
    yield "sample.best-head-lacks", f"{points(tuned, HEAD):.2f}"
    yield "sample.change", f"{100 * (trained - frozen).mean():+.1f}"
    yield "sample.no-better", f"{(epoch == 0).mean():.0%}"
    for name in (CONSENSUS, VERIFY, STATIC, RANDOM, "euclidean"):
        yield f"sample.{SHORT.get(name, name)}", f"{points(tuned, name):.1f}"
    yield "sample.beside-random", in_words(compared(tuned, CONSENSUS, RANDOM), CHANCE)
    yield "sample.beside-heads", in_words(compared(tuned, CONSENSUS, PROBE), HEADS)
    picks = second.picks
    for name, found in picks.items():
        yield f"picks.{SHORT.get(name, name)}", f"{100 * found.mean():.1f}"
    mine = picks[CONSENSUS]
    yield "picks.beside-random", in_words(paired(picks[RANDOM], mine), CHANCE)
    yield "picks.beside-heads", in_words(paired(picks[PROBE], mine), HEADS)


def of_cuts(study: Study) -> Iterator[tuple[str, str]]:
    """Where to cut."""
    best = np.mean([each.truth.max() for each in study.targets])
    for place, (_, found) in zip(("first", "middle", "last"), study.cuts.values(), strict=True):
        yield f"cuts.{place}", f"{found[RANDOM].measures['pick'].mean:.3f}"
        yield f"cuts.{place}-lacks", f"{100 * (best - found.oracle):.1f}"
    last = 100 * (best - study.cuts[CUTS[-1]][1][CONSENSUS].measures["pick"].mean)
    yield "cuts.consensus-at-last", f"{last:.1f}"
    yield "cuts.consensus", f"{points(study.whole, CONSENSUS):.1f}"


def of_costs(study: Study) -> Iterator[tuple[str, str]]:
    """What was timed, and how the shares change where encodings are wide."""
    yield "costs.timed", f"{len(study.costs)}"
    for row in results("scores_together"):
        if row["threads"] == 1 and not row["busy cores"]:
            yield f"costs.votes-{row['n']}", f"{row['milliseconds']:.0f} ms"
    for row in results("score_cost"):
        if row["score"] == PROBE:
            yield f"costs.head-{row['n']}", f"{row['milliseconds']:.0f} ms"


def compared(found: Evaluation, name: str, other: str) -> Difference:
    """Regret of one selector less that of another."""
    return paired(found[name].regrets, found[other].regrets)


def in_words(found: Difference, than: str = "") -> str:
    """By how much it is better, and whether that is more than chance.

    Parameters
    ----------
    found : Difference
        Of regret, or of what the other gains; less is better.
    than : str
        Than what, with a space after it.
    """
    how = "better" if found.mean < 0 else "worse"
    chance = "within chance" if found.low <= 0 <= found.high else "more than chance"
    span = f"{100 * found.low:+.1f} to {100 * found.high:+.1f}"
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.3f}"
    return f"{how} {than}by {abs(100 * found.mean):.2f} ({span}, {p}; {chance})"
