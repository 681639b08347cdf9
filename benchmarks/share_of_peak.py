"""What part of the processor's peak does a pass reach, and what is the rest?

One thread runs networks on batches of the size that zoorank takes, in float32 and in bf16, in turns
with the largest product that torch makes of matrices of 2048 in the same numbers: the peak here.
Operations are those that torch counts: convolutions and products. Where they are few for the memory
that a network moves, such as in convolutions of a channel each and in normalizations, no pass gets
near the peak. So beside it stands what part of the time is convolutions, products and
normalizations, by torch's profiler. Times are of the processor.

    python benchmarks/share_of_peak.py
"""

import os
import statistics
import sys
import time
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from _common import arguments, finish
from _given import lites, series, texts
from end_to_end import ROOT, network

SIDE = 2048
LEAST, MOST = 0.01, 1.1  # a share beyond these is a mistake, not a measurement
PARTS = {
    "convolutions": ("convolution", "mkldnn", "conv"),
    "products": ("mm", "addmm", "bmm", "linear", "matmul", "attention"),
    "normalizations": ("norm",),
}


def main(argv=None):
    chosen = arguments(__doc__, argv)
    import torch

    torch.set_num_threads(1)
    rows = []
    for name, made in subjects(chosen.quick).items():
        subject = made()
        if subject is None:
            print(f"{name}: skipped, its data or weights are not here")
            continue
        rows += [
            {"network": name, **measured(*subject, precision, chosen.rounds)}
            for precision in ("float32", "bf16")
        ]
    finish(rows, "share_of_peak", chosen.out)
    wrong = [row for row in rows if not LEAST < row["share_of_peak"] < MOST]
    return f"{len(wrong)} shares cannot be" if wrong and not chosen.quick else 0


def subjects(quick):
    """By name, what gives a network and a batch of inputs by name."""
    found = {
        f"EfficientNet-lite{place}, {size} pixels": partial(
            images, place, size, 1 if quick else most
        )
        for size, most in ((224, 5), (96, 27))
        for place in (0, 2)
    }
    found["MiniLM-L6"] = partial(sentences, 2 if quick else 64)
    found["FCN of series"] = partial(curves, 2 if quick else 128)
    return found


def images(place, size, batch):
    import torch

    weights = lites()
    if weights is None:
        return None
    made = network(*weights[place], size).to(memory_format=torch.channels_last)
    return made, {"inputs": torch.rand(batch, 3, size, size)}


def sentences(batch):
    given = texts(None, True)
    if given is None:
        return None
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(given["place"])
    some = sorted(given["texts"], key=len)[-1:] * batch
    inputs = dict(tokenizer(some, truncation=True, max_length=64, return_tensors="pt"))
    return AutoModel.from_pretrained(given["place"]).eval(), inputs


def curves(batch):
    import torch
    from safetensors.torch import load_file

    given = series(None, True)
    if given is None:
        return None
    sys.path.insert(0, str(ROOT / "examples" / "ucr"))
    from fcn import FCN

    weights = load_file(given["files"][0])
    made = FCN(len(weights["final.bias"])).eval()
    made.load_state_dict(weights)
    some = np.resize(given["X"], (batch, given["X"].shape[1]))
    return made, {"x": torch.from_numpy(some.astype(np.float32))[:, None]}


def measured(model, inputs, precision, rounds):
    import torch

    from zoorank.encoding.costs import memory_kept
    from zoorank.sources.torch.hooks import FlopCounter

    model.requires_grad_(False)
    rounded = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
    A, B = (
        torch.rand(SIDE, SIDE).to(torch.bfloat16 if precision == "bf16" else torch.float32)
        for _ in range(2)
    )
    with torch.no_grad(), rounded, FlopCounter() as counter:
        model(**inputs)
    passes, products = [], []
    with torch.inference_mode(), rounded, memory_kept():
        for _ in range(rounds + 1):  # the first warms up
            passes.append(seconds(lambda: model(**inputs)))
            products.append(seconds(lambda: A @ B))
        shares = by_part(lambda: model(**inputs))
    reached = counter.total / statistics.median(passes[1:])
    peak = 2 * SIDE**3 / min(products[1:])
    batch = len(next(iter(inputs.values())))
    return {
        "precision": precision,
        "batch": batch,
        "million_operations": counter.total / batch / 1e6,
        "milliseconds": 1e3 * statistics.median(passes[1:]) / batch,
        "gflops": reached / 1e9,
        "peak_gflops": peak / 1e9,
        "share_of_peak": reached / peak,
        **shares,
    }


def seconds(work):
    began = time.process_time()
    work()
    return time.process_time() - began


def by_part(work):
    """What part of the time of a pass each kind of operation takes."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        work()
    spent = dict.fromkeys([*PARTS, "others"], 0.0)
    for event in profiler.key_averages():
        name = event.key.removeprefix("aten::")
        part = next((p for p, words in PARTS.items() if any(w in name for w in words)), "others")
        spent[part] += event.self_cpu_time_total
    return {part: each / sum(spent.values()) for part, each in spent.items()}


if __name__ == "__main__":
    sys.exit(main())
