"""A ranking while it runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from zoorank.ranking.progress import Silent
from zoorank.report.figures import seconds
from zoorank.report.table import FAILED

if TYPE_CHECKING:
    from zoorank.ranking import Progress, RankRow, TargetFacts

PLAIN_INTERVAL = 10.0


def progress(
    *, quiet: bool = False, console: Console | None = None
) -> AbstractContextManager[Progress]:
    """Choose how to show a run.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    console : rich.console.Console, optional
        Where to; standard error by default, so that standard output holds results
        alone.

    Returns
    -------
    context manager
        Gives what :func:`zoorank.rank` takes as ``progress``.

    Examples
    --------
    >>> with progress(quiet=True) as watcher:
    ...     watcher.encoding("lite0", 64, 1797)
    """
    if quiet:
        return nullcontext(Silent())
    console = console or Console(stderr=True)
    return LiveProgress(console) if console.is_terminal else nullcontext(PlainProgress(console))


class LiveProgress:
    """Bars for sources and samples with the time left, a line for each source done.

    Parameters
    ----------
    console : rich.console.Console
    """

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("{task.description}", style="bold"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=console,
            transient=True,
            speed_estimate_period=600.0,
        )
        self._all = TaskID(0)
        self._one = TaskID(0)
        self._model = ""
        self._done = 0

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def started(self, target: TargetFacts, models: Sequence[str]) -> None:
        """Draw both bars."""
        self._bars.print(_opening(target, models))
        self._all = self._bars.add_task("all sources", total=len(models), unit="sources")
        self._one = self._bars.add_task("", total=None, unit="samples", visible=False)

    def round(self, number: int, rounds: int, rows: int, models: Sequence[str]) -> None:
        """Start the bar of the sources again, for those that go on."""
        self._bars.print(_round(number, rounds, rows, models))
        self._done, self._model = 0, ""
        text = f"round {number} of {rounds}"
        self._bars.reset(self._all, total=len(models), description=text)

    def encoding(self, model: str, done: int, total: int) -> None:
        """Move both bars."""
        if model != self._model:
            self._model = model
            self._bars.reset(self._one, total=total, description=escape(model), visible=True)
        self._bars.update(self._one, completed=done)
        self._bars.update(self._all, completed=self._done + done / total)

    def scoring(self, model: str, cut: str) -> None:
        """Say which cut is being scored."""
        text = f"{escape(model)}, scoring {escape(cut)}"
        self._bars.update(self._one, description=text, visible=True)

    def finished(self, model: str, rows: Sequence[RankRow]) -> None:
        """Leave a line about the source above the bars."""
        self._done += 1
        self._bars.update(self._one, visible=False)
        self._bars.update(self._all, completed=self._done)
        self._bars.print(outcome(model, rows))


class PlainProgress:
    """A line when a source is done, and one now and then while it runs.

    Parameters
    ----------
    console : rich.console.Console
    interval : float
        Seconds between lines about the same source.
    """

    def __init__(self, console: Console, interval: float = PLAIN_INTERVAL) -> None:
        self._console = console
        self._interval = interval
        self._last = time.monotonic()
        self._done = 0
        self._total = 0

    def started(self, target: TargetFacts, models: Sequence[str]) -> None:
        """Print what is about to be done."""
        self._total = len(models)
        self._line(_opening(target, models))

    def round(self, number: int, rounds: int, rows: int, models: Sequence[str]) -> None:
        """Print who goes on."""
        self._done, self._total = 0, len(models)
        self._line(_round(number, rounds, rows, models))

    def encoding(self, model: str, done: int, total: int) -> None:
        """Print how far the source is, if the last line is old enough."""
        if time.monotonic() - self._last >= self._interval:
            self._line(Text(f"{self._place(1)} {model}: {done} of {total} samples encoded"))

    def scoring(self, model: str, cut: str) -> None:
        """Print which cut is scored, if the last line is old enough."""
        if time.monotonic() - self._last >= self._interval:
            self._line(Text(f"{self._place(1)} {model}: scoring {cut}"))

    def finished(self, model: str, rows: Sequence[RankRow]) -> None:
        """Print what became of the source."""
        self._done += 1
        self._line(Text.assemble(f"{self._place(0)} ", outcome(model, rows)))

    def _place(self, ahead: int) -> str:
        return f"[{self._done + ahead}/{self._total}]"

    def _line(self, text: Text) -> None:
        self._last = time.monotonic()
        self._console.print(text, soft_wrap=True)


def outcome(model: str, rows: Sequence[RankRow]) -> Text:
    """Say in a line what became of a source."""
    scored = [row for row in rows if row.score is not None]
    if not scored:
        reason = "; ".join(dict.fromkeys(row.note for row in rows))
        return Text.assemble((model, FAILED), f": failed: {reason}")
    # All cuts share one pass; the deepest is charged with all of it.
    spent = max((row.encode_seconds or 0.0 for row in scored if not row.reused), default=0.0)
    reused = sum(row.reused for row in scored)
    cuts = f"{len(scored)} cut{'s' if len(scored) > 1 else ''}"
    parts = [cuts, f"{reused} from the store" if reused else ""]
    parts += [f"encoded in {seconds(spent)} s" if reused < len(scored) else ""]
    failed = len(rows) - len(scored)
    parts += [f"{failed} failed" if failed else ""]
    return Text.assemble((model, "bold"), ": ", ", ".join(filter(None, parts)))


def _opening(target: TargetFacts, models: Sequence[str]) -> Text:
    return Text(f"{_sources(models)} for {target.n_samples} samples of {target.name}")


def _round(number: int, rounds: int, rows: int, models: Sequence[str]) -> Text:
    return Text(f"round {number} of {rounds}: {_sources(models)} on {rows} samples")


def _sources(models: Sequence[str]) -> str:
    return "1 source" if len(models) == 1 else f"{len(models)} sources"
