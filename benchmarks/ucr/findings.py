"""What the tables say, in sentences whose figures are the tables' own."""

from __future__ import annotations

from typing import Any

from zoorank.selection.evaluate import RANDOM, STATIC, Evaluation

INTRO = """# Does the choice hold up? The UCR study

A score is worth its speed only if picking by it picks well. Here 36 fully convolutional
networks, each trained on one data set of the UCR archive, are candidates for 36 targets, the
same data sets, with each target's own network left out; each network can be cut after each of
its three blocks. Scores see encodings of TRAIN alone (at most 250 samples, drawn by class). The
truth is the accuracy on TEST (at most 500 samples) of a logistic regression trained on the
standardised frozen encodings of TRAIN. *Regret* is what the pick lacks, in points, to the best
candidate of its target. Equal scores are shared out: a score that is the same for all is
exactly a random pick.

*Random* and *the best static source* (the candidate that was best on the other targets of the
table) need no score at all, and *parameter count* takes the largest prefix. *Consensus* is the
mean rank by Euclidean MSC, LogME, H-score and the leave-one-out nearest neighbour, the four that a
pilot on other targets had proposed: the default of `zoorank rank`. The reporting half is not quite
untouched: with 32 of the 36 targets in, the regularised H-score stood in place of the plain one,
and the margin of `zoorank verify` was chosen with both halves in sight. With 36 targets a
difference of a point is within chance.

Made by `python benchmarks/ucr/study.py` (`--tables-only` for this page alone, from
`benchmarks/ucr/measurements.csv`); `zoorank evaluate` makes such tables from anybody's figures.
What is not here: the truth by fine-tuning, which was not measured on this zoo."""


def findings(whole: Evaluation, reporting: Evaluation, names: dict[str, Any], share: float) -> str:
    """The outcome, whatever it is.

    Parameters
    ----------
    whole, reporting : Evaluation
        Of all targets, and of the half that nothing was tuned on.
    names : dict
        Of the selectors: "probe", "verify" and "others"; "best" names a score for people.
    share : float
        Cost of consensus and heads over that of a probe of every candidate.
    """
    probe, verify = names["probe"], names["verify"]
    singles = [
        score.name
        for score in whole.scores
        if not score.is_baseline and score.name not in (probe, "consensus", *names["others"])
    ]
    best = min(singles, key=lambda name: regret(whole, name))
    held = whole["consensus"].measures
    lines = [
        "## What it says",
        "",
        compare("The default selector, consensus,", "consensus", probe, whole, reporting),
        compare(
            "Ranking by consensus, then taking its first unless another of the first five has a "
            "head two standard errors better, as `zoorank verify` does,",
            verify,
            probe,
            whole,
            reporting,
        )
        + f" Without encoding it costs {share:.0%} of the probe of every candidate.",
        (
            f"- MSC alone lacks {regret(whole, 'euclidean'):.1f} points (Euclidean) and "
            f"{regret(whole, 'cosine'):.1f} (cosine), against {regret(whole, RANDOM):.1f} for a "
            f"random pick and {regret(whole, STATIC):.1f} for the best static source "
            f"(p = {whole['euclidean'].p_static:.3f} for Euclidean MSC against static)."
        ),
        (
            f"- The best single score is {names['best'](best)} with {regret(whole, best):.1f} "
            f"points; consensus differs from the best static source with p = "
            f"{whole['consensus'].p_static:.3f} and from a random pick with p = "
            f"{whole['consensus'].p_random:.4f}."
        ),
        (
            f"- The first pick by consensus is a best candidate for {held['held@1'].mean:.0%} of "
            f"the targets, the first three hold one for {held['held@3'].mean:.0%}; the best of "
            f"the first three lacks {100 * held['regret@3'].mean:.1f} points, of the first five "
            f"{100 * held['regret@5'].mean:.1f}: trying a few for real closes much of the gap."
        ),
        (
            f"- Intervals are wide: with {len(whole.targets)} targets, differences of a point "
            "between selectors are within chance."
        ),
    ]
    return "\n".join(lines)


def compare(subject: str, name: str, other: str, whole: Evaluation, reporting: Evaluation) -> str:
    """Whether a selector is at least as good as another, on all targets and on one half."""
    parts = []
    for where, found in (("on all targets", whole), ("on the reporting half", reporting)):
        mine, theirs = regret(found, name), regret(found, other)
        how = "better than" if mine < theirs - 0.005 else "worse than"
        how = "equal to" if abs(mine - theirs) <= 0.005 else how
        parts.append(f"{mine:.2f} points {where}, {how} the {theirs:.2f} of the {other}")
    return f"- {subject} lacks {'; '.join(parts)}."


def regret(found: Evaluation, name: str) -> float:
    """Mean regret of the first pick in points."""
    return 100 * found[name].measures["regret@1"].mean
