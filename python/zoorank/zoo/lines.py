"""Where in a TOML text an entry begins; ``tomllib`` does not tell."""

from __future__ import annotations

import re
from collections.abc import Sequence

from zoorank.zoo.toml import SyntaxFault, parse


def find_line(text: str, table: str | None, number: int, key: str | None) -> int | None:
    r"""Find the line of a key in the ``number``-th ``[[table]]``, or of that entry's header.

    Parameters
    ----------
    text : str
        Valid TOML.
    table : str or None
        Name of an array of tables; None for the keys above the first table.
    number : int
        Which entry, from 1.
    key : str or None
        First part of the key; None for the header.

    Returns
    -------
    int or None
        From 1; None where it cannot be told.

    Examples
    --------
    >>> find_line('data = "d"\n[[model]]\nname = "a"\n[[model]]\nname = 1', "model", 2, "name")
    5
    """
    lines = text.splitlines()
    start = 0
    if table is not None:
        header = re.compile(rf"\s*\[\[\s*{re.escape(table)}\s*\]\]")
        found = [i for i, line in enumerate(lines) if header.match(line) and _is_code(lines, i)]
        if number > len(found):
            return None
        start = found[number - 1] + 1
    if key is not None:
        named = re.compile(rf"\s*(\[\s*{table}\s*\.\s*)?[\"']?{re.escape(key)}[\"']?\s*[.=\]]")
        inner = re.compile(rf"\s*\[\s*{table}\s*\.")
        for i in range(start, len(lines)):
            if re.match(r"\s*\[", lines[i]) and not inner.match(lines[i]) and _is_code(lines, i):
                break
            if named.match(lines[i]) and _is_code(lines, i):
                return i + 1
    return start or None


def _is_code(lines: Sequence[str], i: int) -> bool:
    # Within a string or an array over several lines, what comes before is not valid TOML.
    try:
        parse("\n".join(lines[:i]))
    except SyntaxFault:
        return False
    return True
