"""Does picking by a score pick well? 36 networks, 36 targets, a cut after each block.

    python benchmarks/ucr/study.py [--jobs 2] [--tables-only]

Each target's own network is left out. Scores see TRAIN alone; the truth is the accuracy on
TEST of a logistic head on the frozen encoding. The data are looked for in ZOORANK_DATA, else
in shared/data beside the project. A run that was stopped goes on where it was; the
measurements end up in measurements.csv beside this file, the tables in docs/ucr-study.md.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MANIFEST = ROOT / "examples" / "ucr" / "zoo.toml"
MEASUREMENTS = HERE / "measurements.csv"


def main() -> int:
    """Measure what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="for what is half done")
    parser.add_argument("--tables-only", action="store_true", help="from measurements.csv")
    options = parser.parse_args()
    if not options.tables_only:
        data = Path(os.environ.get("ZOORANK_DATA", ROOT.parent / "shared" / "data"))
        if not (data / "fcn-zoo").is_dir():
            print(f"skipped: no fcn-zoo in {data}; set ZOORANK_DATA to the folder that holds it")
            return 0
        gather(measure_all(data, options.cache, options.jobs))
    from tables import write_tables

    print(f"written: {write_tables(MEASUREMENTS, ROOT / 'docs' / 'ucr-study.md')}")
    return 0


def default_cache() -> Path:
    """The user's cache: encodings are no part of the project."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "zoorank" / "ucr-study"


def measure_all(data: Path, cache: Path, jobs: int) -> list[Path]:
    """One file for each target; those that are there already are not measured again."""
    names = sorted(path.stem for path in (data / "ucr").glob("*.npz"))
    files = [cache / "targets" / f"{name}.csv" for name in names]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    missing = [file for file in files if not file.exists()]
    # Each process has one thread; torch hangs in a forked child, so they are spawned.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ZOORANK_NUM_THREADS"):
        os.environ[variable] = "1"
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        work = [(file, data, cache / "encodings") for file in missing]
        for done, file in enumerate(pool.imap_unordered(measure_one, work), 1):
            print(f"{len(files) - len(missing) + done}/{len(files)} {file.stem}", flush=True)
    return files


def measure_one(work: tuple[Path, Path, Path]) -> Path:
    """Measure a target into its file, which appears when it is whole."""
    from measure import measure

    file, data, store = work
    rows = measure(file.stem, data, MANIFEST, store)
    write_rows(file.with_suffix(".partial"), rows)
    return file.with_suffix(".partial").replace(file)


def gather(files: list[Path]) -> None:
    """Put the files of all targets together."""
    rows = [row for file in files for row in csv.DictReader(file.open(encoding="utf-8"))]
    write_rows(MEASUREMENTS, rows)


def write_rows(path: Path, rows: list[dict]) -> None:
    """Write dicts as CSV, floats to six digits."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: short(key, value) for key, value in row.items()})


def short(key: str, value: object) -> object:
    """Six digits of a float, three of a time: more than any table shows, in a smaller file."""
    if key.endswith("_seconds"):
        return f"{float(str(value)):.3g}"
    return f"{value:.6g}" if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
