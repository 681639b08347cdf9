"""How little does bf16 change the order of a ranking?

Every target of end_to_end.py but the photos, and two more of series, are ranked in float32 and in
bf16, with several cuts a network: three EfficientNet-lite, MiniLM, twelve networks of series. Both
orders are compared by Kendall's tau-b, for the consensus, LogME and the Euclidean silhouette.
Beside it: the place in float32 of whom bf16 puts first, what is lost by taking that one, as a part
of the range of the score, and, to see whether bf16 was in use, how far encodings differ.

    python benchmarks/precision.py
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from _common import arguments, finish
from _given import digits, series, texts
from end_to_end import ROOT, differences, zoo_of

CUTS = {
    "digits": ["_blocks.3", "_blocks.7", "_blocks.11", "_blocks.15", "penultimate"],
    "texts": [f"encoder.layer.{layer}" for layer in range(6)],
    "series": ["layers.0", "layers.1", "layers.2"],
}
SCORES = {"consensus": "consensus", "logme": "LogME", "euclidean": "Euclidean silhouette"}
# Encodings of both differ by more than rounding in float32, or bf16 was not in use.
LEAST = 1e-4


def main(argv=None):
    chosen = arguments(__doc__, argv)
    rows = []
    for name, kind, prepare in targets():
        given = prepare(None, chosen.quick)
        if given is None:
            print(f"{name}: skipped, its data or weights are not here")
            continue
        with tempfile.TemporaryDirectory() as folder:
            cuts = CUTS[kind][-2:] if chosen.quick else CUTS[kind]
            rows += compared(name, given, cuts, Path(folder))
    if not rows:
        return 77
    finish(rows, "precision", chosen.out)
    unused = {row["target"] for row in rows if row["difference"] < LEAST}
    return f"bf16 changes nothing of {', '.join(sorted(unused))}" if unused else 0


def targets():
    yield "digits", "digits", digits
    yield "texts", "texts", texts
    for name in ("ECG5000", "FacesUCR", "SwedishLeaf"):
        yield name, "series", lambda folder, quick, name=name: series(folder, quick, name)


def compared(name, given, cuts, folder):
    """A row for each score: how the orders of one target agree."""
    from scipy.stats import kendalltau

    found = {precision: ranked(given, cuts, folder, precision) for precision in ("float32", "bf16")}
    plain, rounded = found["float32"], found["bf16"]
    candidates = sorted(plain["scores"].keys() & rounded["scores"].keys())
    difference = differences(rounded["encodings"], plain["encodings"])
    rows = []
    for key, label in SCORES.items():
        a, b = (np.array([each["scores"][c][key] for c in candidates]) for each in (plain, rounded))
        first = a[b.argmax()]
        rows.append(
            {
                "target": name,
                "samples": given["samples"],
                "networks": len({model for model, _ in candidates}),
                "candidates": len(candidates),
                "score": label,
                "tau": float(kendalltau(a, b).statistic),
                "place_of_first": int((a > first).sum()) + 1,
                "lost": float((a.max() - first) / np.ptp(a)),
                "difference": difference,
            }
        )
    return rows


def ranked(given, cuts, folder, precision):
    """Scores of every candidate in one precision, and the last encodings of every network."""
    import torch

    from zoorank import load_zoo, rank

    torch.set_num_threads(1)
    place = folder / precision
    zoo = load_zoo(zoo_of(given, place), allow_code=[ROOT / "examples" / "ucr"])
    names = ("X", "y") if "X" in given else ("texts", "labels")
    given["samples"] = len(given[names[1]])
    data = tuple(given[name] for name in names)
    ranking = rank(zoo, data, cuts=cuts, store=place, device="cpu", precision=precision)
    rows = [row for row in ranking.rows if row.status == "ok"]
    assert len(rows) == len(cuts) * len(zoo.models), [row.note for row in ranking.rows]
    return {
        "scores": {(row.model, row.cut): {**row.scores, "consensus": row.score} for row in rows},
        "encodings": {
            row.model: np.array(ranking.encoding(row)) for row in rows if row.cut == cuts[-1]
        },
    }


if __name__ == "__main__":
    sys.exit(main())
