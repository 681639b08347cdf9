"""Brings the measured figures in README.md and docs/ in line with the files of results.

    python benchmarks/figures/write.py

Run it when results of the machine that the documents quote (MACHINE in measured.py) have been
measured again; quoted.py says what is quoted. `make figures` does this, and the page of the UCR
study too, whose figures benchmarks/ucr/study.py fills in. tests/docs/test_figures.py fails where
a document quotes anything else.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pages import as_measured
from pictures import draw_scaling, is_stale, save, scaling
from quoted import TABLES, figures

ROOT = Path(__file__).resolve().parents[2]
SCALING = "docs/estimator_scaling.svg"
STUDY = "docs/ucr-study.md"  # of benchmarks/ucr/study.py
PAGES = [
    "README.md",
    *(
        page
        for path in sorted((ROOT / "docs").rglob("*.md"))
        if (page := path.relative_to(ROOT).as_posix()) != STUDY
    ),
]


def main() -> int:
    """Write what is stale, and say what that was."""
    measured = figures()
    for page in PAGES:
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        new = as_measured(text, TABLES, measured)
        if new != text:
            path.write_text(new, encoding="utf-8")
            print(f"written: {page}")
    if is_stale(ROOT / SCALING, scaling()):
        save(draw_scaling(scaling()), ROOT / SCALING, scaling())
        print(f"written: {SCALING}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
