"""Rank time-series networks for one data set of the UCR archive.

    python examples/ucr/run.py [TARGET] [--with-own] [--metric METRIC] [--out DIR]

TARGET is the name of a data set, Coffee by default. The data are looked for in
ZOORANK_DATA, else in shared/data beside the project.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

import zoorank
from zoorank.errors import ZoorankError
from zoorank.report.progress import progress
from zoorank.report.table import RankingTable
from zoorank.sources.manifest import Zoo, load_zoo

HERE = Path(__file__).resolve().parent


def main(arguments: list[str]) -> int:
    """Rank the zoo beside this file; skip where there are no data."""
    options = _parse(arguments)
    beside = HERE.parents[2] / "shared" / "data"
    data = Path(os.environ.setdefault("ZOORANK_DATA", str(beside)))
    if not (data / "fcn-zoo").is_dir():
        print(f"skipped: no fcn-zoo in {data}; set ZOORANK_DATA to the folder that holds it")
        return 0
    try:
        zoo = load_zoo(HERE / "zoo.toml", allow_code=[HERE])
        if not options.with_own:
            zoo = without(zoo, options.target)
        with progress() as watcher:
            ranking = zoorank.rank(
                zoo,
                data / "ucr" / f"{options.target}.npz",
                out=options.out,
                progress=watcher,
                command=shlex.join([Path(sys.executable).name, __file__, *arguments]),
                metric=options.metric,
            )
    except ZoorankError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    Console().print(RankingTable(ranking))
    return 0


def without(zoo: Zoo, target: str) -> Zoo:
    """Leave out the network that was trained on the target, and say so."""
    others = tuple(spec for spec in zoo.models if spec.name != target)
    if len(others) < len(zoo.models):
        print(f"left out {target}, the network trained on the target (--with-own keeps it)")
    return replace(zoo, models=others)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", nargs="?", default="Coffee", help="a data set (Coffee)")
    parser.add_argument("--with-own", action="store_true", help="keep the target's own network")
    parser.add_argument("--metric", help="distance of the silhouette")
    parser.add_argument("--out", metavar="DIR", help="folder for ranking.json and ranking.csv")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
