"""What do channels last, the size of batches and bf16 do to a pass on the CPU?

EfficientNet-lite0 with its published weights, one thread, in turns: channels second as torch has
them, with 32 images a batch, and channels last with as many as zoorank takes. What they give is
compared first. Times are of the processor, with those that the system spent on page faults.

    python benchmarks/layouts.py
"""

import os
import resource
import statistics
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from _common import arguments, finish
from _given import lites

MOST = {"float32": 1e-4, "bf16": 0.25}  # of what the largest number is


def main(argv=None):
    chosen = arguments(__doc__, argv)
    found = lites()
    if found is None:
        print("skipped: the networks are not installed")
        return 77
    rows = []
    for size, images in ((224, 32), (96, 96)):
        rows += measured(found[0][1], size, 4 if chosen.quick else images, chosen.rounds)
    finish(rows, "layouts", chosen.out)
    wrong = [row for row in rows if not row["difference"] <= MOST[row["precision"]]]
    return f"{len(wrong)} of {len(rows)} differ: no time of them counts" if wrong else 0


def measured(weights, size, images, rounds):
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    from zoorank.encoding.costs import memory_kept
    from zoorank.encoding.passes import Feed
    from zoorank.encoding.trial import batch_sizes
    from zoorank.sources.base import OpenOptions
    from zoorank.sources.torch.encoder import TorchEncoder
    from zoorank.targets import load_target
    from zoorank.transforms import transform_of
    from zoorank.transforms.specs import ImagePreprocessing

    torch.set_num_threads(1)
    X = np.random.default_rng(0).integers(0, 256, (images, size, size, 3), dtype=np.uint8)
    target = load_target((X, np.arange(images) % 2))
    transform = transform_of(ImagePreprocessing()).fitted(target)
    pixels = torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255

    def network():
        made = EfficientNet.from_name("efficientnet-lite0", image_size=size)
        made.load_state_dict(torch.load(weights, weights_only=True))
        return made

    encoders = {
        precision: TorchEncoder(network(), transform, OpenOptions("image", "cpu", precision))
        for precision in ("float32", "bf16")
    }
    feed = Feed(encoders["float32"], transform, target)
    for encoder in encoders.values():
        encoder.cuts(transform.collate(feed.prepared(range(2))), ["logits"])
    fitting = batch_sizes(feed).samples
    plain = network().eval()

    def loop(module, batch, precision, out):
        with (
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
        ):
            for start in range(0, images, batch):
                out.append(module(pixels[start : start + batch]).float())

    ways = {
        ("second", 32, "float32"): plain,
        ("second", fitting, "float32"): plain,
        ("last", 32, "float32"): encoders["float32"].module,
        ("last", fitting, "float32"): encoders["float32"].module,
        ("last", fitting, "bf16"): encoders["bf16"].module,
    }
    taken = {way: [] for way in ways}
    found = {}
    for _ in range(rounds):
        for (layout, batch, precision), module in ways.items():
            out = []
            before = resource.getrusage(resource.RUSAGE_SELF)
            if layout == "second":
                loop(module, batch, precision, out)
            else:
                with memory_kept():
                    loop(module, batch, precision, out)
            after = resource.getrusage(resource.RUSAGE_SELF)
            system = after.ru_stime - before.ru_stime
            spent = (after.ru_utime - before.ru_utime + system, system)
            taken[layout, batch, precision].append(spent)
            found[layout, batch, precision] = torch.cat(out).numpy()
    expected = found["second", 32, "float32"]
    return [
        {
            "pixels": size,
            "channels": way[0],
            "batch": way[1],
            "precision": way[2],
            "milliseconds": 1e3 * statistics.median(each[0] for each in times) / images,
            "of_them_system": 1e3 * statistics.median(each[1] for each in times) / images,
            "difference": float(np.abs(found[way] - expected).max() / np.abs(expected).max()),
        }
        for way, times in taken.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
