"""Fills measured figures into a page: a table below its mark, a single figure between two."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

# The mark in a line of its own, and the table below it, with the empty lines around it.
TABLE = re.compile(r"^(<!-- figures: (.*) -->\n)\n*((?:\|.*\n)*)\n*", re.MULTILINE)
FIGURE = re.compile(r"(<!--=([^<>]*)-->)(.*?)(<!--/-->)", re.DOTALL)

T = TypeVar("T")
Tables = Mapping[str, Callable[[], str]]
Figures = Mapping[str, str]


def as_measured(text: str, tables: Tables, figures: Figures) -> str:
    """The text of a page with its tables and figures as they were measured.

    Parameters
    ----------
    text : str
        Markdown. A table stands below the line ``<!-- figures: NAME -->``, a figure between
        ``<!--=NAME-->`` and ``<!--/-->``.
    tables, figures : mapping
        By name.

    Raises
    ------
    ValueError
        If a mark names nothing that was measured.
    """

    def table(match: re.Match[str]) -> str:
        mark, name, _ = match.groups()
        after = "" if match.end() == len(text) else "\n"  # or the next line would be a row
        return f"{mark}\n{_named('table', name, tables)()}{after}"

    def figure(match: re.Match[str]) -> str:
        begin, name, _, end = match.groups()
        return begin + _named("figure", name, figures) + end

    return FIGURE.sub(figure, TABLE.sub(table, text))


def names_on(text: str) -> tuple[list[str], list[str]]:
    """Names of the tables and of the figures on a page."""
    tables = [name for _, name, _ in TABLE.findall(text)]
    return tables, [name for _, name, _, _ in FIGURE.findall(text)]


def _named(kind: str, name: str, known: Mapping[str, T]) -> T:
    if name not in known:
        raise ValueError(f"no {kind} is called {name}; there are {', '.join(known)}")
    return known[name]
