"""Brings the measured figures in README.md and docs/ in line with the files of results.

    python benchmarks/figures/write.py

Run it when results of the machine that the documents quote (MACHINE in measured.py) have been
measured again; quoted.py says what is quoted. `make figures` does this, and the page of the UCR
study before. tests/docs/test_figures.py fails where a document quotes anything else.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pages import tables_as_measured
from quoted import PICTURES, SENTENCES, TABLES

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


def main() -> int:
    """Write what is stale, and say what that was."""
    for page in (*PAGES, *PICTURES):
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        measured = as_measured(page, text)
        if measured != text:
            path.write_text(measured, encoding="utf-8")
            print(f"written: {page}")
    return 0


def as_measured(page: str, text: str) -> str:
    """The text of a page, or of a picture, with all figures as they were measured."""
    if page in PICTURES:
        return PICTURES[page]()
    for sentence in SENTENCES:
        if sentence.page == page:
            text = sentence.as_measured(text)
    return tables_as_measured(text, TABLES)


if __name__ == "__main__":
    sys.exit(main())
