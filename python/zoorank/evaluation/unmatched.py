"""What is in only one of two tables, said in a line, so that no typing error costs a target."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from zoorank.messages import guess, listing

SHOWN = 5

Pair = tuple[str, tuple[str, str]]
PathName = str | os.PathLike[str]


def unmatched(
    scores: PathName, scored: Collection[Pair], truth: PathName, true: Collection[Pair]
) -> str | None:
    """Say which targets, sources and single pairs only one of two tables has.

    Parameters
    ----------
    scores, truth : path
        Of the tables, as they are to be named.
    scored, true : collection of (target, (source, cut))
        The pairs that each has.

    Returns
    -------
    str or None
        None where every pair is in both, and every target has two.

    Examples
    --------
    >>> pairs = [("Cars", ("a", "")), ("Cars", ("b", ""))]
    >>> others = [*pairs, ("Car", ("a", ""))]
    >>> unmatched("scores.csv", others, "true.csv", pairs)
    "not compared: target 'Car' of scores.csv alone"
    >>> unmatched("scores.csv", others[2:], "true.csv", pairs).partition("; ")[0]
    "not compared: target 'Car' (did you mean 'Cars'?) of scores.csv alone"
    """
    parts = [*_alone(scores, scored, true), *_alone(truth, true, scored)]
    common = Counter(target for target, _ in {*scored} & {*true})
    single = [repr(target) for target in sorted(common) if common[target] == 1]
    if single:
        parts.append(f"{_counted('target', single)} with one candidate in common")
    return f"not compared: {'; '.join(parts)}" if parts else None


def _alone(path: PathName, mine: Collection[Pair], other: Collection[Pair]) -> Iterator[str]:
    """What only one table has: whole targets, else whole sources, else pairs."""
    there = {*other}
    left = [pair for pair in mine if pair not in there]
    targets, sources = _targets(other), _sources(other)
    yield from _named("target", path, _targets(left), _targets(mine), targets)
    left = [pair for pair in left if pair[0] in targets]
    yield from _named("source", path, _sources(left), _sources(mine), sources)
    pairs = [
        f"{source}{f' cut at {cut}' if cut else ''} for {target}"
        for target, (source, cut) in left
        if source in sources
    ]
    if pairs:
        yield f"{_counted('pair', pairs)} of {path} alone"


def _named(
    kind: str, path: PathName, left: Iterable[str], mine: Collection[str], others: Collection[str]
) -> Iterator[str]:
    """Names that the other table lacks, and of its own alone the one probably meant."""
    names = [name for name in left if name not in others]
    if names:
        free = [name for name in others if name not in mine]
        meant = {name: guess(name, free).rstrip() for name in names}
        said = [f"{name!r} ({meant[name]})" if meant[name] else repr(name) for name in names]
        yield f"{_counted(kind, said)} of {path} alone"


def _targets(pairs: Iterable[Pair]) -> Collection[str]:
    return dict.fromkeys(target for target, _ in pairs).keys()


def _sources(pairs: Iterable[Pair]) -> Collection[str]:
    return dict.fromkeys(source for _, (source, _) in pairs).keys()


def _counted(kind: str, names: Sequence[str]) -> str:
    return f"{kind}{'s' if len(names) > 1 else ''} {listing(names, SHOWN)}"
