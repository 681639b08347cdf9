"""Does picking by a score pick well? 36 networks, 36 targets, a cut after each block.

    python benchmarks/ucr/study.py [--jobs 2] [--rounds 4] [--tables-only]

Each target's own network is left out. Scores see TRAIN alone. The first truth is the accuracy
on TEST of a logistic head on the frozen encoding, for every candidate; the second that of a
short fine-tuning, for a sample of them and for the picks of a few selectors. The data are
looked for in ZOORANK_DATA, else in shared/data beside the project. What is in measurements.csv,
tuned.csv and costs.csv beside this file is not measured again, nor is what a run that was
stopped had done; remove a file to make it anew. The tables end up in docs/ucr-study.md.
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
MEASUREMENTS, TUNED, COSTS = (HERE / f"{name}.csv" for name in ("measurements", "tuned", "costs"))


def main() -> int:
    """Measure what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes for scores")
    parser.add_argument("--rounds", type=int, default=4, help="of three candidates to fine-tune")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="for what is half done")
    parser.add_argument("--tables-only", action="store_true", help="from the files of measurements")
    options = parser.parse_args()
    # Before numpy is imported: each process has one thread, and so have the times.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ZOORANK_NUM_THREADS"):
        os.environ[variable] = "1"
    if not options.tables_only:
        data = Path(os.environ.get("ZOORANK_DATA", ROOT.parent / "shared" / "data"))
        if not (data / "fcn-zoo").is_dir():
            print(f"skipped: no fcn-zoo in {data}; set ZOORANK_DATA to the folder that holds it")
            return 0
        measure_missing(data, options.cache, options.jobs, options.rounds)
    from tables import write_tables

    print(f"written: {write_tables(HERE, ROOT / 'docs' / 'ucr-study.md')}")
    return 0


def default_cache() -> Path:
    """The user's cache: encodings are no part of the project."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "zoorank" / "ucr-study"


def measure_missing(data: Path, cache: Path, jobs: int, rounds: int) -> None:
    """Scores and heads, then costs, then fine-tuning, of which the scores name a part."""
    from candidates import Study
    from costs import measure_costs
    from finetune import jobs as trainings
    from finetune import tune_all
    from second import wanted_picks

    if not MEASUREMENTS.exists():
        files = measure_all(data, cache, jobs)
        rows = [row for file in files for row in csv.DictReader(file.open(encoding="utf-8"))]
        write_rows(MEASUREMENTS, rows)
    if not COSTS.exists():
        write_rows(COSTS, measure_costs(data, MANIFEST, cache / "encodings"))
    study = Study.read(HERE)
    wanted = trainings(study.sizes, rounds, wanted_picks(study))
    kept = cache / "tuned.csv"
    if TUNED.exists() and not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(TUNED.read_bytes())
    write_rows(TUNED, tune_all(wanted, data, MANIFEST, kept))


def measure_all(data: Path, cache: Path, jobs: int) -> list[Path]:
    """One file for each target; those that are there already are not measured again."""
    names = sorted(path.stem for path in (data / "ucr").glob("*.npz"))
    files = [cache / "targets" / f"{name}.csv" for name in names]
    files[0].parent.mkdir(parents=True, exist_ok=True)
    missing = [file for file in files if not file.exists()]
    # torch hangs in a forked child, so they are spawned.
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


def write_rows(path: Path, rows: list[dict]) -> None:
    """Write dicts as CSV, floats to six digits: more than any table shows."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: short(value) for key, value in row.items()})


def short(value: object) -> object:
    """Six digits of a float."""
    return f"{value:.6g}" if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
