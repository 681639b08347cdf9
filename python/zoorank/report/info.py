"""What this installation is and can do, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text


def info_table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """Draw groups of facts, what is missing last in its words."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for group, facts in found.items():
        table.add_row(Text(group, "bold not dim"), "")
        for name, value in facts.items():
            table.add_row(f"  {name.replace('_', ' ')}", Text(_shown(value)))
    return table


def _shown(value: Any) -> str:
    if value is None:
        return "not installed"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
