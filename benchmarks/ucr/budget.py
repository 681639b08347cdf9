"""What is lost by a quarter of the time? 36 networks, 36 targets, and the plan of `rank --budget`.

    python benchmarks/ucr/budget.py [--measure]

The plan is that of the product; no network is run. What a network takes on a target is replayed
from budget_costs.csv: processor seconds of one thread, to open it and encode TRAIN at three cuts,
and to compute the four scores of the consensus. Scores and truths are those of measurements.csv. A
budget is a share of what all networks of a target take together. The zoo is shuffled, for the order
of a manifest says nothing; "nothing" is what a plan does then, and "record" what it does if it is
told how each network did on the other 35 targets, of which the target at hand is none.

The targets have 250 rows at most, of which the product takes no sample. How far the place of a
network on a quarter of its rows agrees with that on all is in the second table.

`--measure` measures anew, which takes about twenty minutes of one core and the data of the study.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
COSTS = HERE / "budget_costs.csv"
SHARES = (0.125, 0.25, 0.5, 1.0)
ORDERS = 20
# Points of regret more than a run of all, at a quarter of the time. One is the bar; with nothing
# known of the networks it is missed, as docs/budget.md says, and must not be by more than this.
ALLOWED = {"record": 1.0, "nothing": 1.3}
BAR = 1.0

Row = dict[str, "str | int | float"]


def main() -> str | int:
    """Measure where that is asked for, replay, and say whether the claim holds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--measure", action="store_true", help="budget_costs.csv, first")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results")
    options = parser.parse_args()
    if options.measure:
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ZOORANK_NUM_THREADS"):
            os.environ[variable] = "1"
        from study import MANIFEST, ROOT, default_cache, write_rows

        data = Path(os.environ.get("ZOORANK_DATA", ROOT.parent / "shared" / "data"))
        if not (data / "fcn-zoo").is_dir():
            print(f"skipped: no fcn-zoo in {data}; set ZOORANK_DATA to the folder that holds it")
            return 0
        write_rows(COSTS, list(measured(data, MANIFEST, default_cache() / "budget")))
    sys.path.insert(0, str(HERE.parent))
    from _common import RESULTS, finish

    rows = replayed()
    finish(rows, "budget", options.out or RESULTS)
    finish(agreements(), "budget_sample", options.out or RESULTS)
    return verdict(rows)


def verdict(rows: Sequence[Row]) -> str | int:
    """Say what a quarter of the time loses, and give what is more than is allowed; 0 if nothing."""
    wrong = []
    for row in rows:
        if row["share"] == 0.25:
            known, lost = (
                row["known"] or "nothing",
                float(row["regret"]) - float(row["regret of all"]),
            )
            bar = "within" if lost <= BAR else "more than"
            print(f"{known}: {lost:+.2f} points, {bar} the bar of {BAR:g}")
            allowed = ALLOWED[str(known)]
            if lost > allowed:
                wrong.append(
                    f"{lost:.2f} points are lost by a quarter of the time with {known} known, "
                    f"and {allowed:g} are allowed"
                )
    return "; ".join(wrong) or 0


def measured(data: Path, manifest: Path, cache: Path) -> Iterator[Row]:
    """A row for each target and network: what it takes, and its place on parts of the rows."""
    import numpy as np
    import torch
    from measure import CUTS, networks, part

    from zoorank.encoding.encode import encode_source
    from zoorank.ranking.consensus import Consensus
    from zoorank.scores import Facts, compute
    from zoorank.store.encodings import EncodingStore
    from zoorank.targets.labels import drawn

    torch.set_num_threads(1)
    parts = Consensus.default().parts
    for name in sorted(path.stem for path in (data / "ucr").glob("*.npz")):
        target = part(data, name, "train")
        n, codes = target.n_samples, np.unique(target.labels, return_inverse=True)[1]
        quarter = np.sort(drawn(codes, n // 4, seed=0))
        for network in networks(data, manifest):
            if network.name == name:
                continue
            start = time.process_time()
            encoded = encode_source(
                network, target, cuts=CUTS, store=EncodingStore(cache), batch_size=64
            )
            encoding = time.process_time() - start
            row: Row = {"target": name, "network": network.name, "n": n, "quarter": len(quarter)}
            row |= {"encode": encoding, "score": 0.0}
            for cut, each in zip(CUTS, encoded.encodings, strict=True):
                X = np.asarray(each.load())
                start = time.process_time()
                compute(parts, Facts(target.labels, X), n_threads=1)
                row["score"] = float(row["score"]) + time.process_time() - start
                try:
                    found = compute(parts, Facts(target.labels[quarter], X[quarter]), n_threads=1)
                    values = {key: each.value for key, each in found.values.items()}
                except (ValueError, ArithmeticError):
                    values = {}
                row |= {f"{cut} {key.key}": values.get(key.key, float("nan")) for key in parts}
            yield row
        print(f"costs: {name}", flush=True)


def replayed() -> list[Row]:
    """Mean regret for each share of the time, with nothing known and with a record."""
    import numpy as np
    from candidates import Study

    from zoorank.ranking.planner import recorded

    study = Study.read(HERE)
    costs = {(row["target"], row["network"]): row for row in read(COSTS)}
    rows = []
    for known in ("", "record"):
        for share in SHARES:
            found = []
            for place, target in enumerate(study.plain):
                record = recorded(figures(study.plain, place)) if known else {}
                found += [replay(target, costs, record, share, order) for order in range(ORDERS)]
            regret, whole, run, networks = np.array(found).mean(axis=0)
            rows.append(
                {
                    "known": known,
                    "share": share,
                    "targets": len(study.plain),
                    "orders": ORDERS,
                    "networks": networks,
                    "run": run,
                    "regret": regret,
                    "regret of all": whole,
                }
            )
    return rows


def replay(
    target: object,
    costs: Mapping[tuple[str, str], Mapping[str, str]],
    record: Mapping[str, float],
    share: float,
    order: int,
) -> tuple[float, float, int, int]:
    """Regret in points of the pick among those that a plan runs, and among all."""
    import numpy as np
    from picks import PARTS, first, only, rank_average

    from zoorank.ranking.planner import Prospect, Schedule, Spent, sample_size

    def regret(names: Sequence[str]) -> float:
        kept = only(target, [name in names for name, _ in target.names])
        if not kept.names:
            return 100 * float(target.truth.max() - target.truth.mean())  # any one, by chance
        pick = first(kept, rank_average(PARTS)(kept))
        return 100 * float(target.truth.max() - kept.truth[pick])

    networks = list(dict.fromkeys(name for name, _ in target.names))
    rows, takes = 1, {}
    for name in networks:
        row = costs[target.target, name]
        rows = int(row["n"])
        takes[name] = float(row["encode"]) + float(row["score"])
    left = share * sum(takes.values()) * (1 + 1e-9)
    shuffled = np.random.default_rng(order).permutation(networks).tolist()
    prospects = [Prospect(name, "fcn", record.get(name)) for name in shuffled]
    plan = Schedule(prospects, rows, sample_size(rows, 2))
    run: list[str] = []
    while (step := plan.next(left)) is not None:
        left -= takes[step.name]
        if left < 0:  # it is ended with the budget
            break
        plan.ended(step.name, Spent(0.0, takes[step.name] / rows))
        run.append(step.name)
    return regret(run), regret(networks), len(run), len(networks)


def figures(targets: Sequence[object], left_out: int) -> Iterator[tuple[str, str, float]]:
    """The truths of all targets but one, as a record has them."""
    for place, target in enumerate(targets):
        if place != left_out:
            for (name, _), truth in zip(target.names, target.truth, strict=True):
                yield target.target, name, float(truth)


def agreements() -> list[Row]:
    """How the places of the networks on a quarter of the rows go with those on all."""
    import numpy as np
    from candidates import Study
    from measure import CUTS
    from picks import PARTS, rank_average
    from scipy.stats import rankdata, spearmanr

    rows = []
    by_target: dict[str, list[dict[str, str]]] = {}
    for row in read(COSTS):
        by_target.setdefault(row["target"], []).append(row)
    for target in Study.read(HERE).plain:
        said = by_target[target.target]
        table = np.array([[float(r[f"{c} {p}"]) for p in PARTS] for r in said for c in CUTS])
        if np.isnan(table).any():
            continue
        on_quarter = rankdata(table, axis=0).mean(axis=1).reshape(-1, len(CUTS)).max(axis=1)
        on_all = rank_average(PARTS)(target).reshape(-1, len(CUTS)).max(axis=1)
        rows.append(
            {
                "target": target.target,
                "rows": int(said[0]["n"]),
                "quarter": int(said[0]["quarter"]),
                "agreement": float(spearmanr(on_quarter, on_all).statistic),
            }
        )
    return rows


def read(path: Path) -> list[dict[str, str]]:
    """Rows of a table."""
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


if __name__ == "__main__":
    sys.exit(main())
