"""Where in a TOML text a key is given its value; ``tomllib`` does not tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoorank.sources.toml import SyntaxFault, parse


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
    path = path[: _depth(parse(text), path)]
    if not path:
        return None
    # A beginning of the text parses when it ends with a statement, and what it holds stays.
    lines = text.split("\n")
    without, within = 0, len(lines)
    while True:
        middle = (without + within) // 2
        nearest = (*range(middle, without, -1), *range(middle + 1, within))
        parsed = ((end, _parse(lines[:end])) for end in nearest)
        end, content = next((each for each in parsed if each[1] is not None), (None, None))
        if end is None:  # one statement lies between
            return without + 1
        if _depth(content, path) == len(path):
            within = end
        else:
            without = end


def _parse(lines: Sequence[str]) -> dict[str, Any] | None:
    try:
        return parse("\n".join(lines))
    except SyntaxFault:
        return None


def _depth(content: Any, path: Sequence[str | int]) -> int:
    for depth, part in enumerate(path):
        if isinstance(content, list):
            content = dict(enumerate(content))
        if not isinstance(content, Mapping) or part not in content:
            return depth
        content = content[part]
    return len(path)
