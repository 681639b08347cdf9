"""What does it cost to run a source in a process of its own, and to remember what came of it?

Jobs that do next to nothing, so that what is left is the executor's: processor time of this
process and of those that it started, per job. Their results are compared with those of the
same jobs in this process. Then the ledger and the store: a source of three cuts and five
scores each, recorded, looked up, its encodings written by row and found again unchanged.

    python benchmarks/isolation.py
"""

import resource
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from _common import arguments, finish

from zoorank.executors.base import Event, LocalExecutor
from zoorank.executors.workers import WorkerExecutor
from zoorank.store.encodings import EncodingStore
from zoorank.store.ledger import Key, Ledger, LedgerEntry

CUTS, SCORES = ("layer1", "layer2", ""), ("silhouette", "logme", "hscore", "knn", "")


@dataclass(frozen=True)
class Job:
    name: str
    number: int


def main(argv=None):
    chosen = arguments(__doc__, argv)
    many, few = (20, 2) if chosen.quick else (2000, 10)
    rows, wrong = [], []
    for case, number, executor in cases(many, few):
        row, right = run_jobs(case, number, executor)
        rows.append(row)
        wrong += [] if right else [case]
    sources, samples = (5, 100) if chosen.quick else (2000, 1000)
    for case, row, right in [*ledger_cases(sources), *store_cases(sources // 10 or 1, samples)]:
        rows.append({"case": case, **row})
        wrong += [] if right else [case]
    finish(rows, "isolation", chosen.out)
    return f"wrong: {', '.join(wrong)}" if wrong else 0


def cases(many, few):
    yield "in this process", many, lambda: nullcontext(LocalExecutor())
    yield "one process", many, lambda: WorkerExecutor(1, threads=1)
    yield "two processes", many, lambda: WorkerExecutor(2, threads=1)
    yield "a process each", few, lambda: WorkerExecutor(1, threads=1, jobs=1)
    yield "a process each, torch", few, lambda: WorkerExecutor(1, threads=1, jobs=1, prepare=load)


def load(_threads):
    import torch  # noqa: F401 - what it costs is measured


def work(offset, job, emit):
    emit(Event(job.name, "opening"))
    emit(Event(job.name, "encoding", 1, 1))
    return np.arange(3) + offset + job.number


def run_jobs(case, number, make):
    jobs = [Job(f"job {i}", i) for i in range(number)]
    right = {job.name: job.number + 5 for job in jobs}
    before, began = spent(), time.perf_counter()
    with make() as executor:
        found = {job.name: result for job, result in executor.run(work, 5, jobs, lambda _: None)}
    seconds = time.perf_counter() - began
    here, there = (after - earlier for after, earlier in zip(spent(), before, strict=True))
    row = {
        "case": case,
        "number": number,
        "milliseconds_here": 1e3 * here / number,
        "milliseconds_there": 1e3 * there / number,
        "seconds": seconds,
    }
    return row, {name: int(result[0]) for name, result in found.items()} == right


def ledger_cases(number):
    keys = [
        [Key(f"source {i}", "target", cut, score) for cut in CUTS for score in SCORES]
        for i in range(number)
    ]
    outcomes = [
        {key: LedgerEntry(i / 7, per_class=(i / 3,) * 10) for key in each}
        for i, each in enumerate(keys)
    ]
    with tempfile.TemporaryDirectory() as folder, Ledger(folder) as ledger:
        _, row = timed(lambda: [ledger.record(each) for each in outcomes], number)
        yield "recorded in the ledger", row, True
        ledger.close()
        found, row = timed(
            lambda: [ledger.outcomes(f"source {i}", "target") for i in range(number)], number
        )
        yield "found in the ledger", row, found == outcomes


def store_cases(number, samples):
    X = np.random.default_rng(0).normal(size=(samples, 512)).astype(np.float32)
    order = np.random.default_rng(1).permutation(samples)
    batches = [order[i : i + 32] for i in range(0, samples, 32)]

    def write(key):
        with store.writer(key, *X.shape) as writer:
            for rows in batches:
                writer.write(rows, X[rows])
            writer.commit({})

    with tempfile.TemporaryDirectory() as folder:
        store = EncodingStore(folder)
        _, row = timed(lambda: [write(f"{i:032x}") for i in range(number)], number)
        yield "written by row", row, True
        for case in ("found and read through", "found again"):
            found, row = timed(lambda: [store.load(f"{i:032x}") for i in range(number)], number)
            yield case, row, all(np.array_equal(each, X) for each in found)


def timed(call, number):
    before, began = spent(), time.perf_counter()
    value = call()
    here = spent()[0] - before[0]
    row = {
        "number": number,
        "milliseconds_here": 1e3 * here / number,
        "milliseconds_there": 0.0,
        "seconds": time.perf_counter() - began,
    }
    return value, row


def spent():
    """Processor seconds of this process, and of its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return [usage.ru_utime + usage.ru_stime for usage in usages]


if __name__ == "__main__":
    sys.exit(main())
