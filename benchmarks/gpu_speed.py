"""How fast is the engine on a CUDA device, against the device's limits and torch?

Every time is the median of several runs, and counts only if the answer is right: some
rows are compared with float64 silhouettes computed by torch from differences. A problem
of which each pair of rows is multiplied once takes n²d operations; split into three
products of bfloat16 it takes 3n²d, and that over the measured rate of bfloat16 products
is the bound that a time is held against.

``--small`` runs each method once on little data, for compute-sanitizer; ``--bits``
compares the bits of runs. Without a usable device the program says so and ends.
"""

import argparse
import csv
import hashlib
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import zoorank

FIELDS = (
    "question", "n", "d", "classes", "kernel", "seconds", "bound_seconds", "share_of_bound",
    "tera_operations_per_second", "error", "note",
)  # fmt: skip


def problem(n, d, classes, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % classes)
    return rng.standard_normal((n, d), dtype=np.float32).astype(dtype), y


def small():
    os.environ["ZOORANK_DEVICE"] = "cuda"
    for dtype in (np.float32, np.float64):
        for n, d, classes in ((400, 100, 5), (700, 70, 300)):
            X, y = problem(n, d, classes, dtype)
            X[3] = X[5]  # pairs to be recomputed
            for metric in ("euclidean", "manhattan", "sqeuclidean", "cosine"):
                s = zoorank.silhouette_samples(X, y, metric=metric)
                zoorank.pairwise_distances(X[:130], X[:300], metric=metric)
                print(metric, np.dtype(dtype), n, float(s.mean()))


def bits():
    os.environ["ZOORANK_DEVICE"] = "cuda"
    wrong = 0
    for kernel in kernels():
        os.environ["ZOORANK_CUDA_KERNEL"] = kernel
        for metric in ("euclidean", "manhattan", "sqeuclidean", "cosine"):
            for n, d, classes in ((30_000, 128, 100), (30_000, 64, 2), (20_000, 65, 9000)):
                X, y = problem(n, d, classes)
                digests = {
                    hashlib.sha256(zoorank.silhouette_samples(X, y, metric=metric)).hexdigest()
                    for _ in range(4)
                }
                wrong += len(digests) != 1
                if len(digests) != 1:
                    print(f"{kernel} {metric} {n} x {d}, {classes} classes: {len(digests)} results")
    print(f"{wrong} problems with different bits in four runs")
    return wrong != 0


def kernels():
    from zoorank import _cuda

    return ["simt", "mma", *(["wgmma"] if _cuda.euclidean_kernel(512, 0) == "wgmma" else [])]


class Clock:
    """Times of work on the device."""

    def __init__(self, torch):
        self._torch = torch

    def median(self, work, runs):
        times = []
        for _ in range(runs + 1):
            self._torch.cuda.synchronize()
            begin = time.perf_counter()
            work()
            self._torch.cuda.synchronize()
            times.append(time.perf_counter() - begin)
        return statistics.median(times[1:])  # the first one loads kernels


def limits(torch, clock):
    """Operations a second of bfloat16 products, and bytes a second of a copy."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    rate = 2 * 8192**3 / clock.median(lambda: a @ b, 20)
    source = torch.randn(1 << 29, device="cuda")
    target = torch.empty_like(source)
    bandwidth = 2 * source.nbytes / clock.median(lambda: target.copy_(source), 20)
    return rate, bandwidth


def reference_rows(torch, X, y, rows):
    """Silhouettes of a few rows by definition, in float64."""
    classes = int(y.max()) + 1
    sizes = torch.bincount(y, minlength=classes).double()
    found = []
    for i in rows:
        sums = torch.zeros(classes, dtype=torch.float64, device="cuda")
        for part, labels in zip(X.split(1 << 17), y.split(1 << 17), strict=True):
            distances = (part.double() - X[i].double()).square().sum(1).sqrt()
            sums += torch.bincount(labels, weights=distances, minlength=classes)
        own = sums[y[i]] / (sizes[y[i]] - 1)
        means = sums / sizes
        means[y[i]] = float("inf")
        nearest = means.min()
        found.append(float((nearest - own) / torch.maximum(own, nearest)))
    return np.array(found)


def torch_by_class_pairs(torch, X, y, classes):
    """One cdist a pair of classes, sums both ways."""
    groups = [X[y == c] for c in range(classes)]
    own = [None] * classes
    nearest = [
        torch.full((len(g),), float("inf"), device="cuda", dtype=torch.float64) for g in groups
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
    for rows in torch.arange(len(X), device="cuda").split(max(1, (1 << 29) // len(X))):
        sums = torch.cdist(X[rows], X) @ indicator
        own = sums.gather(1, y[rows, None])[:, 0] / (sizes[y[rows]] - 1)
        means = (sums / sizes).scatter(1, y[rows, None], float("inf"))
        nearest = means.min(1).values
        total += float(((nearest - own) / torch.maximum(nearest, own)).double().sum())
    return total / len(X)


def exact_euclidean(torch, clock, rate, n, d, classes, runs):
    generator = torch.Generator("cuda").manual_seed(n)
    X = torch.randn(n, d, device="cuda", generator=generator)
    y = torch.randperm(n, device="cuda", generator=generator) % classes
    X += 0.02 * torch.randn(classes, d, device="cuda", generator=generator)[y]
    rows = list(range(0, n, n // 12))
    expected = reference_rows(torch, X, y, rows)
    labels = y.cpu().numpy()
    bound = 3 * n * n * d / rate
    for kernel in kernels():
        os.environ["ZOORANK_CUDA_KERNEL"] = kernel
        if kernel == "simt" and n > 200_000:
            continue
        s = zoorank.silhouette_samples(X, labels)
        seconds = clock.median(lambda: zoorank.silhouette_samples(X, labels), runs)
        yield {
            "question": "exact euclidean", "n": n, "d": d, "classes": classes, "kernel": kernel,
            "seconds": seconds, "bound_seconds": bound, "share_of_bound": bound / seconds,
            "tera_operations_per_second": n * n * d / seconds / 1e12,
            "error": float(np.abs(s[rows] - expected).max()), "note": "rows on the device",
        }  # fmt: skip
    os.environ.pop("ZOORANK_CUDA_KERNEL")
    # torch is timed on as many rows as it does in seconds, in classes of the same size.
    part = min(n, 100_000)
    kept = y < max(2, classes * part // n)
    X, y = X[kept], y[kept]
    part_classes = int(y.max()) + 1
    for name, way in (("class pairs", torch_by_class_pairs), ("chunks", torch_by_chunks)):
        seconds = clock.median(lambda way=way: way(torch, X, y, part_classes), 1)
        scaled = seconds * (n / len(X)) ** 2
        yield {
            "question": f"torch by {name}", "n": n, "d": d, "classes": classes, "kernel": "cdist",
            "seconds": scaled, "bound_seconds": bound, "share_of_bound": bound / scaled,
            "tera_operations_per_second": n * n * d / scaled / 1e12, "error": "",
            "note": "" if len(X) == n else f"from {len(X)} rows, times (n / rows)^2",
        }  # fmt: skip


def closed_forms(torch, clock, bandwidth, n, d, classes):
    X = torch.randn(n, d, device="cuda")
    labels = (torch.randperm(n, device="cuda") % classes).cpu().numpy()
    for metric in ("sqeuclidean", "cosine"):
        seconds = clock.median(
            lambda metric=metric: zoorank.silhouette_samples(X, labels, metric=metric), 3
        )
        bound = X.nbytes / bandwidth
        yield {
            "question": metric, "n": n, "d": d, "classes": classes, "kernel": "means",
            "seconds": seconds, "bound_seconds": bound, "share_of_bound": bound / seconds,
            "tera_operations_per_second": 2 * n * classes * d / seconds / 1e12, "error": "",
            "note": "bound: one reading of X",
        }  # fmt: skip


def encode_and_score(torch, clock, n=50_000, classes=100):
    """A truncated network and the score of its encodings, which never leave the device."""
    layers, channels = [], 3
    for width in (64, 128, 256, 512):
        layers += [torch.nn.Conv2d(channels, width, 3, stride=2, padding=1), torch.nn.ReLU()]
        channels = width
    network = torch.nn.Sequential(*layers).cuda().to(memory_format=torch.channels_last).eval()
    images = torch.randn(2000, 3, 64, 64, device="cuda").to(memory_format=torch.channels_last)
    labels = np.arange(n) % classes

    def encode():
        with torch.inference_mode():
            batches = [
                network(images[i % 2000 : i % 2000 + 500] + 1e-3 * i).mean((2, 3))
                for i in range(0, n, 500)
            ]
            return torch.cat(batches).float()

    encodings = encode()
    for name, work in (
        ("encode", encode),
        ("score on the device", lambda: zoorank.silhouette_score(encodings, labels)),
        ("encode and score on the device", lambda: zoorank.silhouette_score(encode(), labels)),
        (
            "encode, copy to the host and back, score",
            lambda: zoorank.silhouette(
                encode().cpu().numpy(), labels, method="exact", device="cuda"
            ),
        ),
    ):
        yield {
            "question": name, "n": n, "d": encodings.shape[1], "classes": classes, "kernel": "auto",
            "seconds": clock.median(work, 3), "bound_seconds": "", "share_of_bound": "",
            "tera_operations_per_second": "", "error": "", "note": "four strided convolutions",
        }  # fmt: skip


def accuracy(torch):
    """Errors where rows are correlated, as encodings after a ReLU are, and features many."""
    for d in (64, 512, 1280, 2048, 4096):
        X = torch.randn(20_000, d, device="cuda").add_(0.5).relu_()
        y = torch.arange(20_000, device="cuda") % 50
        X += 0.1 * torch.rand(50, d, device="cuda")[y]
        rows = list(range(0, 20_000, 500))
        expected = reference_rows(torch, X, y, rows)
        for kernel in kernels():
            os.environ["ZOORANK_CUDA_KERNEL"] = kernel
            s = zoorank.silhouette_samples(X, y)
            yield {
                "question": "error, positive features", "n": 20_000, "d": d, "classes": 50,
                "kernel": kernel, "seconds": "", "bound_seconds": "", "share_of_bound": "",
                "tera_operations_per_second": "",
                "error": float(np.abs(s[rows] - expected).max()), "note": "allowed: 5e-6",
            }  # fmt: skip
        os.environ.pop("ZOORANK_CUDA_KERNEL")


def measure(out):
    import torch

    clock = Clock(torch)
    rate, bandwidth = limits(torch, clock)
    card = torch.cuda.get_device_name()
    print(f"{card}: bf16 {rate / 1e12:.0f} TFLOP/s, copy {bandwidth / 1e12:.2f} TB/s", flush=True)
    measured = [
        {"question": "bf16 product of 8192", "tera_operations_per_second": rate / 1e12},
        {"question": "copy", "note": f"{bandwidth / 1e12:.3f} TB/s read and written"},
    ]
    # The file is written after every row: whatever stops the rest leaves these.
    for work in (
        lambda: exact_euclidean(torch, clock, rate, 100_000, 768, 100, 5),
        lambda: accuracy(torch),
        lambda: exact_euclidean(torch, clock, rate, 1_000_000, 512, 1000, 3),
        lambda: closed_forms(torch, clock, bandwidth, 1_000_000, 512, 1000),
        lambda: encode_and_score(torch, clock),
    ):
        for row in work():
            measured.append(row)
            print({key: value for key, value in row.items() if value != ""}, flush=True)
            if out is not None:
                write(out / "gpu_check.csv", card, measured)
        torch.cuda.empty_cache()
    wrong = [row for row in measured if (row.get("error") or 0) > 5e-6]
    if wrong:
        return f"{len(wrong)} of {len(measured)} are wrong: no time of them counts"
    print(f"{len(measured)} rows measured on {card}")
    return 0


def write(path, card, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["card", *FIELDS], restval="", lineterminator="\n")
        table.writeheader()
        table.writerows(
            {"card": card, **{k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}}
            for row in rows
        )


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="each method once, untimed")
    parser.add_argument("--bits", action="store_true", help="compare the bits of four runs")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write gpu_check.csv there")
    chosen = parser.parse_args(argv)
    if reason := zoorank.build_info()["cuda_unavailable_reason"]:
        print(f"nothing to measure: {reason}")
        return 0
    if chosen.small:
        return small()
    return bits() if chosen.bits else measure(chosen.out)


if __name__ == "__main__":
    sys.exit(main())
