"""What `rank` quotes of the studies on what is known, and the page of these studies.

Each program of a study ends with `bring_in_line`, so that one command makes all of it.
"""

from __future__ import annotations

import csv
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "figures"))

import of_images
from measured import value_of

from zoorank.evaluation.evaluate import RANDOM, STATIC
from zoorank.ranking.guidance import EVIDENCE

BENCHMARKS = Path(__file__).resolve().parents[1]
SERIES = BENCHMARKS / "results" / "informed_series.csv"
QUOTED = (1, 10, 35)


def bring_in_line() -> None:
    """Write what `rank` quotes, and the tables and figures of the documents."""
    import write  # draws pictures too, which what only reads the evidence need not load

    EVIDENCE.write_text(evidence_text(), encoding="utf-8")
    write.main()


def evidence_text() -> str:
    """What `rank` quotes, in JSON: the part of other studies as it is."""
    found = json.loads(EVIDENCE.read_text(encoding="utf-8"))
    rows = read_series()

    def lacks(rule: str, k: int) -> float:
        mine = [row["regret_halves"] for row in rows if (row["rule"], row["k"]) == (rule, k)]
        return round(100 * statistics.mean(mine), 2)

    found["informed"] = {
        "series": {
            "consensus": lacks("consensus", 0),
            "regrets": {str(k): lacks("informed", k) for k in QUOTED},
        }
    }
    found["kinds"] = {"image": of_pictures()}
    return json.dumps(found, indent=2) + "\n"


def of_pictures() -> dict[str, object]:
    """Real networks cut at several layers, as evidence for images."""
    found = of_images.evaluation()
    labels = {"consensus": "consensus", "informed": "informed", **of_images.ALONE}
    said = {"informed": "informed, with a record of nine others,"}
    scores = {
        key: {
            "label": said.get(key, label),
            "top1": round(found[label].measures["held@1"].mean, 4),
            "top3": round(found[label].measures["held@3"].mean, 4),
            "regret": round(100 * found[label].measures["regret@1"].mean, 2),
        }
        for key, label in labels.items()
    }
    single = [key for key in of_images.ALONE if key != "probe"]
    return {
        "name": "image targets of 120 samples (drawings, digits, glyphs, spectrograms)",
        "targets": len(found.targets),
        "candidates": found.n_candidates[0],
        "random": round(100 * found[RANDOM].measures["regret@1"].mean, 2),
        "static": round(100 * found[STATIC].measures["regret@1"].mean, 2),
        "best": min(single, key=lambda key: scores[key]["regret"]),
        "scores": scores,
    }


def read_series() -> list[dict[str, object]]:
    """Rows of informed_series.csv, numbers as numbers."""
    with SERIES.open(encoding="utf-8") as stream:
        return [
            {name: value_of(cell) for name, cell in row.items()} for row in csv.DictReader(stream)
        ]
