"""Where all of a model's input goes through one value, whatever records its steps."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V", bound=Hashable)


@dataclass(frozen=True)
class Step(Generic[V]):
    """One step of a pass.

    Attributes
    ----------
    reads, gives : tuple of hashable
        Values that depend on the input.
    weighted : bool
        Whether it multiplies by trained weights.
    """

    reads: tuple[V, ...]
    gives: tuple[V, ...]
    weighted: bool


def block_ends(steps: Sequence[Step[V]], start: V, end: V) -> list[V]:
    """Find the values that end a block.

    All paths from the input to the output go through such a value, weights lie before it, and
    the next step behind it that leads to another such value meets weights again.

    Parameters
    ----------
    steps : sequence of Step
        In the order in which they run.
    start, end : hashable
        Input and output.

    Returns
    -------
    list
        In that order.

    Examples
    --------
    >>> conv = Step(("x",), ("a",), weighted=True)
    >>> relu = Step(("a",), ("b",), weighted=False)
    >>> twice = [Step(("b",), ("c",), weighted=True), Step(("b", "c"), ("d",), weighted=False)]
    >>> block_ends([conv, relu, *twice, Step(("d",), ("y",), weighted=True)], "x", "y")
    ['b', 'd']
    """
    found: list[V] = []
    last: V | None = None
    before = False
    for value, weighted in _alone(steps, start, end):
        if weighted and before and last is not None:
            found.append(last)
        last, before = value, before or weighted
    return list(dict.fromkeys(found))


def _alone(steps: Sequence[Step[V]], start: V, end: V) -> Iterator[tuple[V, bool]]:
    """Yield values beside which no other is still to be read, and whether weights lay before."""
    live, needed = [], {end}
    for step in reversed(steps):
        if not needed.isdisjoint(step.gives):
            needed.update(step.reads)
            live.append(step)
    unread = {end: 1}
    for step in live:
        for value in set(step.reads):
            unread[value] = unread.get(value, 0) + 1
    ahead = {start} & unread.keys()
    weighted = False
    for step in reversed(live):
        weighted |= step.weighted
        for value in set(step.reads):
            unread[value] -= 1
            if not unread[value]:
                ahead.discard(value)
        ahead.update(value for value in step.gives if unread.get(value))
        if len(ahead) == 1:
            yield next(iter(ahead)), weighted
            weighted = False
