"""The engine on a CUDA device beside torch on the same, and after a network there.

The parts are named on the command line, so that each can have a time limit of its own:

limits    torch's own: a product of bfloat16, a copy
peers     the best two ways to silhouettes in torch
encode    a truncated network and the score of its encodings, with and without copies

``--out DIR`` appends rows to DIR/gpu_check.csv. Without a usable device, or without a torch
that has CUDA, the program says so and ends with 77.
"""

import sys

import numpy as np
from _gpu import CannotRunError, median, run

import zoorank

ROWS = 100_000  # torch does as many in seconds
DEVICE = "cuda"


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


def by_class_pairs(torch, X, y, classes):
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


def by_chunks(torch, X, y, classes):
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


def limits(bench):
    torch = torch_with_cuda()
    size = 8192 // bench.shrink
    a, b = (torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    a @ b
    seconds = median(lambda: a @ b, 20, wait=wait_for(torch))
    bench.row(
        f"torch bfloat16 product of {size}",
        tera_operations_per_second=2 * size**3 / seconds / 1e12,
    )
    source = torch.randn((1 << 29) // bench.shrink**2, device=DEVICE)
    target = torch.empty_like(source)
    target.copy_(source)
    seconds = median(lambda: target.copy_(source), 20, wait=wait_for(torch))
    bench.row("torch copy", note=f"{2 * source.nbytes / seconds / 1e12:.3f} TB/s")


def peers(bench):
    torch = torch_with_cuda()
    for n, d, classes in bench.sizes:
        part = min(n, ROWS)  # in classes of the same size
        generator = torch.Generator(DEVICE).manual_seed(n)
        X = torch.randn(part, d, device=DEVICE, generator=generator)
        part_classes = classes * part // n
        y = torch.randperm(part, device=DEVICE, generator=generator) % part_classes
        ours = zoorank.silhouette_score(X, y)
        for name, way in (("chunks", by_chunks), ("class pairs", by_class_pairs)):
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
            "encode and copy to the host and back and score",
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


PARTS = {"limits": limits, "peers": peers, "encode": encode}


def main(argv=None):
    return run(__doc__, PARTS, argv)


if __name__ == "__main__":
    sys.exit(main())
