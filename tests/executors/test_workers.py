"""A job in a process of its own can only fail itself, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytest.importorskip("psutil", reason="worker processes need psutil: pip install 'zoorank[zoo]'")

import psutil
from tests.executors import jobs
from tests.executors.jobs import Job, work

from zoorank.errors import StoreError, ZoorankError
from zoorank.executors import watch
from zoorank.executors.base import STOPPED, Event, Failure, Limits
from zoorank.executors.workers import WorkerExecutor, cores

SHORT = Limits(timeout=1.0)


def outcomes(executor, *todo, on_event=lambda event: None):
    found = {job.name: outcome for job, outcome in executor.run(work, "s", todo, on_event)}
    assert list(found) == [job.name for job in todo] or executor.workers > 1
    return found


def one(executor, does, given=None):
    return outcomes(executor, Job("a", does, given))["a"]


def wait_for(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def executor():
    before = set(psutil.Process().children())
    with WorkerExecutor(1, SHORT) as made:
        yield made
    assert set(psutil.Process().children()) <= before


ENDS = [
    ("raise", KeyError("layer4"), "error", "KeyError: 'layer4'", "in _raise"),
    ("refuse", None, "error", "no weights", "SourceError"),
    ("raise", KeyboardInterrupt(), "error", "KeyboardInterrupt", "in _raise"),
    ("raise", MemoryError(), "memory", "MemoryError", "in _raise"),
    ("exit", 3, "error", "its code ended the program (SystemExit: 3)", "SystemExit"),
    ("end", 0, "crash", "its code ended the process (exit code 0)", ""),
    ("end", 3, "crash", "its code ended the process (exit code 3)", ""),
    ("abort", None, "crash", "its process crashed (SIGABRT)", "in <lambda>"),
    ("segfault", None, "crash", "its process crashed (SIGSEGV)", "in string_at"),
    ("kill", None, "crash", "its process was killed", ""),
    ("kill the group", None, "crash", "its process was killed", ""),
    ("sleep", 600, "timeout", "not done after 1 s, its limit", "in work"),
    ("late sleep", 600, "timeout", "not done after 1 s, its limit", "in work"),
    ("spin", None, "timeout", "not done after 1 s, its limit", "in _spin"),
    ("hold the interpreter", None, "timeout", "not done after 1 s", "in _hold_the_interpreter"),
    ("ignore signals", None, "timeout", "not done after 1 s", "in _ignore_signals"),
    ("stop", None, "timeout", "not done after 1 s", ""),
    ("close all", None, "crash", "its code cut the line to the process that runs it", ""),
    ("write rubbish", None, "crash", "its code cut the line to the process that runs it", ""),
    ("give a lock", None, "error", "TypeError: cannot pickle", "_thread.lock"),
    ("give what cannot be read", None, "crash", "its code cut the line", ""),
]


@pytest.mark.parametrize(("does", "given", "kind", "reason", "trace"), ENDS)
def test_whatever_a_job_does_the_others_go_on(executor, does, given, kind, reason, trace):
    found = outcomes(executor, Job("before", given=1), Job("bad", does, given), Job("after"))
    assert found["before"] == ("s", "before", 1)
    assert found["after"] == ("s", "after", None)
    failure = found["bad"]
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.reason[: len(reason)]) == (kind, reason)
    assert trace in failure.traceback


def test_what_cannot_be_sent_fails_alone(executor):
    found = outcomes(executor, Job("bad", given=threading.Lock()), Job("good"))
    assert found["bad"].reason.startswith("TypeError: cannot pickle")
    assert found["good"] == ("s", "good", None)
    found = outcomes(executor, Job("bad", given=jobs.Unreadable()), Job("good"))
    assert found["bad"].kind == "error"
    assert found["good"] == ("s", "good", None)


def test_a_full_disk_ends_the_run(executor):
    with pytest.raises(StoreError, match="no space left"):
        outcomes(executor, Job("a", "fill the disk"), Job("b"))
    assert one(executor, "nothing", 1) == ("s", "a", 1)


def test_a_disk_that_is_full_for_one_job_alone_ends_no_run(executor):
    found = outcomes(executor, Job("a", "limit and fill the disk", 1000), Job("b", given=1))
    assert (found["a"].kind, found["a"].reason) == ("error", "no space left")
    assert found["b"] == ("s", "b", 1)


def test_what_a_forked_copy_gives_is_nobodys(executor):
    assert one(executor, "fork and return") == ("s", "a", False)
    assert one(executor, "nothing", 2) == ("s", "a", 2)


def test_events_come_in_order_and_from_the_thread_that_asks(executor):
    events = []
    threads = set()

    def on_event(event):
        events.append(event)
        threads.add(threading.get_ident())

    outcomes(executor, Job("a", "late nothing"), Job("b"), on_event=on_event)
    assert events == [Event("a", "opening"), Event("a", "encoding", 1, 4), Event("b", "opening")]
    assert threads == {threading.get_ident()}


def test_what_is_printed_goes_nowhere_and_its_end_is_kept(executor, capfd):
    found = outcomes(executor, Job("a", "print", 10**6), Job("b", "end", 1))
    assert found["a"] == ("s", "a", None)
    assert "descriptor" not in found["b"].traceback
    assert capfd.readouterr() == ("", "")
    failure = outcomes(executor, Job("a", "print and end"))["a"]
    assert failure.traceback.splitlines()[-1] == "from a child"
    assert len(failure.traceback) < 20_000


def test_two_at_a_time_and_each_its_share_of_the_cores():
    names = ["OMP_NUM_THREADS", "ZOORANK_NUM_THREADS", "MORE"]
    with WorkerExecutor(2, threads=3, environment={"MORE": "1"}) as executor:
        todo = [Job(f"{i}", "sleep and give the process", 0.5) for i in range(4)]
        began = time.monotonic()
        found = outcomes(executor, *todo)
        assert time.monotonic() - began < 2.0 + 1.5  # in turn it would be 2 s and the start
        assert len({outcome[2] for outcome in found.values()}) == 2
        assert one(executor, "environment", names)[2] == ["3", "3", "1"]
    assert 1 <= cores() <= os.cpu_count()


@pytest.mark.parametrize(
    ("said", "taken"), [("1", "1"), (" 2,1", "2"), ("", ""), ("0", ""), ("many", ""), ("²", "")]
)
def test_a_number_of_threads_in_the_environment_holds_for_all_libraries(monkeypatch, said, taken):
    # torch takes MKL_NUM_THREADS before OMP_NUM_THREADS.
    for name in ("MKL_NUM_THREADS", "ZOORANK_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "5")
    names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "ZOORANK_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
    shared = taken or str(cores())
    with WorkerExecutor(1) as executor:
        assert one(executor, "environment", names)[2] == [said, shared, shared, "5"]
        assert executor.threads == int(shared)


def test_jobs_are_pulled_as_places_free_up():
    log = []

    def todo():
        for name in "abc":
            log.append(f"pulled {name}")
            yield Job(name)

    with WorkerExecutor(1) as executor:
        log.extend(f"ended {job.name}" for job, _ in executor.run(work, "", todo(), log.append))
    assert [each for each in log if isinstance(each, str)] == [
        f"{what} {name}" for name in "abc" for what in ("pulled", "ended")
    ]


def test_at_the_deadline_the_processes_that_work_are_ended(tmp_path):
    places = [tmp_path / name for name in "ab"]
    todo = [Job("done", given=1), *(Job(p.name, "touch", str(p)) for p in places), Job("late")]
    with WorkerExecutor(2) as executor:
        one(executor, "nothing")
        run = executor.run(work, "s", todo, lambda event: None, time.monotonic() + 5.0)
        found = dict(run)
        assert {job.name: each for job, each in found.items()} == {
            "done": ("s", "done", 1), "a": STOPPED, "b": STOPPED,
        }  # fmt: skip
        for place in places:
            assert is_gone(int(place.read_text()))
        assert one(executor, "nothing", 2) == ("s", "a", 2)


def test_a_job_may_wait_for_the_end_of_another():
    ended = []

    def todo():
        yield Job("first", "sleep", 0.3)
        while not ended:
            yield None
        yield Job("second", given=ended[0])

    with WorkerExecutor(2) as executor:
        for _, outcome in executor.run(work, "s", todo(), lambda event: None):
            ended.append(outcome)
    assert ended == [("s", "first", None), ("s", "second", ended[0])]


def survive(number, every, workers=2):
    """A run in which every so manieth job is bad, each in another way."""
    ways = [(does, given, kind) for does, given, kind, *_ in ENDS if does != "stop"]
    ways += [("fill", 2**34, "memory"), ("fork a daemon and end", None, "crash")]
    todo, bad = [], {}
    before = set(psutil.Process().children(recursive=True))
    with TemporaryDirectory() as folder:
        for i in range(number):
            does, given, kind = ways[i // every % len(ways)]
            if i % every:
                todo.append(Job(str(i), "process"))
                continue
            given = f"{folder}/{i}" if does == "fork a daemon and end" else given
            todo.append(Job(str(i), does, given))
            bad[str(i)] = kind
        limits = Limits(timeout=4.0, memory=2**29)
        with WorkerExecutor(workers, limits) as executor:
            found = outcomes(executor, *todo)
    assert set(found) == {job.name for job in todo}
    failed = {name: each for name, each in found.items() if isinstance(each, Failure)}
    assert {name: each.kind for name, each in failed.items()} == bad
    assert all(each.reason.isprintable() for each in failed.values())
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.mark.slow
def test_every_second_job_is_bad():
    survive(46, every=2)


@pytest.mark.long
def test_every_tenth_job_is_bad_and_there_are_many():
    survive(1500, every=10, workers=3)


class TestLimits:
    def test_a_job_that_does_nothing_hangs(self):
        with WorkerExecutor(1, Limits(stall=1.0, opening=60.0)) as executor:
            failure = one(executor, "sleep", 600)
            assert failure.kind == "timeout"
            assert failure.reason.startswith("it hangs: nothing done for ")
            assert failure.reason.endswith(" s while opening")
            assert "in work" in failure.traceback

    def test_a_job_that_is_busy_hangs_when_it_encodes_nothing(self):
        with WorkerExecutor(1, Limits(stall=1.0, opening=2.0)) as executor:
            failure = one(executor, "late spin")
            assert failure.reason.startswith("it hangs: no progress for ")
            assert failure.reason.endswith(" s while encoding")
            failure = one(executor, "spin")
            assert failure.reason.startswith("it hangs: no progress for ")
            assert failure.reason.endswith(" s while opening")

    def test_reading_and_writing_is_no_silence_before_it_encodes(self, tmp_path):
        with WorkerExecutor(1, Limits(stall=1.0, opening=1.0)) as executor:
            assert not isinstance(one(executor, "load", (str(tmp_path / "file"), 4.0)), Failure)
            failure = one(executor, "late load", (str(tmp_path / "file"), 30.0))
            assert failure.reason.startswith("it hangs: no progress for ")

    def test_a_process_that_gets_no_time_is_not_to_blame(self, monkeypatch):
        monkeypatch.setattr(watch, "_SHARE", 1e6)
        with WorkerExecutor(1, Limits(stall=1.0)) as executor:
            assert not isinstance(one(executor, "late spin", 3.0), Failure)
            assert one(executor, "late spin").reason.startswith("it hangs: no progress for ")

    def test_the_longest_silence_so_far_is_the_measure(self):
        with WorkerExecutor(1, Limits(stall=0.2, factor=20.0)) as executor:
            assert not isinstance(one(executor, "beat", (0.1, 0.1, 0.1, 1.0)), Failure)
            failure = one(executor, "beat", (0.01, 0.01, 0.01, 5.0))
            assert failure.reason.startswith("it hangs")

    def test_memory(self):
        limit = 500 * 2**20
        with WorkerExecutor(1, Limits(memory=limit)) as executor:
            assert not isinstance(one(executor, "fill", 300 * 2**20), Failure)
            failure = one(executor, "fill", 2**33)
            assert failure.kind == "memory"
            assert one(executor, "fill", 300 * 2**20) == ("s", "a", 18)

    def test_memory_of_children(self):
        before = set(psutil.Process().children(recursive=True))
        with WorkerExecutor(1, Limits(memory=500 * 2**20)) as executor:
            failure = one(executor, "fill in children", 900 * 2**20)
            assert failure.kind == "memory"
            assert failure.reason.endswith("and 500 MiB is its limit")
        assert set(psutil.Process().children(recursive=True)) <= before

    def test_the_greatest_goes_when_the_machine_has_no_memory(self, monkeypatch):
        total = 200 * 2**20
        monkeypatch.setattr(watch, "spare_memory", lambda: (0, total))
        with WorkerExecutor(2) as executor:
            todo = [Job("small", "sleep", 1.0), Job("great", "fill and sleep", 2**27)]
            found = outcomes(executor, *todo)
            assert found["small"] == ("s", "small", None)
            assert found["great"].kind == "memory"
            assert found["great"].reason.endswith(" when the memory of the machine had run out")
            # What others have taken is no job's fault.
            total = 2**60
            assert not isinstance(one(executor, "sleep", 0.5), Failure)

    def test_what_memory_there_is(self):
        spare, total = watch.spare_memory()
        assert 0 < spare <= total <= psutil.virtual_memory().total

    def test_a_caller_that_was_away_blames_nobody(self):
        with WorkerExecutor(1, Limits(stall=1.0, timeout=1.5, opening=1.0)) as executor:
            found = outcomes(
                executor, Job("a", "late sleep", 3.1), on_event=lambda event: time.sleep(1.5)
            )
            assert found == {"a": ("s", "a", None)}


class TestWear:
    @pytest.mark.parametrize(
        ("does", "given"),
        [
            ("directory", None),
            ("variable", None),
            ("mask", 0o27),
            ("signal", None),
            ("default", "float64"),
            ("grow", 2**26),
            ("open", 100),
            ("leave a child", None),
            ("thread", None),
            ("thread of a timer", 0.3),
            ("alarm", 1),
            ("limit", 1000),
            ("nice", 1),
            ("close output", None),
            ("no output", None),
            ("warnings", None),
            ("print nothing", None),
            ("profile", None),
            ("keep garbage", None),
        ],
    )
    def test_a_process_that_a_job_changed_takes_no_other(self, does, given):
        limits = Limits(memory=2**28 + 2**27)
        with WorkerExecutor(1, limits, state=jobs.state) as executor:
            names = [Job("0", "process"), Job("1", does, given), Job("2", "process")]
            found = outcomes(executor, *names, Job("3", "process"))
        assert not isinstance(found["1"], Failure)
        assert found["0"] != found["2"]
        assert found["2"][2] == found["3"][2]

    def test_what_does_no_harm_costs_no_process(self):
        names = [
            Job("first", "process"),
            Job("variable", "new variable"),
            Job("path", "path"),
            Job("refused", "refuse"),
            Job("pool", "idle pool"),
            Job("end later", "end later", 0.3),
            Job("wait", "sleep", 0.6),
            Job("last", "process"),
            Job("arguments", "arguments"),
        ]
        with WorkerExecutor(1, state=jobs.state) as executor:
            found = outcomes(executor, *names)
        assert found["first"][2] == found["last"][2]
        path, core = found["arguments"][2]
        assert "/nowhere" not in path
        assert core == 0

    def test_after_so_many_jobs_there_is_a_new_one(self):
        with WorkerExecutor(1, jobs=2) as executor:
            found = outcomes(executor, *(Job(str(i), "process") for i in range(4)))
        pids = [outcome[2] for outcome in found.values()]
        assert pids[0] == pids[1] != pids[2] == pids[3]

    def test_processes_are_prepared_once_and_kept_between_runs(self):
        with WorkerExecutor(1, threads=2, prepare=jobs.prepare) as executor:
            first = one(executor, "process"), one(executor, "prepared")
            assert first[1][2] == [2]
            assert (one(executor, "process"), one(executor, "prepared")) == first

    def test_a_process_that_cannot_start_says_why(self):
        with (
            WorkerExecutor(1, threads=2, prepare=jobs.prepare_badly) as executor,
            pytest.raises(ZoorankError, match="ImportError: no module for 2 threads") as caught,
        ):
            one(executor, "nothing")
        assert "\n" not in str(caught.value)


class TestNobodyIsLeft:
    @pytest.mark.parametrize("does", ["fork a daemon", "start hiding"])
    def test_daemons_end_with_the_job(self, tmp_path, does):
        with WorkerExecutor(1) as executor:
            one(executor, does, str(tmp_path / "pid"))
            pid = int((tmp_path / "pid").read_text())
            assert is_gone(pid)

    def test_daemons_end_with_a_crash(self, tmp_path):
        with WorkerExecutor(1) as executor:
            failure = one(executor, "fork a daemon and end", str(tmp_path / "pid"))
            assert failure.kind == "crash"
            assert is_gone(int((tmp_path / "pid").read_text()))

    @pytest.mark.parametrize("closed_before", [True, False])
    def test_a_run_that_is_given_up_ends_its_jobs(self, tmp_path, closed_before):
        place = tmp_path / "pid"

        def give_up(event):
            if event.job == "b":
                wait_for(lambda: place.exists() and place.read_text())
                raise RuntimeError("enough")

        with WorkerExecutor(2) as executor:
            todo = [Job("a"), Job("b", "touch", str(place))]
            with pytest.raises(RuntimeError, match="enough"):
                outcomes(executor, *todo, on_event=give_up)
            assert is_gone(int(place.read_text()))
            assert one(executor, "nothing", 1) == ("s", "a", 1)
            run = executor.run(work, "s", [Job("a"), Job("b", "sleep", 60)], lambda event: None)
            next(run)
            if closed_before:
                executor.close()
            run.close()
            assert one(executor, "nothing", 2) == ("s", "a", 2)

    def test_an_executor_that_is_forgotten_ends_its_processes(self):
        executor = WorkerExecutor(1)
        pid = one(executor, "process")[2]
        assert not is_gone(pid)
        del executor
        assert is_gone(pid)

    PROGRAM = """
import sys
from dataclasses import dataclass
from tests.executors import jobs
from zoorank.executors.workers import WorkerExecutor

@dataclass(frozen=True)
class Mine(jobs.Job):
    "Of the program itself, which the process that works has to import."

def prepare(threads):
    "Of the program, too."

def main():
    with WorkerExecutor(1, prepare=prepare) as executor:
        todo = [Mine("a", sys.argv[1], sys.argv[2]), Mine("b", sys.argv[3], sys.argv[4])]
        for job, outcome in executor.run(jobs.work, "", todo, print):
            print(job.name, outcome, flush=True)

if __name__ == "__main__":
    main()
"""

    def start(self, tmp_path, *arguments, **options):
        program = tmp_path / "program.py"
        program.write_text(self.PROGRAM)
        return subprocess.Popen(
            [sys.executable, program, *arguments],
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    @pytest.mark.parametrize("does", ["touch", "touch and hold the interpreter"])
    def test_the_end_of_the_caller_is_that_of_all(self, tmp_path, how, does):
        daemon, worker = tmp_path / "daemon", tmp_path / "worker"
        (tmp_path / "here").mkdir()
        (tmp_path / "here" / "numpy.py").write_text("raise SystemExit('of the working directory')")
        process = self.start(
            tmp_path, "nothing", "1", f"fork a daemon and {does}", f"{daemon} {worker}",
            cwd=tmp_path / "here",
        )  # fmt: skip
        wait_for(lambda: worker.exists() and worker.read_text(), 30.0)
        began = time.monotonic()
        process.send_signal(how)
        output, error = process.communicate(timeout=10)
        assert time.monotonic() - began < 1.0
        wait_for(lambda: is_gone(int(worker.read_text())), 2.0)
        wait_for(lambda: is_gone(int(daemon.read_text())), 2.0)
        assert "a ('', 'a', '1')" in output
        if how == signal.SIGINT:
            assert error.splitlines()[-1] == "KeyboardInterrupt"
        else:
            assert error == ""

    def test_the_end_of_the_caller_is_that_of_who_hides(self, tmp_path):
        daemon, worker = tmp_path / "daemon", tmp_path / "worker"
        process = self.start(
            tmp_path, "nothing", "1", "start hiding and touch", f"{daemon} {worker}"
        )
        wait_for(lambda: worker.exists() and worker.read_text(), 30.0)
        process.kill()
        process.communicate(timeout=10)
        wait_for(lambda: is_gone(int(daemon.read_text())), 2.0)
