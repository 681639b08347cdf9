"""Does picking by what is known pick well for images? Real networks, each cut at several layers.

    python benchmarks/images/study.py [--debian DIR]

Seven networks, each cut at several layers, are the candidates of ten targets. Scores see a part
of a target's samples; the truth is the accuracy on the others of a logistic head on the frozen
encodings of that part. DIR holds what Debian's packages carry (``dpkg -x PACKAGE.deb DIR``;
docs/informed.md has the list); targets whose package is absent are left out. What is in
measurements.csv is not measured again. docs/informed.md is then brought in line.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MEASUREMENTS = HERE / "measurements.csv"


def main() -> int:
    """Measure what is missing, and bring the page in line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--debian", type=Path, default=Path("/"), metavar="DIR")
    parser.add_argument("--store", type=Path, default=default_store(), help="of the encodings")
    options = parser.parse_args()
    # Before numpy is imported: one thread, whatever else the machine does.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ZOORANK_NUM_THREADS"):
        os.environ[variable] = "1"
    os.environ.setdefault("KERAS_BACKEND", "torch")
    measure_missing(options.debian, options.store)
    sys.path.insert(0, str(HERE.parent / "informed"))
    import evidence

    evidence.bring_in_line()
    return 0


def default_store() -> Path:
    """The user's cache: encodings are no part of the project."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "zoorank" / "image-study"


def measure_missing(debian: Path, store: Path) -> None:
    """Append the rows of every target that has none yet."""
    from targets import targets

    done = {row["target"] for row in read_rows()}
    for name, train, test in targets(debian):
        if name in done:
            continue
        began = time.monotonic()
        rows = measure(name, train, test, store)
        new = not MEASUREMENTS.exists()
        with MEASUREMENTS.open("a", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerows(rows)
        print(f"{name}: {len(rows)} candidates, {time.monotonic() - began:.0f} s", flush=True)


def read_rows() -> list[dict[str, str]]:
    """Of measurements.csv; none where there is no such file yet."""
    if not MEASUREMENTS.exists():
        return []
    with MEASUREMENTS.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def measure(
    name: str,
    train: tuple,
    test: tuple,
    store: Path,
    zoo: Path = HERE / "zoo.toml",
    allow_code: Path | tuple[Path, ...] = (),
) -> list[dict[str, object]]:
    """All rows of a target, one for each network and each of its cuts."""
    sys.path.insert(0, str(HERE.parent / "ucr"))
    from measure import head_accuracy

    from zoorank.encoding.encode import encode_source
    from zoorank.ranking.consensus import DEFAULT
    from zoorank.scores import Facts, compute, find_score
    from zoorank.sources.manifest import load_zoo
    from zoorank.store.encodings import EncodingStore
    from zoorank.targets import load_target

    seen, held = (load_target(part, modality="image") for part in (train, test))
    scores = (
        *DEFAULT.parts,
        find_score("silhouette", "cosine"),
        find_score("probe"),
    )
    kept = EncodingStore(store)
    rows: list[dict[str, object]] = []
    for source in load_zoo(zoo, allow_code=allow_code).models:
        of_seen, of_held = (
            encode_source(source, part, store=kept, threads=1).encodings for part in (seen, held)
        )
        for encoding, other in zip(of_seen, of_held, strict=True):
            X = encoding.load()
            values = compute(scores, Facts(seen.labels, X), n_threads=1)
            rows.append(
                {
                    "target": name,
                    "source": source.name,
                    "cut": encoding.record.cut,
                    "n": seen.n_samples,
                    "K": len(seen.classes),
                    "d": encoding.record.dim,
                    "parameters": encoding.record.parameters_kept,
                    **{key: f"{value.value:.6g}" for key, value in values.values.items()},
                    "truth": f"{head_accuracy(X, seen.labels, other.load(), held.labels):.6g}",
                }
            )
    return rows


if __name__ == "__main__":
    sys.exit(main())
