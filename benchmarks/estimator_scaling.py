"""How do time and memory of an estimate grow with the rows?

Each size is checked before it is timed: the interval of the estimate has to meet that of another
seed. Writes a CSV and docs/estimator_scaling.svg, unless other sizes are asked for.

    python benchmarks/estimator_scaling.py [--sizes 100000 300000 1000000]
"""

import argparse
import math
import multiprocessing
from pathlib import Path

from _common import finish, peak_extra_mb, results_of
from _estimator_data import many

import zoorank

DOCS = Path(__file__).resolve().parent.parent / "docs"
SHAPES = ((128, 100), (128, 1000), (512, 100))  # features, classes
BUDGET = {(128, 1000): 30, (512, 100): 60}  # seconds that a million rows may take


def measure(n, d, classes):
    X, y = many(n, d, classes)
    results = []
    peak = peak_extra_mb(
        lambda: results.append(zoorank.silhouette(X, y, method="estimate", random_state=0))
    )
    (first,) = results
    second = zoorank.silhouette(X, y, method="estimate", random_state=1)
    assert first.method == "estimate"
    assert abs(first.score - second.score) <= first.half_width + second.half_width
    seconds = min(first.seconds, second.seconds)
    return {
        "n": n,
        "d": d,
        "K": classes,
        "score": first.score,
        "half width": first.half_width,
        "rows": first.rows_evaluated,
        "seconds": seconds,
        "us per row": 1e6 * seconds / n,
        "MB over input": peak,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[100_000, 300_000, 1_000_000])
    arguments = parser.parse_args()
    # Each in a process of its own, whose memory holds nothing of the one before.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        shapes = [(n, d, classes) for d, classes in SHAPES for n in arguments.sizes]
        rows = pool.starmap(measure, shapes, chunksize=1)
    out = results_of(parser, arguments, "sizes")
    finish(rows, "estimator_scaling", out)
    for row in rows:
        allowed = BUDGET.get((row["d"], row["K"])) if row["n"] == 1_000_000 else None
        if allowed:
            verdict = "within" if row["seconds"] <= allowed else "OVER"
            print(f"{row['d']} features, {row['K']} classes: {verdict} {allowed} s")
    if out:
        (DOCS / "estimator_scaling.svg").write_text(plot(rows))


def plot(rows):
    """Seconds over rows, both on logarithmic axes."""
    width, height, left, bottom = 560, 360, 60, 310
    decades = [math.log10(row["n"]) for row in rows]
    low, high = min(decades), max(decades)
    most = math.ceil(math.log10(max(row["seconds"] for row in rows)))
    least = math.floor(math.log10(min(row["seconds"] for row in rows)))

    def at(n, seconds):
        x = left + (math.log10(n) - low) / (high - low) * 380
        y = bottom - (math.log10(seconds) - least) / (most - least) * 270
        return x, y

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        "<style>text { font: 12px sans-serif }</style>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        '<text x="60" y="22">Seconds for an estimate to within 0.001</text>',
    ]
    for power in range(least, most + 1):
        y = at(rows[0]["n"], 10**power)[1]
        parts.append(f'<path d="M{left} {y:.1f}H{left + 380}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
        )
    for n in sorted({row["n"] for row in rows}):
        x = at(n, 1)[0]
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{n:,}</text>')
    parts.append(f'<text x="{left + 190}" y="{bottom + 38}" text-anchor="middle">rows</text>')
    for (d, classes), colour in zip(SHAPES, ("#1b6ca8", "#c0392b", "#2e8b57"), strict=True):
        line = [at(r["n"], r["seconds"]) for r in rows if (r["d"], r["K"]) == (d, classes)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in line]
        x, y = line[-1]
        parts.append(f'<text x="{x + 8:.1f}" y="{y + 4:.1f}">d = {d}, K = {classes}</text>')
    return "\n".join([*parts, "</svg>\n"])


if __name__ == "__main__":
    main()
