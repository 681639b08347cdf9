"""What the tables say, in sentences whose figures are the tables' own."""

from __future__ import annotations

import numpy as np
from candidates import Study
from crossfit import FAMILY, MARGIN_CHOSEN, PLAIN, STEADY, Crossfit
from measure import CUTS
from picks import CONSENSUS, IDS, PARTS, PROBE, SINGLE, VERIFIED, VERIFY, label, points
from second import HEAD, Second

from zoorank.evaluation.evaluate import RANDOM, STATIC, Difference, Evaluation, paired

HEADS = "than a head on every candidate "

INTRO = """# Does the choice hold up? The UCR study

A score is worth its speed only if picking by it picks well. Here 36 fully convolutional
networks, each trained on one data set of the UCR archive, are candidates for 36 targets, the
same data sets, with each target's own network left out. Each network can be cut after each of
its three blocks, so a target has 105 candidates. Scores see encodings of TRAIN alone (at most
250 samples, drawn by class). There are two truths, both measured on TEST (at most 500 samples):

- **the head**: a logistic regression on the standardised frozen encodings of TRAIN, for every
  candidate;
- **fine-tuning**: a head on the frozen prefix, then head and prefix together at rates that fall
  with depth, stopped early by a quarter of TRAIN that is held out, as `zoorank verify` trains;
  for a sample of candidates that chance has drawn, and for the first picks of a few selectors.

*Regret* is what the pick lacks, in points of accuracy, to the best candidate of its target.
Equal scores are shared out: a score that is the same for all is exactly a random pick.

Every table has the same rows. *Random* and *the best static source* (the candidate that was
best on the other targets) need no score, *parameter count* takes the largest prefix.
*Consensus*, the default of `zoorank rank`, is the mean rank by
{parts}.
*Consensus, then heads* is `zoorank verify` without its fine-tuning: consensus ranks, heads are
cross-validated on its first {verified}, and the first keeps its place unless another head is
two standard errors better. What both are held against is a head cross-validated on *every*
candidate.{ids}

The four votes are those that a pilot on UCR data had proposed before this study; nothing was
chosen by these figures but the two standard errors, and what a clean choice of them is worth
stands in the second table. The *reporting half* is every other target in the order of the
alphabet.

Made by `python benchmarks/ucr/study.py`, which measures what is missing from
`benchmarks/ucr/*.csv` (`--tables-only`: nothing); `zoorank evaluate` makes such tables from
anybody's figures."""


def introduction(study: Study, second: Second) -> str:
    """What was done."""
    n, k = np.array(list(study.sizes.values())).T
    names = [label(key) for key in PARTS]
    text = INTRO.format(
        parts=f"{', '.join(names[:-1])} and {names[-1]}", verified=VERIFIED, ids=of_ids(study)
    )
    measured = (
        f"Measured: {len(n)} targets with {n.min()} to {n.max()} samples of TRAIN (median "
        f"{np.median(n):.0f}) in {k.min()} to {k.max()} classes; {len(study.rows)} pairs of a "
        f"target and a candidate by the head, {len(second.rows)} by fine-tuning."
    )
    return f"{text}\n\n{measured}\n\n![Regret of every selector](ucr-study-regret.svg)"


def of_ids(study: Study) -> str:
    """What the score by the source's data is, where it was measured."""
    if IDS not in study.plain[0].scores:
        return ""
    return (
        " *IDS* looks at no network but at the data that it was trained on, so it knows no cut:\n"
        "equal for the three cuts of a network, it is shared out among them."
    )


def findings(study: Study, second: Second, chosen: Crossfit) -> str:
    """The outcome, whatever it is."""
    lines = [
        beside_heads(study, "The default selector, consensus,", CONSENSUS),
        beside_heads(study, f"Consensus and then heads on its first {VERIFIED}", VERIFY),
        first_three(study.whole),
        tuned_selector(study.whole, chosen),
        tuned_margin(study.whole, chosen),
        silhouettes(study.whole),
        pilot(study.whole),
        two_truths(second),
        by_tuning(second.tuned),
        *([picks_tuned(second)] if second.picks else []),
        cutting(study),
    ]
    return "\n".join(["## What it says", "", *(f"- {line}" for line in lines)])


def beside_heads(study: Study, subject: str, name: str) -> str:
    """A selector beside heads on every candidate."""
    whole, half = study.whole, study.reporting
    return (
        f"{subject} lacks {points(whole, name):.2f} points, a head on every candidate "
        f"{points(whole, PROBE):.2f}: {verdict(compared(whole, name, PROBE))}. On the reporting "
        f"half it is {points(half, name):.2f} against {points(half, PROBE):.2f}: "
        f"{verdict(compared(half, name, PROBE))}. Without encoding it costs "
        f"{study.seconds[name] / study.seconds[PROBE]:.0%} of those heads."
    )


def first_three(whole: Evaluation) -> str:
    """What the first few of the default hold."""
    held = whole[CONSENSUS].measures
    return (
        f"The first pick by consensus is a best candidate for {held['held@1'].mean:.0%} of the "
        f"targets and the first three hold one for {held['held@3'].mean:.0%}; the best of the "
        f"first three lacks {100 * held['regret@3'].mean:.1f} points, of the first "
        f"{VERIFIED} {100 * held['regret@5'].mean:.1f}. Of that gap, heads on so few samples "
        f"close {points(whole, CONSENSUS) - points(whole, VERIFY):.1f} points."
    )


def tuned_selector(whole: Evaluation, chosen: Crossfit) -> str:
    """What tuning a selector on half of the targets is worth on the other half."""
    steady, plain = (chosen.regrets[name] for name in (STEADY, PLAIN))
    found = paired(whole[CONSENSUS].regrets, steady)
    end = "So nothing here speaks for another default."
    if found.low > 0:
        end = "The tuned selector would be the better default."
    return (
        "Chosen on half of the targets and reported on the other half, the best of "
        f"{len(FAMILY)} rank averages lacks {100 * steady.mean():.2f} points by the steady rule "
        f"and {100 * plain.mean():.2f} by the plain one. Consensus, which was not chosen here, is "
        f"{verdict(found, 'than the former ')}. {end}"
    )


def tuned_margin(whole: Evaluation, chosen: Crossfit) -> str:
    """The same for the margin of `verify`."""
    margin = chosen.regrets[MARGIN_CHOSEN]
    found = paired(margin, whole[PROBE].regrets)
    return (
        "With the margin chosen the same clean way, consensus and then heads lacks "
        f"{100 * margin.mean():.2f} points, {verdict(found, HEADS)}. "
        "The two standard errors of `verify` are the customary ones; nothing here shows them to "
        "be the best."
    )


def silhouettes(whole: Evaluation) -> str:
    """MSC beside what needs no score, and the best of the single scores."""
    best = min(SINGLE, key=lambda key: points(whole, key))
    euclidean, cosine = (whole[key] for key in ("euclidean", "cosine"))
    return (
        f"MSC alone lacks {points(whole, 'euclidean'):.1f} points (Euclidean) and "
        f"{points(whole, 'cosine'):.1f} (cosine), a random pick {points(whole, RANDOM):.1f} "
        f"(p = {euclidean.p_random:.3f} and {cosine.p_random:.3f}) and the best static source "
        f"{points(whole, STATIC):.1f} (p = {euclidean.p_static:.2f} and {cosine.p_static:.2f}). "
        f"The best of {len(SINGLE)} single scores, seen afterwards, is {label(best)} with "
        f"{points(whole, best):.1f}.{source_data(whole)}"
    )


def source_data(whole: Evaluation) -> str:
    """What the source's own data would have added."""
    if all(score.name != IDS for score in whole.scores):
        return ""
    beside = verdict(compared(whole, "euclidean", IDS), "than IDS ")
    return (
        " IDS, which needs the data that a network was trained on, lacks "
        f"{points(whole, IDS):.1f}: Euclidean MSC without them is {beside}."
    )


def pilot(whole: Evaluation) -> str:
    """What the pilot had found, and this study finds too or does not."""
    order = (RANDOM, "euclidean", "logme", PROBE, CONSENSUS)
    lost = [points(whole, name) for name in order]
    held = "comes out again" if lost == sorted(lost, reverse=True) else "does not come out again"
    return (
        "The pilot had ordered, worst first, random, Euclidean MSC, LogME, heads, consensus: that "
        f"{held} ({', '.join(f'{each:.1f}' for each in lost)}). It had the best static source "
        f"behind MSC, here {points(whole, STATIC):.1f} against {lost[1]:.1f}, and the plain "
        f"H-score ahead of LogME, here {points(whole, 'hscore'):.1f}: where an encoding has more "
        "numbers than there are samples it is the same for all. Regularised it is not "
        f"({points(whole, 'regularised_hscore'):.1f})."
    )


def two_truths(second: Second) -> str:
    """How far fine-tuning agrees with the head."""
    tuned = second.tuned
    return (
        f"The two truths agree with ρ = {second.agreement:.2f}: in a sample of "
        f"{max(tuned.n_candidates)} candidates a random pick lacks {points(tuned, RANDOM):.1f} "
        "points by fine-tuning, and the candidate with the best head on TEST still lacks "
        f"{points(tuned, HEAD):.1f}. {second.change_text()}"
    )


def by_tuning(tuned: Evaluation) -> str:
    """Selectors by the second truth."""
    heads = compared(tuned, CONSENSUS, PROBE)
    random = compared(tuned, CONSENSUS, RANDOM)
    return (
        f"By fine-tuning, in that sample, consensus lacks {points(tuned, CONSENSUS):.1f} points: "
        f"{verdict(random, 'than a random pick ')} and {verdict(heads, HEADS)}. Consensus and "
        f"heads lacks {points(tuned, VERIFY):.1f}, Euclidean MSC {points(tuned, 'euclidean'):.1f}, "
        f"the best static source {points(tuned, STATIC):.1f}."
    )


def picks_tuned(second: Second) -> str:
    """First picks out of all candidates by the second truth."""
    picks = second.picks
    mine, heads, random = (picks[name] for name in (CONSENSUS, PROBE, RANDOM))
    others = ", ".join(
        f"{label(name)} {100 * picks[name].mean():.1f}" for name in picks if name != CONSENSUS
    )
    return (
        "First picks out of all 105 candidates, fine-tuned, have on average, in per cent: "
        f"consensus {100 * mine.mean():.1f}, {others} (random: the mean of the sample). Consensus "
        f"is {verdict(paired(random, mine), 'than a random pick ')} and "
        f"{verdict(paired(heads, mine), HEADS)}."
    )


def cutting(study: Study) -> str:
    """Whether where to cut is part of the question."""
    means = [found[RANDOM].measures["pick"].mean for _, found in study.cuts.values()]
    best = np.mean([each.truth.max() for each in study.targets])
    last = 100 * (best - study.cuts[CUTS[-1]][1][CONSENSUS].measures["pick"].mean)
    return (
        f"Where to cut matters: the candidates of the middle block have {means[1]:.3f} on average, "
        f"of the first {means[0]:.3f}, of the last {means[2]:.3f}, the order that the pilot had "
        f"too. Choosing among networks cut at the last block, consensus lacks {last:.1f} points; "
        f"choosing the cut too, {points(study.whole, CONSENSUS):.1f}."
    )


def compared(found: Evaluation, name: str, other: str) -> Difference:
    """Regret of one selector less that of another."""
    return paired(found[name].regrets, found[other].regrets)


def verdict(found: Difference, than: str = "") -> str:
    """By how much it is better, and whether that is more than chance.

    Parameters
    ----------
    found : Difference
        Of what is lost, or of what the other gains; less is better.
    than : str
        Than what, with a space after it.
    """
    how = "better" if found.mean < 0 else "worse"
    told = "within chance" if found.low <= 0 <= found.high else "more than chance"
    span = f"{100 * found.low:+.1f} to {100 * found.high:+.1f}"
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.3f}"
    return f"{how} {than}by {abs(100 * found.mean):.2f} ({span}, {p}; {told})"
