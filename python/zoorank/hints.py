"""Words for messages of one line: what was probably meant, and what there is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_SHOWN = 24
_TERMINAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def hint(name: str, allowed: Iterable[str]) -> str:
    """Say which name was probably meant and which ones exist.

    Examples
    --------
    >>> hint("penultimat", ["penultimate", "all"])
    "did you mean 'penultimate'? allowed: penultimate, all"
    """
    names = list(dict.fromkeys(allowed))
    return f"{guess(name, names)}allowed: {listing(names) or 'none'}"


def guess(name: str, names: Iterable[str]) -> str:
    """Say which name was probably meant, with a space after it; nothing when none is near.

    Examples
    --------
    >>> guess("penultimat", ["penultimate", "all"]), guess("layer4", ["all"])
    ("did you mean 'penultimate'? ", '')
    """
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def listing(names: Iterable[str], shown: int = _SHOWN) -> str:
    """Join names, the first few in full and the rest as a count.

    Examples
    --------
    >>> listing(["a", "b", "c"], shown=2)
    'a, b and 1 more'
    """
    every = list(names)
    if len(every) <= shown:
        return ", ".join(every)
    return f"{', '.join(every[:shown])} and {len(every) - shown} more"


def one_line(error: BaseException, limit: int = 300) -> str:
    """Flatten an exception's message to one line of bounded length, without escapes."""
    words = " ".join(_TERMINAL.sub("", str(error)).split())
    text = "".join(filter(str.isprintable, words)) or type(error).__name__
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
