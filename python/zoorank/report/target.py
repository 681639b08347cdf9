"""What a target is, for people."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from zoorank.messages import inert
from zoorank.targets.summary import Summary

_MOST_CLASSES = 20


def target_table(summary: Summary) -> RenderableType:
    """Draw size, classes, examples, and what was left out."""
    parts: list[RenderableType] = [_head(summary), Text()]
    if summary.numbers is not None:
        numbers = summary.numbers
        parts.append(
            Text(
                f"labels: numbers from {numbers.minimum:.4g} to {numbers.maximum:.4g}, "
                f"half of them from {numbers.lower:.4g} to {numbers.upper:.4g}, "
                f"median {numbers.median:.4g}"
            )
        )
    else:
        parts.append(_classes(summary))
    parts += [Text(), _examples(summary)]
    if summary.notes:
        parts += [Text(), *(Text(f"note: {inert(note)}") for note in summary.notes)]
    return Group(*parts)


def _head(summary: Summary) -> Text:
    size = f"{summary.samples} samples"
    if summary.rows != summary.samples:
        size = f"{summary.samples} sentences, {summary.rows} words"
    groups = "" if summary.groups is None else f", {summary.groups} groups"
    classes = f", {len(summary.classes)} classes" if summary.classes else ", numbers to predict"
    kind = f"{summary.modality} {summary.shape}"
    return Text.assemble((inert(summary.name), "bold"), f": {kind}, {size}{classes}{groups}")


def _classes(summary: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("class", overflow="fold")
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    rows = list(summary.classes.items())
    for name, count in rows[:_MOST_CLASSES]:
        table.add_row(Text(inert(name)), str(count), f"{count / summary.rows:.1%}")
    if rest := rows[_MOST_CLASSES:]:
        left = sum(count for _, count in rest)
        table.add_row(f"{len(rest)} more", str(left), f"{left / summary.rows:.1%}", style="dim")
    return table


def _examples(summary: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("row", justify="right", no_wrap=True)
    table.add_column("label", overflow="fold")
    table.add_column("example", overflow="fold")
    for example in summary.examples:
        table.add_row(str(example.row), Text(inert(example.label)), Text(inert(example.sample)))
    return table
