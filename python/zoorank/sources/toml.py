"""TOML, from the standard library where it has it, and the line that a key stands on."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from zoorank.messages import one_line

_toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

# No record needs as many; the work of the parser grows with the square of the parts.
_MOST_PARTS, _DEEPEST = 16, 64
# Strings and comments are skipped whole; all else is read a letter or a word at a time.
_TOKEN = re.compile(
    r"""
    (?P<skipped> \"{3} [^"\\]* (?: (?: \\. | "{1,2} (?!") ) [^"\\]* )* "{3,5}
      | '{3} .*? '{3,5}
      | " [^"\\\n]* (?: \\. [^"\\\n]* )* "
      | ' [^'\n]* '
      | \# [^\n]* )
    | (?P<word> [\w\ \t+-]+ ) | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)


class NotTomlError(ValueError):
    """The text is no TOML, or nests deeper than any record needs."""


class _Statement(NamedTuple):
    line: int
    text: str


class _Placed(NamedTuple):
    """What one statement says, below the table that it stands in."""

    line: int
    above: tuple[str | int, ...]
    content: Mapping[str, Any]


def parse(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises
    ------
    NotTomlError
        With the line.

    Examples
    --------
    >>> parse("a.b = [1, 2]")
    {'a': {'b': [1, 2]}}
    """
    for _ in _statements(text):  # refuses what would take the parser long
        pass
    return _parse(text)


def _parse(text: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = _toml.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5000 digits is a ValueError
        raise NotTomlError(one_line(error)) from None
    return content


def find_line(text: str, path: Sequence[str | int]) -> int | None:
    r"""Find the line that brings in a key, or as much of the way to it as there is.

    Parameters
    ----------
    text : str
        Valid TOML.
    path : sequence of str or int
        Keys from the top level inwards; entries of an array count from 0.

    Returns
    -------
    int or None
        From 1; None where not even the first part of the path is there.

    Examples
    --------
    >>> text = 'data = "d"\n[[model]]\nname = "a"\n\n[[model]]\nname = 1'
    >>> find_line(text, ("model", 1, "name")), find_line(text, ("model", 1, "weights"))
    (6, 5)
    """
    deepest, line = 0, None
    for placed in _places(text):
        depth = _common(placed.above, path)
        if depth == len(placed.above):
            depth += _depth(placed.content, path[depth:])
        if depth > deepest:
            deepest, line = depth, placed.line
    return line


@lru_cache(maxsize=1)
def _places(text: str) -> tuple[_Placed, ...]:
    # Every statement is valid TOML by itself, for the whole is.
    above: tuple[str | int, ...] = ()
    entries: dict[tuple[str | int, ...], int] = {}
    found = []
    for statement in _statements(text):
        content: Any = _parse(statement.text)
        if statement.text.startswith("["):
            above = ()
            while content:
                ((name, content),) = content.items()
                above = (*above, name)
                if isinstance(content, list):  # [[name]] begins an entry
                    entries[above] = entries.get(above, -1) + 1
                    content = {}
                if above in entries:
                    above = (*above, entries[above])
            content = {}
        found.append(_Placed(statement.line, above, content))
    return tuple(found)


def _statements(text: str) -> Iterator[_Statement]:
    """Cut a text into statements, and refuse one with a key or brackets that are too deep."""
    line, begun, start, depth, parts = 1, 1, 0, 0, 0
    for token in _TOKEN.finditer(text):
        sign = token["sign"]
        if sign == "\n" and depth == 0:
            if statement := text[start : token.start()].strip():
                yield _Statement(begun, statement)
            begun, start, parts = line + 1, token.end(), 0
        elif sign is not None:
            depth = max(0, depth + (sign in "[{") - (sign in "]}"))
            parts = parts + 1 if sign == "." else 0
        if parts > _MOST_PARTS:
            raise NotTomlError(f"more than {_MOST_PARTS} parts in a key (at line {line})")
        if depth > _DEEPEST:
            raise NotTomlError(f"more than {_DEEPEST} brackets in each other (at line {line})")
        line += token[0].count("\n")
    if statement := text[start:].strip():
        yield _Statement(begun, statement)


def _common(one: Sequence[str | int], other: Sequence[str | int]) -> int:
    pairs = zip(one, other, strict=False)
    return next((depth for depth, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _depth(content: Any, path: Sequence[str | int]) -> int:
    for depth, part in enumerate(path):
        if isinstance(content, list):
            content = dict(enumerate(content))
        if not isinstance(content, Mapping) or part not in content:
            return depth
        content = content[part]
    return len(path)
