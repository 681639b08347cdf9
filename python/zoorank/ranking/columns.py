"""What a row says beside its scores: an entry of `FACTS` is a column wherever rankings are shown.

The table of a terminal, report.html with its chart of costs, CSV files and data frames read it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from zoorank.ranking.rows import RankRow

Unit = Literal["number", "count", "bytes", "milliseconds", "share", "words"]


@dataclass(frozen=True)
class Fact:
    """A column.

    Attributes
    ----------
    key : str
        What CSV files and data frames call it.
    heading, name : str
        In few letters, and where no column stands below it.
    meaning : str
        For who does not know what the name means.
    unit : {"number", "count", "bytes", "milliseconds", "share", "words"}
    of : callable
        The value of a row; None where it is not known.
    is_cost : bool
        Whether less of it is better, and scores are drawn against it.
    is_detail : bool
        Whether it is left out of a narrow table before a score is.
    """

    key: str
    heading: str
    name: str
    meaning: str
    unit: Unit
    of: Callable[[RankRow], Any]
    is_cost: bool = True
    is_detail: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers."""
        return self.unit in ("number", "count", "bytes")


FACTS = (
    Fact(
        "dim",
        "dim",
        "dim",
        "numbers in an encoding",
        "number",
        lambda row: row.dim,
        is_cost=False,
        is_detail=False,
    ),
    Fact(
        "parameters_kept",
        "params",
        "parameters kept",
        "parameters of what is kept",
        "count",
        lambda row: row.parameters_kept,
        is_detail=False,
    ),
    Fact(
        "milliseconds",
        "ms",
        "milliseconds a sample",
        "milliseconds for a sample, as measured in this run",
        "milliseconds",
        lambda row: row.facts.milliseconds,
    ),
    Fact(
        "flops",
        "FLOPs",
        "FLOPs",
        "operations for a sample, up to the cut",
        "count",
        lambda row: row.facts.flops,
    ),
    Fact(
        "bytes",
        "size",
        "size",
        "bytes of what is kept",
        "bytes",
        lambda row: row.facts.bytes,
    ),
    Fact(
        "memory",
        "memory",
        "memory",
        "bytes that the source took at most while it ran, all its cuts",
        "bytes",
        lambda row: row.facts.memory,
    ),
    Fact(
        "accuracy",
        "published",
        "published accuracy",
        "published accuracy",
        "share",
        lambda row: row.facts.accuracy,
        is_cost=False,
    ),
    Fact(
        "licence",
        "licence",
        "licence",
        "of the weights",
        "words",
        lambda row: row.facts.licence or None,
        is_cost=False,
    ),
)
