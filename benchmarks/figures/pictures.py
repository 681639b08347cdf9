"""Pictures of docs/, which say in their metadata which figures they show."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from measured import Row, results

# Text stays text: to be read out, searched, and shown in the reader's own font.
STYLE = {"svg.hashsalt": "zoorank", "svg.fonttype": "none", "font.size": 10}
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e5ea2", "#b8860b")
MARKERS = "osD^v"


def save(figure: Figure, path: Path, data: object) -> None:
    """Write a picture as SVG, with a digest of the figures that it shows."""
    metadata = {"Date": None, "Creator": None, "Description": digest(data)}
    with mpl.rc_context(STYLE):
        figure.savefig(path, format="svg", metadata=metadata)


def digest(data: object) -> str:
    """Of figures, to tell a stale picture by whatever drew it: other versions draw otherwise."""
    text = json.dumps(data, sort_keys=True, default=float)
    return f"figures: {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def is_stale(path: Path, data: object) -> bool:
    """Whether a picture shows other figures than these, or is none."""
    found = re.search(r"figures: \w{16}", path.read_text(encoding="utf-8"))
    return found is None or found.group() != digest(data)


def scaling() -> Sequence[Row]:
    """What docs/estimator_scaling.svg shows."""
    return results("estimator_scaling")


def draw_scaling(rows: Sequence[Row]) -> Figure:
    """Seconds over rows on logarithmic axes, a line for each shape."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes: Axes = figure.add_subplot()
        for number, (d, classes) in enumerate(dict.fromkeys((row["d"], row["K"]) for row in rows)):
            line = [
                (row["n"], row["seconds"]) for row in rows if (row["d"], row["K"]) == (d, classes)
            ]
            axes.loglog(
                *zip(*line, strict=True),
                marker=MARKERS[number],
                color=COLOURS[number],
                label=f"d = {d}, K = {classes}",
            )
        counts = sorted({row["n"] for row in rows})
        axes.set_xticks(counts, [f"{n:,}" for n in counts])
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.set_xlabel("rows")
        axes.set_ylabel("seconds")
        axes.set_title("An estimate to within 0.001", fontsize="medium")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure
