"""IDS on the study's data sets, and how close it comes to its authors' own ranking.

    python benchmarks/ucr/ids.py [--jobs 2]

Writes two tables beside this file. ids.csv has the score of every candidate of the study,
from the samples that the other scores see; it is a distance, so less is better, and the same
for all cuts of a network. ids_published.csv compares, target by target, with the ranking
that the authors published (similar_datasets.csv in shared/data/tables): once from the TRAIN of
2018, which the study uses, and once from that of 2015, which they used; for some data sets
the two parts changed places in between. Prototypes are kept, so a run that was stopped goes
on where it was.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import measure
import numpy as np
from study import HERE, ROOT, default_cache, write_rows

from zoorank.scores.ids import class_prototypes, inter_dataset_distance

SCORES = HERE / "ids.csv"
COMPARISON = HERE / "ids_published.csv"

Part = tuple[str, str]  # the name of a data set, and which part of it
Prototypes = Mapping[str, np.ndarray]
Distances = dict[tuple[str, str], float]


def main() -> int:
    """Find prototypes, then write both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="for prototypes")
    options = parser.parse_args()
    data = Path(os.environ.get("ZOORANK_DATA", ROOT.parent / "shared" / "data"))
    if not (data / "tables").is_dir():
        print(f"skipped: no tables in {data}; set ZOORANK_DATA to the folder that holds them")
        return 0
    names = sorted(path.stem for path in (data / "ucr").glob("*.npz"))
    parts = {
        "TRAIN": dict.fromkeys(names, "TRAIN"),
        "study": {name: seen_by_the_study(name, data) for name in names},
        "2015": {name: train_of_2015(name, data / "tables") for name in names},
    }
    needed = sorted({item for part in parts.values() for item in part.items()})
    found = prototypes(needed, data, options.cache / "prototypes", options.jobs)
    train, study, of_2015 = (
        {name: found[name, kind] for name, kind in part.items()} for part in parts.values()
    )
    write_scores(distances(study, train))
    compare(data / "tables", distances(train, train), distances(of_2015, of_2015))
    return 0


def seen_by_the_study(name: str, data: Path) -> str:
    """What the other scores see of a target: TRAIN, or a sample where that is large."""
    with np.load(data / "ucr" / f"{name}.npz") as file:
        return "sample" if len(file["y_train"]) > measure.MOST["train"] else "TRAIN"


def train_of_2015(name: str, tables: Path) -> str:
    """The part of 2018 that was TRAIN in 2015."""
    return "TEST" if swapped(tables)[name] else "TRAIN"


def prototypes(needed: list[Part], data: Path, cache: Path, jobs: int) -> dict[Part, np.ndarray]:
    """Prototypes of parts of data sets; those that are kept already are not sought again."""
    cache.mkdir(parents=True, exist_ok=True)
    files = {part: cache / f"{' '.join(part)}.npy" for part in needed}
    work = [(part, data, file) for part, file in files.items() if not file.exists()]
    # numba compiles once for each process; a fork would share its locks.
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for done, part in enumerate(pool.imap_unordered(find, work), len(needed) - len(work) + 1):
            print(f"{done}/{len(needed)} {' '.join(part)}", flush=True)
    return {part: np.load(file) for part, file in files.items()}


def find(work: tuple[Part, Path, Path]) -> Part:
    """Prototypes of one part of a data set, into a file that appears when it is whole."""
    part, data, file = work
    partial = file.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.save(stream, class_prototypes(*samples(part, data)))
    partial.replace(file)
    return part


def samples(part: Part, data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Series and labels of a part of a data set."""
    name, kind = part
    if kind == "sample":
        target = measure.part(data, name, "train")
        return np.asarray(target.X), target.labels
    split = "test" if kind == "TEST" else "train"
    with np.load(data / "ucr" / f"{name}.npz") as file:
        return file[f"X_{split}"], file[f"y_{split}"]


def swapped(tables: Path) -> dict[str, bool]:
    """Whether the parts of a data set have changed places since 2015."""
    return {row["name2018"]: row["fits_test2018"] == "False" for row in names_of(tables)}


def names_of(tables: Path) -> list[dict[str, str]]:
    """Data sets under their names of 2015 and of 2018."""
    text = (tables / "name_map_2015_to_2018.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def distances(targets: Prototypes, sources: Prototypes) -> Distances:
    """IDS of every target and every other data set."""
    return {
        (target, source): inter_dataset_distance(targets[target], sources[source]).value
        for target in targets
        for source in sources
        if source != target
    }


def write_scores(ids: Distances) -> None:
    """The study's candidates, in the form of its measurements."""
    write_rows(
        SCORES,
        [
            {"target": target, "network": source, "cut": cut, "ids": value}
            for (target, source), value in ids.items()
            for cut in measure.CUTS
        ],
    )
    print(f"written: {SCORES}")


def compare(tables: Path, ids: Distances, ids_2015: Distances) -> None:
    """How far our order of the sources and the published one agree, for each target."""
    from scipy.stats import spearmanr

    to_2018 = {row["name2015"]: row["name2018"] for row in names_of(tables)}
    _, *lines = csv.reader((tables / "similar_datasets.csv").read_text("utf-8").splitlines())
    lists = {to_2018[first]: [to_2018[name] for name in others] for first, *others in lines}
    rows = []
    for target in dict.fromkeys(target for target, _ in ids):
        published = [name for name in lists[target] if (target, name) in ids]
        row: dict[str, object] = {"target": target, "parts swapped": swapped(tables)[target]}
        for year, found in (("2018", ids), ("2015", ids_2015)):
            ours = [found[target, name] for name in published]
            row[f"spearman {year}"] = float(spearmanr(range(len(ours)), ours).statistic)
            row[f"place of the published first {year}"] = 1 + sum(np.array(ours) < ours[0])
        rows.append(row)
    write_rows(COMPARISON, rows)
    for year in ("2018", "2015"):
        rho = np.array([row[f"spearman {year}"] for row in rows], dtype=float)
        first = sum(row[f"place of the published first {year}"] == 1 for row in rows)
        print(
            f"TRAIN of {year}: Spearman's rho with the published ranking has mean "
            f"{rho.mean():.4f}, median {np.median(rho):.4f}, least {rho.min():.4f} "
            f"({rows[int(rho.argmin())]['target']}); the same first for {first} of {len(rows)}"
        )
    print(f"written: {COMPARISON}")


if __name__ == "__main__":
    sys.exit(main())
