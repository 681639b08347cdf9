"""Does a race find the winner of the full run, and at what part of its cost?

36 networks cut at three layers, for the three largest sets of the UCR archive that are at hand,
TRAIN and TEST together; a set's own network is left out. First table: every seed of the race
against the full run. `forwards` and `flops` are parts of the full run's; so are `time` and
`cpu time` (all threads together) for the seeds that really ran their networks, into an empty
store of their own: others take the rows they ask for from the store of the full run. `covered`
is the part of the intervals of rows that left the race which hold their score on all rows.

Second table: what the difference of a candidate to the winner is off by on a sample. `deviation` is
measured over seeds, `error` is what a race reckons with, and `naive` what it would be if the
silhouettes of a sample were independent values. `by size` is the deviation where classes have
rows in proportion to their size. `controlled` is the deviation once the winner's source and the
next one are run on all rows at all cuts, over the sources besides, and `controlled error` what a
race then reckons with.

Third table: why the scores of the consensus cannot race but for the silhouette. `bias` is what the
difference of a candidate to another is off by on average over simple random samples, in
deviations of that difference.

Fourth table: how often a race loses the best of models that are all alike but for noise, and how
many of the intervals of those that left hold.

Fifth table: the intervals of rows that left over more seeds, each a race on the store of the full
run, beside those of `first order` alone: without the bias, and by the least squares that the
decisions take. `off by` is the root mean square error of the estimates.

    python benchmarks/racing.py [--seeds 10] [--timed 2] [--sets ECG5000 ...] [--tables race ...]
"""

import argparse
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from _common import RESULTS, finish
from _estimator_data import DATA
from _races import CONFIDENCE, METRIC, Ran, coverage

import zoorank
from zoorank.encoding.encode import encode_source
from zoorank.ranking.consensus import PARTS
from zoorank.ranking.racing.elimination import RoundEstimates
from zoorank.ranking.racing.race import CONTROLS
from zoorank.ranking.racing.samples import LEAST_PER_CLASS, Sample, samples
from zoorank.scores import find_scores
from zoorank.scores.sampled import sampled_silhouette
from zoorank.sources.manifest import load_zoo
from zoorank.store.encodings import EncodingStore
from zoorank.targets import load_target

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "ucr"
SETS = ("ECG5000", "FacesUCR", "InsectWingbeatSound")
CUTS = ("layers.0", "layers.1", "penultimate")
TABLES = ("race", "spread", "meaning", "null", "intervals")
# Sizes of classes, number of models: alike, one rare class, many classes, many models.
NULLS = (((300,) * 4, 12), ((700, 380, 100, 20), 12), ((80,) * 10, 30), ((1500, 500), 40))


@dataclass(frozen=True)
class Case:
    """One target with the networks of the others."""

    name: str
    zoo: object
    data: dict

    @classmethod
    def of(cls, name):
        os.environ["ZOORANK_DATA"] = str(DATA)
        zoo = load_zoo(EXAMPLE / "zoo.toml", allow_code=[EXAMPLE])
        others = tuple(spec for spec in zoo.models if spec.name != name)
        with np.load(DATA / "ucr" / f"{name}.npz") as halves:
            X = np.concatenate([halves["X_train"], halves["X_test"]])
            y = np.concatenate([halves["y_train"], halves["y_test"]])
        return cls(name, replace(zoo, models=others), {"X": X, "y": y})

    def rank(self, store, **settings):
        begin = np.array([time.perf_counter(), time.process_time()])
        ranking = zoorank.rank(
            self.zoo, self.data, cuts=CUTS, metric=METRIC, store=store, **settings
        )
        return ranking, np.array([time.perf_counter(), time.process_time()]) - begin

    def encodings(self, rows, store):
        """Encodings that rows of a full run on this store are of."""
        target, specs = load_target(self.data), {spec.name: spec for spec in self.zoo.models}
        return [
            encode_source(specs[row.model], target, cuts=[row.cut], store=EncodingStore(store))
            .encodings[0]
            .load()
            for row in rows
        ]


def races(case, store, seeds, timed):
    """A row for each seed."""
    full, full_seconds = case.rank(store)
    truth = {(row.model, row.cut): row.score for row in full if row.status == "ok"}
    shares = flops_shares(case, store)
    for seed in range(seeds):
        settings = {"race": True, "confidence": CONFIDENCE, "random_state": seed}
        if seed < timed:
            with tempfile.TemporaryDirectory() as own:
                raced, seconds = case.rank(own, **settings)
        else:
            raced, seconds = case.rank(store, **settings)
        rows = [row for row in raced if row.status == "ok"]
        left = [row for row in rows if row.left_in_round]
        best = (raced.best.model, raced.best.cut)
        off = [abs(row.score - truth[row.model, row.cut]) <= row.half_width for row in left]
        yield {
            "set": case.name,
            "n": full.target.n_samples,
            "K": len(full.target.classes),
            "seed": seed,
            "same winner": best == (full.best.model, full.best.cut),
            "behind it": full.best.score - truth[best],
            "sources": " > ".join(str(each.models) for each in raced.race.rounds),
            "rows": " < ".join(str(each.rows) for each in raced.race.rounds),
            "forwards": raced.race.share,
            "flops": flops(rows, raced.race.rounds, shares),
            "full seconds": full_seconds[0] if seed < timed else None,
            "time": (seconds / full_seconds)[0] if seed < timed else None,
            "cpu time": (seconds / full_seconds)[1] if seed < timed else None,
            "covered": float(np.mean(off)) if off else 1.0,
            "half width": float(np.mean([row.half_width for row in left])) if left else 0.0,
        }


def flops_shares(case, store):
    """Operations up to each cut over those of the network; the networks are all alike."""
    target = load_target(case.data)
    shares = {}
    for spec in case.zoo.models:
        found = encode_source(spec, target, cuts=CUTS, store=EncodingStore(store))
        shares |= {
            (spec.name, each.record.cut): each.record.flops_share for each in found.encodings
        }
    return shares


def flops(rows, rounds, shares):
    """Operations of a race over those of the full run."""
    spent = whole = 0.0
    for model in {row.model for row in rows}:
        cuts = [row for row in rows if row.model == model]
        whole += rounds[-1].rows * max(shares[model, row.cut] for row in cuts)
        before = 0
        for number, each in enumerate(rounds, 1):
            ran = [row for row in cuts if (row.left_in_round or number) >= number]
            if ran:
                deepest = max(shares[model, row.cut] for row in ran)
                spent += (each.rows - before) * deepest
            before = each.rows
    return spent / whole


def spread(case, store, seeds, contenders=12):
    """A row for each size of sample, over the best candidates."""
    full, _ = case.rank(store)
    ranked = [row for row in full if row.status == "ok"]
    controls = list(dict.fromkeys(row.model for row in ranked))[:CONTROLS]
    best = ranked[:contenders] + [row for row in ranked[contenders:] if row.model in controls]
    labels = load_target(case.data).labels
    encodings = case.encodings(best, store)
    truth = np.array([row.score for row in best])
    known = np.where([row.model in controls for row in best], truth, np.nan)
    front, others = slice(1, contenders), np.isnan(known)
    for number, first in enumerate(samples(labels)):
        found = [
            judged(encodings, samples(labels, random_state=seed)[number], known)
            for seed in range(seeds)
        ]
        plain, naive, controlled = (list(each) for each in zip(*found, strict=True))
        behind = np.array([heat.values - heat.values[0] for heat in plain])
        deviation = behind.std(axis=0, ddof=1)[front]
        off = (behind - truth + truth[0]).mean(axis=0)[front]
        by_size = [
            judged(encodings, proportional(labels, len(first.rows), seed), known)[0].values
            for seed in range(seeds)
        ]
        by_size = np.array([values - values[0] for values in by_size]).std(axis=0, ddof=1)[front]
        after = np.std([heat.values[others] for heat in controlled], axis=0, ddof=1)
        before = behind.std(axis=0, ddof=1)[others]
        yield {
            "set": case.name,
            "rows": len(first.rows),
            "deviation": float(np.median(deviation)),
            "error / deviation": float(np.median(errors(plain)[front] / deviation)),
            "naive / deviation": float(np.median(errors(naive)[front] / deviation)),
            "bias / deviation": float(np.median(abs(off) / deviation)),
            "by size / deviation": float(np.median(by_size / deviation)),
            "controlled / deviation": float(np.median(after / before)),
            "controlled error / controlled": float(np.median(errors(controlled)[others] / after)),
            "seeds": seeds,
        }


def errors(heats):
    """Root mean square of the errors of differences to the first."""
    return np.sqrt(np.mean([heat.errors[0] ** 2 for heat in heats], axis=0))


def proportional(labels, rows, seed):
    """A sample in proportion to the classes, of which each has four rows at least."""
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    taken = np.maximum(LEAST_PER_CLASS, np.round(sizes * rows / len(labels))).astype(int)
    order = np.random.default_rng(seed).permutation(len(labels))
    drawn = [order[codes[order] == label][:count] for label, count in enumerate(taken)]
    rows = np.sort(np.concatenate(drawn))
    return Sample(rows, labels[rows], codes[rows], sizes)


def judged(encodings, sample, known):
    """What a sample says: with influences, with silhouettes alone, and with controls."""
    found = [
        sampled_silhouette(np.asarray(X[sample.rows]), sample.labels, sample.sizes, metric=METRIC)
        for X in encodings
    ]
    values = np.array([each.value for each in found])
    influences = np.stack([each.influence for each in found], axis=1)
    alone = [
        sample.shares[sample.codes]
        * zoorank.silhouette_samples(X[sample.rows], sample.labels, metric=METRIC)
        for X in encodings
    ]
    return (
        RoundEstimates.of(values, influences, sample),
        RoundEstimates.of(values, np.stack(alone, axis=1), sample),
        RoundEstimates.of(values, influences, sample, known),
    )


def meanings(case, store, seeds, networks=6, parts=(16, 4)):
    """A row for each score and size of sample, over two cuts of some networks."""
    target = load_target(case.data)
    encodings = []
    for spec in case.zoo.models[:networks]:
        found = encode_source(spec, target, cuts=CUTS[1:], store=EncodingStore(store))
        encodings += [np.asarray(each.load()) for each in found.encodings]
    for score in find_scores(PARTS):
        y, n = target.labels, target.n_samples
        truth = np.array([score.compute(X, y).value for X in encodings])
        for part in parts:
            values = []
            for seed in range(seeds):
                rows = np.sort(np.random.default_rng(seed).permutation(n)[: n // part])
                values.append([score.compute(X[rows], y[rows]).value for X in encodings])
            differences = np.array(values) - np.array(values)[:, :1]
            deviation = differences.std(axis=0, ddof=1)[1:]
            bias = abs(differences.mean(axis=0) - truth + truth[0])[1:] / deviation
            yield {
                "set": case.name,
                "score": score.label,
                "rows": n // part,
                "bias": float(np.median(bias)),
                "largest": float(bias.max()),
                "seeds": seeds,
            }


def nulls(seeds, d=8):
    """Models of one distribution: whichever is best by chance may be lost as often as asked."""
    for sizes, models in NULLS:
        y = np.repeat(np.arange(len(sizes)), sizes)
        lost = kept = 0
        held = []
        for seed in range(seeds):
            rng = np.random.default_rng([seed, len(sizes)])
            signal = rng.normal(size=(len(sizes), d))[y] + rng.normal(size=(len(y), d))
            Xs = [
                (signal + 0.7 * rng.normal(size=signal.shape)).astype(np.float32)
                for _ in range(models)
            ]
            truth = np.array([zoorank.silhouette_score(X, y) for X in Xs])
            ran = Ran(Xs, truth, np.arange(models), samples(y, 64, seed))
            field = np.flatnonzero(ran.left == 0)
            lost += int(truth.argmax()) not in field
            kept += len(field)
            held += list(ran.intervals())
        covered, first_order = coverage(held)
        yield {
            "sizes of classes": " ".join(map(str, sizes)),
            "models": models,
            "lost": lost / seeds,
            "allowed": 1 - CONFIDENCE,
            "kept": kept / seeds / models,
            "covered": covered["covered"],
            "first order covered": first_order["covered"],
            "seeds": seeds,
        }


def intervals(case, store, seeds):
    """A row for each seed: intervals of rows that left, and those of first order alone."""
    full, _ = case.rank(store)
    ranked = [row for row in full if row.status == "ok"]
    labels = load_target(case.data).labels
    encodings = case.encodings(ranked, store)
    truth = np.array([row.score for row in ranked])
    models = np.unique([row.model for row in ranked], return_inverse=True)[1]
    for seed in range(seeds):
        ran = Ran(encodings, truth, models, samples(labels, random_state=seed))
        covered, first_order = coverage(list(ran.intervals()))
        yield {
            "set": case.name,
            "seed": seed,
            "left": int((ran.left > 0).sum()),
            **covered,
            **{f"first order {key}": value for key, value in first_order.items()},
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--timed", type=int, default=2, help="seeds that run their networks")
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--tables", nargs="*", default=TABLES)
    parser.add_argument("--store", type=Path, help="of full runs; by default a temporary one")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if "null" in arguments.tables:
        finish(list(nulls(20 * arguments.seeds)), "racing_null", arguments.out)
    if not (DATA / "fcn-zoo").is_dir():
        print(f"skipped: no fcn-zoo in {DATA}; set ZOORANK_DATA to the folder that holds it")
        return
    with tempfile.TemporaryDirectory() as temporary:
        for name in arguments.sets:
            case = Case.of(name)
            store = (arguments.store or Path(temporary)) / name
            if "race" in arguments.tables:
                found = list(races(case, store, arguments.seeds, arguments.timed))
                finish(found, f"racing_{name}", arguments.out)
            if "spread" in arguments.tables:
                found = list(spread(case, store, 2 * arguments.seeds))
                finish(found, f"racing_spread_{name}", arguments.out)
            if "intervals" in arguments.tables:
                found = list(intervals(case, store, 4 * arguments.seeds))
                finish(found, f"racing_intervals_{name}", arguments.out)
            if "meaning" in arguments.tables:
                found = list(meanings(case, store, arguments.seeds))
                finish(found, f"racing_meaning_{name}", arguments.out)


if __name__ == "__main__":
    main()
