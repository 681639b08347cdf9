"""A ranking while it runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from zoorank.messages import inert, listing
from zoorank.ranking.work import Silent
from zoorank.report.figures import seconds, significant
from zoorank.report.table import FAILED, FILTERED
from zoorank.scores import TABLE

if TYPE_CHECKING:
    from zoorank.ranking import Progress as Watcher
    from zoorank.ranking import RankRow, TargetFacts

PLAIN_INTERVAL = 10.0
RUNNING = 8  # sources that the live display has bars for, however many workers there are


def progress(
    *, quiet: bool = False, console: Console | None = None
) -> AbstractContextManager[Watcher]:
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


class Tally:
    """What has become of the sources so far, of a race those of its round."""

    def __init__(self) -> None:
        self.total = self.done = self.failed = 0
        self.running: dict[str, str] = {}
        self.leader: RankRow | None = None

    def start(self, sources: int) -> None:
        """Begin with so many sources; who leads leads on."""
        self.total, self.done, self.failed, self.running = sources, 0, 0, {}

    def finish(self, model: str, rows: Sequence[RankRow]) -> None:
        """Count a source that is done, and see whether one of its cuts leads."""
        self.running.pop(model, None)
        if any(row.status == "sampled" for row in rows):  # it may go on to all rows
            return
        self.done += 1
        scored = [row for row in rows if row.score is not None]
        self.failed += not scored and any(row.status == "failed" for row in rows)
        if scored:
            _, more_is_better = _first_score(scored[0])
            scored += [] if self.leader is None else [self.leader]
            order = max if more_is_better else min
            self.leader = order(scored, key=lambda row: row.score or 0.0)

    def in_words(self) -> str:
        """How many are done and how many of them failed."""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done} of {self.total} done{failed}"

    def leader_in_words(self) -> str:
        """Who leads by the first score, which need not be the one that decides."""
        row = self.leader
        if row is None or row.score is None:
            return ""
        place = f"{inert(row.model)}, {inert(row.cut)}" if row.cut else inert(row.model)
        label, _ = _first_score(row)
        return f"{place} leads by {label}, {significant(row.score)}"


class LiveProgress:
    """A bar for all sources with the time left, one for each that runs, and who leads.

    A line for each source that is done stays above.

    Parameters
    ----------
    console : rich.console.Console
    """

    def __init__(self, console: Console) -> None:
        self._tally = Tally()
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}", markup=False),
            TimeRemainingColumn(compact=True),
            TextColumn("left", markup=False),
            console=console,
            auto_refresh=False,
            speed_estimate_period=600.0,
        )
        self._live = Live(
            console=console,
            get_renderable=self._drawn,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._all = TaskID(0)
        self._one: dict[str, TaskID] = {}

    def __enter__(self) -> Watcher:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def started(self, target: TargetFacts, models: Sequence[str]) -> None:
        """Draw the bar of all sources."""
        self._tally.start(len(models))
        self._line(_opening(target, models))
        words = self._tally.in_words()
        self._all = self._bars.add_task("sources", total=len(models), state=words)

    def remark(self, text: str) -> None:
        """Leave a line above the bars."""
        self._line(Text(inert(text)))

    def round(self, number: int, rounds: int, rows: int, models: Sequence[str]) -> None:
        """Start the bar of the sources again, for those that go on."""
        self._tally.start(len(models))
        self._line(_round(number, rounds, rows, models))
        text = f"round {number} of {rounds}"
        self._bars.reset(
            self._all, total=len(models), description=text, state=self._tally.in_words()
        )

    def encoding(self, model: str, done: int, total: int) -> None:
        """Move the bar of the source, and that of all."""
        self._tally.running[model] = f"{done}/{total}"
        self._move(model, total=total, completed=done, state=f"{done} of {total} samples")
        running = sum(map(self._share, self._one.values()))
        self._bars.update(self._all, completed=self._tally.done + running)

    def scoring(self, model: str, cut: str) -> None:
        """Say which cut is being scored."""
        self._move(model, state=f"scoring {inert(cut)}")

    def finished(self, model: str, rows: Sequence[RankRow]) -> None:
        """Leave a line about the source above the bars."""
        if model in self._one:
            self._bars.remove_task(self._one.pop(model))
            for task in [*self._one.values()][:RUNNING]:
                self._bars.update(task, visible=True)
        self._tally.finish(model, rows)
        self._bars.update(self._all, completed=self._tally.done, state=self._tally.in_words())
        self._line(outcome(model, rows))

    def _move(self, model: str, **fields: object) -> None:
        if model not in self._one:
            self._one[model] = self._bars.add_task(
                f"  {inert(model, 40)}", total=None, state="", visible=len(self._one) < RUNNING
            )
        self._bars.update(self._one[model], **fields)  # type: ignore[arg-type]

    def _share(self, task: TaskID) -> float:
        found = next(each for each in self._bars.tasks if each.id == task)
        return found.percentage / 100 if found.total else 0.0

    def _drawn(self) -> Group:
        leader = self._tally.leader_in_words()
        return Group(self._bars, *([Text(leader, "dim")] if leader else []))

    def _line(self, text: Text) -> None:
        self._live.console.print(text, soft_wrap=True)


class PlainProgress:
    """A line when a source is done, and one now and then about those that run.

    Parameters
    ----------
    console : rich.console.Console
    interval : float
        Seconds between lines about sources that run.
    """

    def __init__(self, console: Console, interval: float = PLAIN_INTERVAL) -> None:
        self._console = console
        self._interval = interval
        self._last = time.monotonic()
        self._tally = Tally()

    def started(self, target: TargetFacts, models: Sequence[str]) -> None:
        """Print what is about to be done."""
        self._tally.start(len(models))
        self._line(_opening(target, models))

    def remark(self, text: str) -> None:
        """Print it."""
        self._line(Text(inert(text)))

    def round(self, number: int, rounds: int, rows: int, models: Sequence[str]) -> None:
        """Print who goes on."""
        self._tally.start(len(models))
        self._line(_round(number, rounds, rows, models))

    def encoding(self, model: str, done: int, total: int) -> None:
        """Print how far the sources are, if the last line is old enough."""
        self._tally.running[model] = f"{done} of {total} samples encoded"
        self._now_and_then()

    def scoring(self, model: str, cut: str) -> None:
        """Print how far the sources are, if the last line is old enough."""
        self._tally.running[model] = f"scoring {inert(cut)}"
        self._now_and_then()

    def finished(self, model: str, rows: Sequence[RankRow]) -> None:
        """Print what became of the source."""
        self._tally.finish(model, rows)
        place = f"[{self._tally.done}/{self._tally.total}] "
        self._line(Text.assemble(place, outcome(model, rows)))

    def _now_and_then(self) -> None:
        if time.monotonic() - self._last < self._interval:
            return
        running = [f"{inert(model)}: {state}" for model, state in self._tally.running.items()]
        leader = self._tally.leader_in_words()
        parts = [f"{self._tally.in_words()}; {listing(running, RUNNING)}", leader]
        self._line(Text("; ".join(filter(None, parts))))

    def _line(self, text: Text) -> None:
        self._last = time.monotonic()
        self._console.print(text, soft_wrap=True)


def outcome(model: str, rows: Sequence[RankRow]) -> Text:
    """Say in a line what became of a source."""
    scored = [row for row in rows if row.score is not None]
    if not scored:
        reason = "; ".join(dict.fromkeys(row.note for row in rows))
        sampled = [row for row in rows if row.status == "sampled"]
        if sampled:
            return Text.assemble((inert(model), "bold"), f": on a sample of {sampled[0].rows} rows")
        if all(row.status == "filtered" for row in rows):
            return Text.assemble((inert(model), FILTERED), f": filtered: {inert(reason)}")
        return Text.assemble((inert(model), FAILED), f": failed: {inert(reason)}")
    # All cuts share one pass; the deepest is charged with all of it.
    spent = max((row.encode_seconds or 0.0 for row in scored if not row.reused), default=0.0)
    reused = sum(row.reused for row in scored)
    cuts = f"{len(scored)} cut{'s' if len(scored) > 1 else ''}"
    parts = [cuts, f"{reused} from the store" if reused else ""]
    parts += [f"encoded in {seconds(spent)} s" if reused < len(scored) else ""]
    for status in ("filtered", "failed"):
        found = sum(row.status == status for row in rows)
        parts += [f"{found} {status}" if found else ""]
    return Text.assemble((inert(model), "bold"), ": ", ", ".join(filter(None, parts)))


def _first_score(row: RankRow) -> tuple[str, bool]:
    """What the score of a row is called while others run, and whether more of it is better."""
    key = next((key for key, value in row.scores.items() if value == row.score), "score")
    known = next((score for score in TABLE if score.key == key), None)
    return (key, True) if known is None else (known.label, known.higher_is_better)


def _opening(target: TargetFacts, models: Sequence[str]) -> Text:
    return Text(f"{_sources(models)} for {target.n_samples} samples of {inert(target.name)}")


def _round(number: int, rounds: int, rows: int, models: Sequence[str]) -> Text:
    return Text(f"round {number} of {rounds}: {_sources(models)} on {rows} samples")


def _sources(models: Sequence[str]) -> str:
    return "1 source" if len(models) == 1 else f"{len(models)} sources"
