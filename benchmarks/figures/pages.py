"""Finds measured figures on a page, tables by a marker and sentences by their words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

# The marker in a line of its own, and the table below it.
TABLE = re.compile(r"^(<!-- figures: (.*) -->\n+)((?:\|.*\n)*)", re.MULTILINE)
HOLE = re.compile(r"\{[^{}]*\}")
NUMBER = r"(?<![\d.,])([+-]?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?%?)"


@dataclass(frozen=True)
class Sentence:
    """Words of a page that hold figures.

    Attributes
    ----------
    page : str
        Path from the root of the project.
    words : str
        As on the page, wherever its lines break, with a hole for each figure: a field of
        ``str.format``, which says how it is rounded.
    figures : callable
        What belongs into the holes.
    """

    page: str
    words: str
    figures: Callable[[], Iterable[object]]

    def as_measured(self, text: str) -> str:
        """The text of the page with these figures as they were measured.

        Raises
        ------
        ValueError
            If the words are not on the page, or more than once.
        """
        pattern = NUMBER.join(re.escape(part) for part in HOLE.split(self.words))
        matches = list(re.finditer(pattern.replace(r"\ ", r"\s+"), text))
        if len(matches) != 1:
            raise ValueError(f"{self.page} has these words {len(matches)} times: {self.words}")
        holes = zip(HOLE.findall(self.words), self.figures(), strict=True)
        for place, (hole, figure) in reversed(list(enumerate(holes, 1))):
            begin, end = matches[0].span(place)
            text = text[:begin] + hole.format(figure) + text[end:]
        return text


def tables_as_measured(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """The text of a page with its tables as they were measured.

    Raises
    ------
    ValueError
        If a marker names no table.
    """

    def measured(match: re.Match[str]) -> str:
        marker, name, _ = match.groups()
        if name not in tables:
            raise ValueError(f"no table is called {name}; there are {', '.join(tables)}")
        return marker + tables[name]()

    return TABLE.sub(measured, text)
