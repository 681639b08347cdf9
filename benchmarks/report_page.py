"""How large is report.html, and how soon does it open? Needs Chromium; ends with 77 without it.

Opened from a file, in a window of 1400 by 900. "read" is the first paint, "ready" the end of
loading, when the table sorts and filters; charts are drawn when they come near the window, and
"charts" is what those of depth and cost take together then. The bar for 500 sources at 5 cuts is
2 s to "ready", and 8 MB.

    python benchmarks/report_page.py
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from _common import arguments, finish

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.report.browser import chromium, lacks
from tests.report.rankings import of_images, ranking_of, zoo

from zoorank.report.html import page

MOST_SECONDS, MOST_MB = 2.0, 8.0
TIMES = """
const [paint] = performance.getEntriesByName("first-contentful-paint");
const [load] = performance.getEntriesByType("navigation");
return [paint ? paint.startTime : load.domInteractive, load.loadEventEnd];
"""
DRAW = """
const done = arguments[0], charts = [...document.querySelectorAll("#depth .chart, #cost .chart")];
const start = performance.now();
const look = () => charts.every((chart) => "drawn" in chart.dataset)
  ? done(performance.now() - start) : requestAnimationFrame(look);
charts[0].scrollIntoView({ behavior: "instant" });
look();
"""


def main(argv=None):
    chosen = arguments(__doc__, argv)
    if lacks():
        print(f"skipped: {lacks()}")
        return 77
    sizes = (20,) if chosen.quick else (20, 100, 500)
    rows = []
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for sources in sizes:
            names = [f"org/some-model-{i}" for i in range(sources)]
            ranking = ranking_of(zoo(names, cuts=[f"blocks.{i}" for i in range(5)]))
            _, closeups = of_images()
            start = time.perf_counter()
            text = page(ranking, closeups)
            written = time.perf_counter() - start
            path = Path(folder, f"{sources}.html")
            path.write_text(text, encoding="utf-8")
            rows.append(
                {
                    "sources": sources,
                    "cuts": 5,
                    "MB": path.stat().st_size / 1e6,
                    "write s": written,
                    **opened(browser, path, sources, chosen.rounds),
                }
            )
    finish(rows, "report_page", chosen.out)
    largest = rows[-1]
    holds = largest["ready s"] <= MOST_SECONDS and largest["MB"] <= MOST_MB
    return 0 if holds else "the largest report is too large, or opens too late"


def opened(browser, path, sources, rounds):
    """Medians over openings, each checked for what the page shows."""
    found = []
    for _ in range(rounds):
        browser.open(path)
        first, ready = browser.run(TIMES)
        times = {"read s": first, "ready s": ready}
        times["charts s"] = browser.driver.execute_async_script(DRAW)
        for chart in ("depth", "cost"):
            points = browser.all(f"[data-chart={chart}] [aria-roledescription=point]")
            if len(points) != 5 * sources:
                raise AssertionError(f"{len(points)} points in the chart of {5 * sources} cuts")
        if browser.messages() or browser.requests():
            raise AssertionError("the page complains, or asks for something")
        found.append(times)
    return {name: statistics.median(each[name] for each in found) / 1000 for name in found[0]}


if __name__ == "__main__":
    sys.exit(main())
