"""The picture of docs/estimator.md."""

from __future__ import annotations

import math
from collections.abc import Sequence

from measured import Row


def scaling_picture(rows: Sequence[Row]) -> str:
    """Seconds over rows, both on logarithmic axes, a line for each shape; SVG."""
    width, height, left, bottom = 560, 360, 60, 310
    shapes = dict.fromkeys((row["d"], row["K"]) for row in rows)
    decades = [math.log10(row["n"]) for row in rows]
    low, high = min(decades), max(decades)
    most = math.ceil(math.log10(max(row["seconds"] for row in rows)))
    least = math.floor(math.log10(min(row["seconds"] for row in rows)))

    def at(n: float, seconds: float) -> tuple[float, float]:
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
    for (d, classes), colour in zip(shapes, ("#1b6ca8", "#c0392b", "#2e8b57"), strict=True):
        line = [at(r["n"], r["seconds"]) for r in rows if (r["d"], r["K"]) == (d, classes)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in line]
        x, y = line[-1]
        parts.append(f'<text x="{x + 8:.1f}" y="{y + 4:.1f}">d = {d}, K = {classes}</text>')
    return "\n".join([*parts, "</svg>\n"])
