"""One job can only fail itself, whatever it raises."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from zoorank.errors import SourceError, StoreError
from zoorank.executors.base import STOPPED, Event, Failure, Limits, LocalExecutor


@dataclass(frozen=True)
class Job:
    name: str
    error: BaseException | None = None


class UnsayableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("even that")


class Outsider(BaseException):
    """Derives from no Exception."""


def work(shared: str, job: Job, emit) -> str:
    emit(Event(job.name, "opening"))
    if job.error is not None:
        raise job.error
    return shared + job.name


def run(*jobs: Job, on_event=lambda event: None):
    return list(LocalExecutor().run(work, "done ", jobs, on_event))


def deep() -> RecursionError:
    def down(n: int) -> int:
        return down(n + 1) + 1

    with pytest.raises(RecursionError) as caught:
        down(0)
    return caught.value


@pytest.mark.parametrize(
    ("error", "reason", "kind"),
    [
        (SourceError("no weights"), "no weights", "error"),
        (KeyError("layer4"), "KeyError: 'layer4'", "error"),
        (AssertionError(), "AssertionError", "error"),
        (SystemExit(3), "its code ended the program (SystemExit: 3)", "error"),
        (SystemExit("bye"), "its code ended the program (SystemExit: bye)", "error"),
        (GeneratorExit(), "GeneratorExit", "error"),
        (StopIteration(), "StopIteration", "error"),
        (Outsider("x"), "Outsider: x", "error"),
        (UnsayableError(), "UnsayableError", "error"),
        (MemoryError(), "MemoryError", "memory"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad\x1b[31m"),
            "UnicodeDecodeError: ",
            "error",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_a_job_raises_is_its_failure(error, reason, kind):
    before, (_, failure), after = run(Job("a"), Job("b", error), Job("c"))
    assert (before[1], after[1]) == ("done a", "done c")
    assert isinstance(failure, Failure)
    assert failure.reason.startswith(reason)
    assert failure.reason.isprintable()
    assert failure.kind == kind
    assert "raise job.error" in failure.traceback


def test_a_traceback_is_of_bounded_length():
    error = ValueError("x" * 100_000)
    ((_, failure),) = run(Job("a", error))
    assert len(failure.reason) < 400
    assert len(failure.traceback) < 30_000
    ((_, failure),) = run(Job("a", deep()))
    assert failure.reason.startswith("RecursionError: ")
    assert len(failure.traceback) < 30_000


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StoreError("full")])
def test_what_ends_the_run(error):
    with pytest.raises(type(error)):
        run(Job("a", error), Job("b"))


def test_events_come_as_they_happen_and_jobs_are_pulled_one_by_one():
    log: list[str] = []

    def jobs():
        for name in "ab":
            log.append(f"pulled {name}")
            yield Job(name)

    events = LocalExecutor().run(work, "", jobs(), lambda event: log.append(f"event {event.job}"))
    log.extend(f"ended {job.name}" for job, _ in events)
    assert log == ["pulled a", "event a", "ended a", "pulled b", "event b", "ended b"]


def test_how_long_a_job_may_be_silent():
    limits = Limits()
    assert limits.silence("opening", 1.0) == limits.opening
    assert limits.silence("encoding", 0.5) == 15
    assert limits.silence("encoding", 3.0) == 60
    assert limits.silence("scoring", 3.0) == float("inf")


def test_at_the_deadline_what_runs_is_ended_and_nothing_begins():
    began: list[str] = []

    def slow(shared, job, emit):
        began.append(job.name)
        while True:
            try:
                emit(Event(job.name, "encoding", 1, 9))
            except Exception:  # noqa: BLE001 - of a source that catches all there is
                continue
            time.sleep(0.01)

    end = time.monotonic() + 0.1
    run = LocalExecutor().run(slow, "", [Job("a"), Job("b")], lambda _: None, end)
    assert [(job.name, outcome) for job, outcome in run] == [("a", STOPPED)]
    assert began == ["a"]
    assert list(LocalExecutor().run(slow, "", [Job("a")], lambda _: None, end)) == []


def test_no_job_for_now_ends_a_run_in_which_nothing_else_runs():
    assert [job.name for job, _ in run(Job("a"), None, Job("b"))] == ["a"]
