"""How fast is the engine on a CUDA device, against the device's limits and torch?

Every time is the median of several runs, and counts only if the answer is right: some
rows are compared with float64 silhouettes from differences. A problem of which each pair
of rows is multiplied once takes n²d operations; split into three products of bfloat16 it
takes 3n²d, and that over the measured rate of bfloat16 products is the bound that a time
is held against.

The parts are named on the command line, so that each can have a time limit of its own:

limits    the device's own: products, multiply-adds, a copy
exact     Euclidean, 100 000 x 768 with every kernel and 1 000 000 x 512 with the fastest
slower    the latter with the next
estimate  the same with method="estimate"
torch     the best two ways to do it in torch, on the same device, and torch's own limits
encode    a truncated network and the score of its encodings, with and without copies
accuracy  errors where rows are correlated, as encodings after a ReLU are, and features many
closed    squared Euclidean and cosine
bits      the bits of four runs of every kernel

``--out DIR`` appends rows to DIR/gpu_check.csv. Without a usable device, or without torch in
a part that needs it, the program says so and ends with 77.
"""

import argparse
import csv
import functools
import hashlib
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import zoorank
from zoorank.engine import cuda
from zoorank.engine.throughput import definition, make_problem, sample_rows

FIELDS = (
    "card", "question", "n", "d", "classes", "kernel", "seconds", "bound_seconds", "share_of_bound",
    "tera_operations_per_second", "error", "note",
)  # fmt: skip
ALLOWED = 5e-6
NOTHING_TO_RUN_ON = 77

# The two problems of the table; --quick takes small ones, to see whether the program works.
SIZES = ((100_000, 768, 100), (1_000_000, 512, 1000))
QUICK_SIZES = ((500, 96, 10), (800, 64, 30))
TORCH_ROWS = 100_000  # torch does as many in seconds
DEVICE = "cuda"


class CannotRunError(Exception):
    """Why a part has nothing to run on."""


class Bench:
    """One device, its bound, and where rows go."""

    def __init__(self, out, quick=False):
        self.out = out
        self.sizes = QUICK_SIZES if quick else SIZES
        self.shrink = 50 if quick else 1
        self.card = cuda.device_names()[0]
        self.wrong = 0
        self._limits = None

    @property
    def limits(self):
        if self._limits is None:
            self._limits = cuda.measure_limits()
        return self._limits

    def bound(self, n, d):
        return 3 * n * n * d / self.limits["bfloat16"]

    def row(self, question, **values):
        """Print a row, and append it to the table at once: whatever stops the rest leaves it."""
        error = values.get("error", "")
        self.wrong += error != "" and not error <= ALLOWED
        row = {"card": self.card, "question": question, **values}
        shown = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
        print(
            "  ".join(f"{k}={v}" for k, v in shown.items() if v != "" and k != "card"), flush=True
        )
        if self.out is None:
            return
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / "gpu_check.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            table = csv.DictWriter(file, FIELDS, restval="", lineterminator="\n")
            if new:
                table.writeheader()
            table.writerow(shown)

    def timed(self, question, seconds, n, d, classes, **values):
        bound = self.bound(n, d)
        self.row(
            question, n=n, d=d, classes=classes, seconds=seconds, bound_seconds=bound,
            share_of_bound=bound / seconds, tera_operations_per_second=n * n * d / seconds / 1e12,
            **values,
        )  # fmt: skip


def median(work, runs, *, wait=lambda: None):
    """Of some runs; what is to be loaded first has been used before."""
    times = []
    for _ in range(runs):
        wait()
        begin = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def kernels():
    from zoorank import _cuda

    best = _cuda.euclidean_kernel(512, cuda.first_device())
    return [*(["wgmma"] if best == "wgmma" else []), "mma", "simt"]


def torch_with_cuda():
    try:
        import torch
    except ImportError as error:
        raise CannotRunError(f"no torch: {error}") from None
    if not torch.cuda.is_available():
        raise CannotRunError("this torch has no CUDA")
    return torch


def wait_for(torch):
    return torch.cuda.synchronize


def limits(bench):
    found = bench.limits
    for name in ("bfloat16", "float32", "float64"):
        bench.row(f"limit, {name}", tera_operations_per_second=found[name] / 1e12)
    bench.row("limit, copy", note=f"{found['copy'] / 1e12:.3f} TB/s read and written")


def exact(bench):
    small, large = bench.sizes
    exactly(bench, small, kernels(), checked=12, runs=5)
    exactly(bench, large, kernels()[:1], checked=3, runs=3)


def slower(bench):
    exactly(bench, bench.sizes[1], kernels()[1:2], checked=3, runs=1)


def exactly(bench, shape, which, *, checked, runs):
    problem, there = placed(*shape)
    rows = sample_rows(problem, checked)
    expected = reference(shape, rows)
    for kernel in which:
        os.environ["ZOORANK_CUDA_KERNEL"] = kernel
        s = zoorank.silhouette_samples(there, problem.labels)  # and kernels are loaded
        seconds = median(lambda: zoorank.silhouette_samples(there, problem.labels), runs)
        bench.timed(
            "exact euclidean", seconds, *shape, kernel=kernel,
            error=float(np.abs(s[rows] - expected).max()), note="rows on the device",
        )  # fmt: skip
        os.environ.pop("ZOORANK_CUDA_KERNEL")


def estimate(bench):
    problem, there = placed(*bench.sizes[1])

    def work():
        return zoorank.silhouette(
            there, problem.labels, method="estimate", tol=1e-3, random_state=0
        )

    found, exact_score = work(), zoorank.silhouette_score(there, problem.labels)
    seconds = median(work, 3)
    held = abs(found.score - exact_score) <= found.half_width
    bench.timed(
        "estimated euclidean", seconds, *bench.sizes[1], kernel="auto",
        note=f"half width {found.half_width:.1e}, {'holds' if held else 'MISSES'} the exact score",
    )  # fmt: skip


@functools.lru_cache(maxsize=1)  # one large problem at a time
def placed(*shape):
    problem = make_problem(*shape)
    return problem, cuda.to_device(problem.X)


_references = {}


def reference(shape, rows):
    if (shape, len(rows)) not in _references:
        _references[shape, len(rows)] = definition(placed(*shape)[0], rows)
    return _references[shape, len(rows)]


def torch_by_class_pairs(torch, X, y, classes):
    """One cdist a pair of classes, sums both ways."""
    groups = [X[y == c] for c in range(classes)]
    own = [None] * classes
    nearest = [
        torch.full((len(g),), float("inf"), device=DEVICE, dtype=torch.float64) for g in groups
    ]
    for a in range(classes):
        for b in range(a, classes):
            D = torch.cdist(groups[a], groups[b])
            if a == b:
                own[a] = D.sum(1, dtype=torch.float64) / (len(groups[a]) - 1)
                continue
            nearest[a] = torch.minimum(nearest[a], D.sum(1, dtype=torch.float64) / len(groups[b]))
            nearest[b] = torch.minimum(nearest[b], D.sum(0, dtype=torch.float64) / len(groups[a]))
    return sum(
        float(((n - o) / torch.maximum(n, o)).sum()) for n, o in zip(nearest, own, strict=True)
    ) / len(X)


def torch_by_chunks(torch, X, y, classes):
    """Distances of some rows to all, and a product with the classes' indicator."""
    indicator = torch.nn.functional.one_hot(y, classes).float()
    sizes = indicator.sum(0)
    total = 0.0
    for rows in torch.arange(len(X), device=DEVICE).split(max(1, (1 << 29) // len(X))):
        sums = torch.cdist(X[rows], X) @ indicator
        own = sums.gather(1, y[rows, None])[:, 0] / (sizes[y[rows]] - 1)
        means = (sums / sizes).scatter(1, y[rows, None], float("inf"))
        nearest = means.min(1).values
        total += float(((nearest - own) / torch.maximum(nearest, own)).double().sum())
    return total / len(X)


def torch_limits(bench, torch):
    size = 8192 // bench.shrink
    a, b = (torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    a @ b
    seconds = median(lambda: a @ b, 20, wait=wait_for(torch))
    bench.row(
        f"torch, bfloat16 product of {size}",
        tera_operations_per_second=2 * size**3 / seconds / 1e12,
    )
    source = torch.randn((1 << 29) // bench.shrink**2, device=DEVICE)
    target = torch.empty_like(source)
    target.copy_(source)
    seconds = median(lambda: target.copy_(source), 20, wait=wait_for(torch))
    bench.row("torch, copy", note=f"{2 * source.nbytes / seconds / 1e12:.3f} TB/s")


def torch_itself(bench):
    torch = torch_with_cuda()
    torch_limits(bench, torch)
    for n, d, classes in bench.sizes:
        part = min(n, TORCH_ROWS)  # in classes of the same size
        generator = torch.Generator(DEVICE).manual_seed(n)
        X = torch.randn(part, d, device=DEVICE, generator=generator)
        part_classes = classes * part // n
        y = torch.randperm(part, device=DEVICE, generator=generator) % part_classes
        ours = zoorank.silhouette_score(X, y)
        for name, way in (("chunks", torch_by_chunks), ("class pairs", torch_by_class_pairs)):
            difference = abs(way(torch, X, y, part_classes) - ours)
            seconds = median(
                lambda way=way, X=X, y=y, k=part_classes: way(torch, X, y, k),
                1,
                wait=wait_for(torch),
            )
            scaled = seconds * (n / part) ** 2
            note = "" if part == n else f"from {part} rows, times (n / rows)^2; "
            bench.timed(
                f"torch by {name}", scaled, n, d, classes, kernel="cdist",
                note=f"{note}differs by {difference:.1e} from ours",
            )  # fmt: skip


def closed(bench):
    n, d, classes = bench.sizes[1]
    problem, there = placed(n, d, classes)
    for metric in ("sqeuclidean", "cosine"):
        work = functools.partial(zoorank.silhouette_samples, there, problem.labels, metric=metric)
        work()
        seconds = median(work, 3)
        bound = max(
            problem.X.nbytes / bench.limits["copy"], 2 * n * classes * d / bench.limits["float64"]
        )
        bench.row(
            metric, n=n, d=d, classes=classes, kernel="means", seconds=seconds,
            bound_seconds=bound, share_of_bound=bound / seconds,
            tera_operations_per_second=2 * n * classes * d / seconds / 1e12,
            note="bound: one reading of X, or the products in float64",
        )  # fmt: skip


def encode(bench, classes=100):
    """The encodings never leave the device, or do."""
    torch = torch_with_cuda()
    n, side = (50_000, 64) if bench.shrink == 1 else (400, 16)
    layers, channels = [], 3
    for width in (64, 128, 256, 512):
        layers += [torch.nn.Conv2d(channels, width, 3, stride=2, padding=1), torch.nn.ReLU()]
        channels = width
    network = torch.nn.Sequential(*layers).to(DEVICE).to(memory_format=torch.channels_last).eval()
    images = torch.randn(2000 // bench.shrink, 3, side, side, device=DEVICE).to(
        memory_format=torch.channels_last
    )
    step = len(images) // 4
    labels = np.arange(n) % classes

    def encoded():
        with torch.inference_mode():
            batches = [
                network(images[i % len(images) :][:step] + 1e-3 * i).mean((2, 3))
                for i in range(0, n, step)
            ]
            return torch.cat(batches).float()

    encodings = encoded()
    for name, work in (
        ("encode", encoded),
        ("score on the device", lambda: zoorank.silhouette_score(encodings, labels)),
        ("encode and score on the device", lambda: zoorank.silhouette_score(encoded(), labels)),
        (
            "encode, copy to the host and back, score",
            lambda: zoorank.silhouette(
                encoded().cpu().numpy(), labels, method="exact", device="cuda"
            ),
        ),
    ):
        work()
        seconds = median(work, 3, wait=wait_for(torch))
        bench.row(
            name, n=n, d=encodings.shape[1], classes=classes, kernel="auto", seconds=seconds,
            note="four strided convolutions",
        )  # fmt: skip


def accuracy(bench):
    for d in (64, 512, 1280, 2048, 4096):
        rng = np.random.default_rng(d)
        n, classes = 4000 // min(bench.shrink, 10), 40
        y = rng.permutation(np.arange(n) % classes)
        factors = rng.standard_normal((n, 30), dtype=np.float32)
        X = factors @ rng.standard_normal((30, d), dtype=np.float32)
        X += 0.3 * rng.standard_normal((classes, d), dtype=np.float32)[y]
        X = np.maximum(X, 0)
        expected = zoorank.silhouette_samples(X.astype(np.float64), y)
        there = cuda.to_device(X)
        for kernel in kernels():
            os.environ["ZOORANK_CUDA_KERNEL"] = kernel
            s = zoorank.silhouette_samples(there, y)
            bench.row(
                "accuracy on positive features", n=n, d=d, classes=classes, kernel=kernel,
                error=float(np.abs(s - expected).max()),
            )  # fmt: skip
        os.environ.pop("ZOORANK_CUDA_KERNEL")


def bits(bench):
    differ = 0
    for n, d, classes in ((30_000, 128, 100), (30_000, 64, 2), (20_000, 65, 9000)):
        problem = make_problem(n // bench.shrink, d, max(2, classes // bench.shrink))
        there = cuda.to_device(problem.X)
        for kernel in kernels():
            os.environ["ZOORANK_CUDA_KERNEL"] = kernel
            metrics = ("euclidean", "manhattan", "sqeuclidean", "cosine")
            for metric in metrics if kernel == "simt" else metrics[:1]:
                digests = {
                    hashlib.sha256(
                        zoorank.silhouette_samples(there, problem.labels, metric=metric)
                    ).hexdigest()
                    for _ in range(4)
                }
                differ += len(digests) != 1
                if len(digests) != 1:
                    print(f"{kernel} {metric} {n} x {d}, {classes} classes: {len(digests)} results")
        os.environ.pop("ZOORANK_CUDA_KERNEL")
    print(f"{differ} problems with different bits in four runs")
    bench.wrong += differ


PARTS = {
    "limits": limits,
    "exact": exact,
    "slower": slower,
    "estimate": estimate,
    "torch": torch_itself,
    "encode": encode,
    "accuracy": accuracy,
    "closed": closed,
    "bits": bits,
}


def runs(name, bench):
    """Whether a part had something to run on."""
    try:
        PARTS[name](bench)
    except CannotRunError as reason:
        print(f"{name}: {reason}")
        return False
    return True


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument("--out", type=Path, metavar="DIR", help="append to gpu_check.csv there")
    parser.add_argument("--quick", action="store_true", help="small: does the program work?")
    chosen = parser.parse_args(argv)
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"unknown part {unknown.pop()!r}; valid: {', '.join(PARTS)}")
    if reason := zoorank.build_info()["cuda_unavailable_reason"]:
        print(f"nothing to measure: {reason}")
        return NOTHING_TO_RUN_ON
    bench = Bench(chosen.out, chosen.quick)
    parts = chosen.parts or list(PARTS)
    ran = [name for name in parts if runs(name, bench)]
    if bench.wrong:
        return f"{bench.wrong} wrong: no time of them counts"
    if not ran:
        return NOTHING_TO_RUN_ON
    print(f"{bench.card}: nothing wrong in {', '.join(ran)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
