"""Encodings that several cuts of a source have in common.

The last block of many networks, pooled, is the penultimate cut. Each cut keeps its row, for
whoever counts on it, but there is one encoding, and it counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from zoorank.ranking.ranking import RankRow

if TYPE_CHECKING:
    from zoorank.encoding.plan import Encoding


def firsts_of(encodings: Iterable[Encoding]) -> dict[str, str]:
    """Of each cut that repeats an earlier one of the same source, which cut that is."""
    first: dict[str, str] = {}
    repeats = {}
    for encoding in encodings:
        earlier = first.setdefault(encoding.content or encoding.cut, encoding.cut)
        if earlier != encoding.cut:
            repeats[encoding.cut] = earlier
    return repeats


def told(row: RankRow, first: str | None) -> RankRow:
    """The row, with a note where its encoding is that of another cut."""
    if first is None:
        return row
    note = f"the same encoding as at {first}, to the last bit"
    return replace(row, same_as=first, note="; ".join(filter(None, (row.note, note))))


def distinct(rows: Sequence[RankRow]) -> list[RankRow]:
    """Leave out what repeats another of these rows."""
    there = {(row.model, row.cut) for row in rows}
    return [row for row in rows if row.same_as is None or (row.model, row.same_as) not in there]


def are_one(row: RankRow, other: RankRow) -> bool:
    """Whether two rows are of one encoding."""
    return row.model == other.model and (row.same_as or row.cut) == (other.same_as or other.cut)
