"""TOML, from the standard library where it has it."""

from __future__ import annotations

import importlib
import sys
from typing import Any

_toml: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

SyntaxFault: type[ValueError] = _toml.TOMLDecodeError


def parse(text: str) -> dict[str, Any]:
    """Parse TOML; a `SyntaxFault` names line and column."""
    content: dict[str, Any] = _toml.loads(text)
    return content
