"""What does a ranking of thousands of sources cost beside what their networks and scores do?

Generated networks of some thousand weights, a table of some hundred rows, two cuts each, through
`rank` with one worker process that has one thread. What the networks and scores take by
themselves is what a plain loop in one process takes for the same: build the network, run it
over all rows with hooks at the cuts, compute the scores. Both must give the same scores. The
rest of the processor time, of the parent and of the processes it starts, is zoorank's own. Then
the same call again, which finds everything done.

The bars: 40 ms of processor time a source, the parent grows by less than 100 MB from the first
source to the end, and the second call is done within 10 s.

    python benchmarks/many_sources.py
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _common import arguments, finish, in_own_process, resident

from zoorank.ranking.consensus import deciding_scores
from zoorank.ranking.rank import rank
from zoorank.ranking.work import Silent
from zoorank.scores import Facts, compute

SOURCES, ROWS, FEATURES, CLASSES, BATCH = 2000, 400, 16, 5, 32
MOST_MILLISECONDS, MOST_MB, MOST_SECONDS = 40.0, 100.0, 10.0
CUTS = ("1", "penultimate")

CODE = """
from torch import nn


def net(width):
    return nn.Sequential(
        nn.Linear(16, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    )
"""
ENTRY = """
[[model]]
name = "net{i}"
factory = "generated_nets:net"
arguments = {{ width = {width} }}
weights = {{ random = {{ seed = {i} }} }}
"""


def width_of(i):
    return 24 + i % 16


def write_zoo(folder, number):
    (folder / "generated_nets.py").write_text(CODE)
    top = f'batch_size = {BATCH}\npreprocessing = {{ input = "table", scaling = "none" }}\n'
    entries = (ENTRY.format(i=i, width=width_of(i)) for i in range(number))
    (folder / "zoo.toml").write_text(top + "".join(entries))
    rng = np.random.default_rng(0)
    y = rng.integers(CLASSES, size=ROWS)
    X = rng.normal(size=(ROWS, FEATURES)) + 2.0 * np.eye(FEATURES)[y]
    np.savez(folder / "target.npz", X=X.astype(np.float32), y=y)


class Watch(Silent):
    """Remembers what this process held when its first source was done."""

    held = None

    def finished(self, model, rows):
        self.held = self.held or resident("VmRSS")


def ranked(folder):
    """One ranking: its scores, and what it cost."""
    before, began, watch = spent(), time.perf_counter(), Watch()
    ranking = rank(
        folder / "zoo.toml",
        folder / "target.npz",
        cuts=CUTS,
        workers=1,
        out=folder / "out",
        allow_code=folder,
        progress=watch,
    )
    seconds = time.perf_counter() - began
    here, there = (after - earlier for after, earlier in zip(spent(), before, strict=True))
    grown = (resident("VmHWM") - watch.held) / 1e6
    found = {(row.model, row.cut): dict(row.scores) for row in ranking if row.status == "ok"}
    return found, {"here": here, "there": there, "seconds": seconds, "grown_mb": grown}


def plain(folder, number):
    """The same networks and scores in a loop."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    sys.path.insert(0, str(folder))
    import generated_nets

    with np.load(folder / "target.npz") as target:
        X, y = torch.from_numpy(target["X"]), target["y"].astype(str)
    scores = deciding_scores(None, None)[1]
    compute(scores, Facts(y, X.numpy()), n_threads=1)  # what is imported is no source's
    found, began = {}, time.process_time()
    for i in range(number):
        torch.manual_seed(i)
        net = generated_nets.net(width_of(i)).eval()
        linears = [each for each in net if isinstance(each, nn.Linear)]
        caught = {"1": [], "penultimate": []}
        net[1].register_forward_hook(lambda _m, _i, out, to=caught["1"]: to.append(out))
        linears[-1].register_forward_pre_hook(
            lambda _m, given, to=caught["penultimate"]: to.append(given[0])
        )
        with torch.inference_mode():
            for start in range(0, len(X), BATCH):
                net(X[start : start + BATCH])
        for cut, parts in caught.items():
            encoding = torch.cat(parts).numpy()
            values = compute(scores, Facts(y, encoding), n_threads=1).values
            found[f"net{i}", cut] = {key: value.value for key, value in values.items()}
    return found, time.process_time() - began


def spent():
    """Processor seconds of this process, and of its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return [usage.ru_utime + usage.ru_stime for usage in usages]


def main(argv=None):
    chosen = arguments(__doc__, argv)
    number = 20 if chosen.quick else SOURCES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_zoo(folder, number)
        right, own = in_own_process(plain, folder, number)
        rows, wrong = [], []
        for case in ("first", "again"):
            found, row = in_own_process(ranked, folder)
            wrong += [case] if differ(found, right) else []
            beside = row["here"] + row["there"] - (own if case == "first" else 0.0)
            rows.append(
                {
                    "case": case,
                    "sources": number,
                    "own_ms": 1e3 * own / number,
                    "here_ms": 1e3 * row["here"] / number,
                    "there_ms": 1e3 * row["there"] / number,
                    "beside_ms": 1e3 * beside / number,
                    "seconds": row["seconds"],
                    "grown_mb": row["grown_mb"],
                }
            )
    finish(rows, "many_sources", chosen.out)
    first, again = rows
    if wrong:
        return f"other scores than those of a plain loop: {', '.join(wrong)}"
    holds = first["beside_ms"] <= MOST_MILLISECONDS and first["grown_mb"] <= MOST_MB
    holds &= again["seconds"] <= MOST_SECONDS
    return 0 if holds or chosen.quick else "a bar is missed"


def differ(found, right):
    """Whether scores of the loop and of the ranking differ by more than rounding."""
    return found.keys() != right.keys() or any(
        abs(found[row][key] - value) > 1e-6 * max(1.0, abs(value))
        for row, values in right.items()
        for key, value in values.items()
    )


if __name__ == "__main__":
    sys.exit(main())
