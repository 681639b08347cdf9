"""How much sooner do two worker processes rank a zoo than one, and than one process of two threads?

Four networks that take some seconds each, by the wall: one worker of one thread, two workers of
one thread each, and no worker but two threads. All ways in turns, each in a process of its own;
they must give the same scores. Series need no preparing; photos are prepared on a thread of their
own beside the passes, and by each worker for itself. A machine that others use gives no such
figure: the cores that a way got, its processor time by the wall, stand beside it. Ends with 77
where nothing can be measured.

    python benchmarks/workers.py
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _common import arguments, finish, in_own_process
from _given import ROOT, photos, series
from end_to_end import MEAN, STD

SOURCES, PHOTOS, SERIES = 4, 160, 4500
WAYS = {"one worker": (1, 1), "two workers": (2, 1), "two threads": (None, 2)}
LITE = """
[[model]]
name = "lite0 {i}"
factory = "efficientnet_lite_pytorch:EfficientNet.from_name"
arguments = {{ model_name = "efficientnet-lite0", image_size = 224 }}
weights.random = {{ seed = {i} }}
[model.preprocessing]
input = "image"
size = 224
fit = "crop"
interpolation = "bicubic"
scaling = 255
mean = {mean}
std = {std}
"""
FCN = """
[[model]]
name = "{name}"
factory = "fcn:FCN"
arguments_from_weights = {{ n_classes = "final.bias" }}
weights.file = "{file}"
preprocessing = {{ input = "series", scaling = "standardize" }}
"""


def main(argv=None):
    chosen = arguments(__doc__, argv)
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: one core")
        return 77
    rows, wrong = [], []
    for case, write in (("series", write_series), ("photos", write_photos)):
        with tempfile.TemporaryDirectory() as folder:
            data = write(Path(folder), chosen.quick)
            if data is None:
                print(f"skipped: what {case} need is not here")
                continue
            runs = {way: [] for way in WAYS}
            for number in range(chosen.rounds):
                for way, (workers, threads) in WAYS.items():
                    for library in ("OMP", "OPENBLAS"):
                        os.environ[f"{library}_NUM_THREADS"] = str(threads)
                    asked = folder, str(data), f"{folder}/{way} {number}", workers
                    runs[way].append(in_own_process(ranked, *asked))
        rows += [{"case": case, **row} for row in rows_of(runs)]
        wrong += [f"{case}, {way}" for way in differing(runs)]
    if not rows:
        return 77
    finish(rows, "workers", chosen.out)
    return f"other scores than those of one worker: {'; '.join(wrong)}" if wrong else 0


def write_photos(folder, quick):
    given = photos(folder / "photos", quick)
    if given is None:
        return None
    for extra in sorted(Path(given["folder"]).glob("*/*.jpg"))[PHOTOS:]:
        extra.unlink()
    numbers = range(2 if quick else SOURCES)
    text = "".join(LITE.format(i=i, mean=MEAN, std=STD) for i in numbers)
    (folder / "zoo.toml").write_text(text)
    return given["folder"]


def write_series(folder, quick):
    given = series(folder, quick, rows=SERIES)
    if given is None:
        return None
    np.savez(folder / "target.npz", X=given["X"], y=given["y"])
    files = given["files"][:SOURCES]
    text = "".join(FCN.format(name=Path(file).stem, file=file) for file in files)
    (folder / "zoo.toml").write_text(text)
    return folder / "target.npz"


def rows_of(runs):
    wall = {way: statistics.median(run["wall_s"] for run in found) for way, found in runs.items()}
    return [
        {
            "way": way,
            "sources": len(found[0]["scores"]),
            "wall_s": wall[way],
            "processor_s": statistics.median(run["processor_s"] for run in found),
            "cores_got": statistics.median(run["processor_s"] / run["wall_s"] for run in found),
            "times_faster": wall["one worker"] / wall[way],
        }
        for way, found in runs.items()
    ]


def ranked(folder, data, store, workers):
    """One ranking, and what it took: worker processes that have ended count too."""
    from zoorank import rank

    before, began = spent(), time.perf_counter()
    asked = {"cuts": "penultimate", "workers": workers, "device": "cpu", "store": store}
    ranking = rank(f"{folder}/zoo.toml", data, allow_code=ROOT / "examples" / "ucr", **asked)
    wall = time.perf_counter() - began
    scores = {row.model: dict(row.scores) for row in ranking if row.status == "ok"}
    return {"wall_s": wall, "processor_s": spent() - before, "scores": scores}


def spent():
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def differing(runs):
    """Ways whose scores are not those of one worker; two threads add up in another order."""
    first = runs["one worker"][0]["scores"]
    return [
        way for way, found in runs.items() if any(differ(run["scores"], first) for run in found)
    ]


def differ(scores, others):
    return scores.keys() != others.keys() or any(
        abs(value - others[model][key]) > 1e-3 * max(1.0, abs(value))
        for model, values in scores.items()
        for key, value in values.items()
    )


if __name__ == "__main__":
    sys.exit(main())
