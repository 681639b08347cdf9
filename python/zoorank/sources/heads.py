"""What a model's output says and what feeds that, whatever records how its values are made."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, Literal, NamedTuple, TypeVar

from zoorank.messages import listing

V = TypeVar("V", bound=Hashable)

# "same" and "view" give the numbers that they read; "mean" averages positions and "peak" takes
# their greatest; "linear" is a sum or a multiple of what it reads; "product" and "convolution"
# are by trained weights.
Kind = Literal[
    "same", "view", "mean", "peak", "linear", "product", "convolution", "softmax", "other"
]


class NoCutError(ValueError):
    """A model has no such place; the message says why."""


class Made(NamedTuple, Generic[V]):
    """How a value is made.

    Attributes
    ----------
    kind : Kind
    reads : tuple
        Values that depend on the input.
    what : str
        The operator, for messages.
    """

    kind: Kind
    reads: tuple[V, ...]
    what: str


class Head(NamedTuple, Generic[V]):
    """The end of a model; of what it has not, the reason.

    Attributes
    ----------
    penultimate, logits : value or NoCutError
    """

    penultimate: V | NoCutError
    logits: V | NoCutError


def find_head(made: Mapping[V, Made[V]], output: V) -> Head[V]:
    """Find what a model gives before any softmax, and what feeds the last linear map to that.

    Parameters
    ----------
    made : mapping
        How each value is made; the input is not among them.
    output : hashable

    Returns
    -------
    Head
        Of a model that ends with no linear map, the output itself is the penultimate value.

    Examples
    --------
    >>> made = {"l": Made("product", ("x",), "MatMul"), "y": Made("softmax", ("l",), "Softmax")}
    >>> find_head(made, "y")
    Head(penultimate='x', logits='l')
    """
    end = made.get(_back(made, output, "same", "view"))
    softmax = end is not None and end.kind == "softmax"
    logits = end.reads[0] if end is not None and softmax else output
    feeds = _feeds(made, logits)
    if not feeds:
        no_classifier = NoCutError(
            f"its output {output!r} is no linear map's: it has no classifier"
        )
        if not softmax:
            return Head(output, no_classifier)
        maker = made.get(_back(made, logits, "same", "view"))
        what = "an input" if maker is None else f"the output of {maker.what}"
        reason = f"its softmax reads {what} and no linear map's; name a value"
        return Head(NoCutError(reason), no_classifier)
    if len(feeds) > 1:
        names = listing(sorted(map(repr, feeds)))
        several = f"its output is made of several linear maps, of {names}; name a value"
        return Head(NoCutError(several), before_copies(made, logits))
    return Head(next(iter(feeds)), before_copies(made, logits))


def before_copies(made: Mapping[V, Made[V]], value: V) -> V:
    """Give the same value as it was before casts and copies."""
    return _back(made, value, "same")


def _back(made: Mapping[V, Made[V]], value: V, *kinds: Kind) -> V:
    while value in made and made[value].kind in kinds and made[value].reads:
        value = made[value].reads[0]
    return value


def _feeds(made: Mapping[V, Made[V]], value: V, averaged: bool = False) -> frozenset[V]:
    """What the linear maps read whose sum, or whatever else is linear, a value is.

    Empty where something else than a linear map goes into it. A convolution counts where its
    positions are averaged behind it, or were pooled before.
    """
    if value not in made:
        return frozenset()
    kind, reads, _ = made[value]
    if kind in ("product", "convolution"):
        read = before_copies(made, reads[0])
        before = made.get(_back(made, read, "same", "view"))
        pooled = before is not None and before.kind in ("mean", "peak")
        counts = kind == "product" or averaged or pooled
        return frozenset((read,)) if counts else frozenset()
    if kind not in ("same", "view", "mean", "linear"):
        return frozenset()
    found = [_feeds(made, each, averaged or kind == "mean") for each in reads]
    return frozenset().union(*found) if found and all(found) else frozenset()
