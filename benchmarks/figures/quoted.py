"""What README.md and docs/ quote of the results: tables, sentences and a picture.

A table stands below a line `<!-- figures: NAME -->`, NAME being a function of this file. The
words of a sentence are those of the page. Figures are rounded to what another run would give too.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Iterator

from measured import BENCHMARKS, Row, read, results, table
from pages import Sentence
from scaling_picture import scaling_picture

from zoorank.scores import TABLE

RACED = ("ECG5000", "FacesUCR", "InsectWingbeatSound")
# Nothing about intervals was decided by these two.
HELD_OUT = ("SwedishLeaf", "MoteStrain")


def estimator_coverage() -> str:
    return table(
        "set | n | d | K | score | rows | half width | rmse | covered | bias | classes covered",
        "{set} | {n} | {d} | {K} | {exact:.4f} | {rows:.0f} | {half width:.1e} | {rmse:.1e} | "
        "{covered:.1%} | {bias / se:+.1f} | {classes covered:.1%}",
        results("estimator_coverage"),
    )


def estimator_slope() -> str:
    return table(
        "set | rmse | no slope | no strata either | classes covered then",
        "{set} | {rmse:.1e} | {rmse, no slope:.1e} | {rmse, nor strata:.1e} | "
        "{classes covered, nor strata:.1%}",
        first_draws().values(),
    )


def estimator_per_cost() -> str:
    rows = [
        {**row, "times": "exact" if row["method"] == "exact" else f"{row['times smaller']:.0f}"}
        for row in results("estimator_per_cost")
    ]
    return table(
        "set | scikit-learn seconds | rmse | bias | zoorank | seconds | rmse | times smaller",
        "{set} | {sklearn seconds:.3f} | {sklearn rmse:.1e} | {sklearn bias:.1e} | {method} | "
        "{zoorank seconds:.3f} | {zoorank rmse:.1e} | {times}",
        rows,
    )


def estimator_samples() -> str:
    return table(
        "set | n | d | K | references | rms error | said | whole classes | plain sampling | "
        "√μ alone",
        "{set} | {n} | {d} | {K} | {references} | {rms error:.4f} | {said:.4f} | "
        "{from whole classes:.4f} | {plain sampling:.4f} | {roots of mean squares:.4f}",
        [row for row in results("estimator_samples") if row["rms error"]],  # else it was exact
    )


def estimator_classes() -> str:
    return table(
        "set | d | every class, s | candidates, s | times faster | nearest class found | "
        "deviation | with candidates | rows | half width | rmse | covered | bias",
        "{set} | {d} | {brute seconds:.0f} | {index seconds:.1f} | {times faster:.0f} | "
        "{same nearest class:.0%} | {deviation brute:.4f} | {deviation index:.4f} | {rows:.0f} | "
        "{half width:.1e} | {rmse:.1e} | {covered:.0%} | {bias / se:+.1f}",
        results("estimator_classes"),
    )


def estimator_scaling() -> str:
    return table(
        "n | d | K | seconds | half width | MB beside the input",
        "{n:,} | {d} | {K} | {seconds:.2f} | {half width:.1e} | {MB over input:.0f}",
        results("estimator_scaling"),
    )


def score_cost() -> str:
    """Each score's milliseconds, in a column for each size of encoding."""
    measured = results("score_cost")
    sizes = list(dict.fromkeys((row["n"], row["d"], row["classes"]) for row in measured))
    spent = {(row["score"], row["task"], row["n"]): row["milliseconds"] for row in measured}
    columns = {score.key: score.label for score in TABLE}
    rows = []
    for score, task in dict.fromkeys((row["score"], row["task"]) for row in measured):
        cells = [f"{float(f'{spent[score, task, n]:.2g}'):.0f} ms" for n, _, _ in sizes]
        labels = {"classification": "classes", "regression": "numbers"}[task]
        rows.append({"score": columns[score], "labels": labels, "cells": " | ".join(cells)})
    heads = [f"n = {n}, d = {d}, K = {classes}" for n, d, classes in sizes]
    return table(" | ".join(["score", "labels", *heads]), "{score} | {labels} | {cells}", rows)


def ids_published() -> str:
    rows = read("ucr/ids_published.csv")
    found = []
    for year in ("2018", "2015"):
        rho = [row[f"spearman {year}"] for row in rows]
        first = sum(row[f"place of the published first {year}"] == 1 for row in rows)
        found.append(
            {
                "year": year,
                "mean": statistics.mean(rho),
                "median": statistics.median(rho),
                "least": min(rho),
                "first": f"{first} of {len(rows)}",
            }
        )
    return table(
        "prototypes from | Spearman's ρ, mean | median | least | the same first",
        "TRAIN of the archive of {year} | {mean:.3f} | {median:.3f} | {least:.3f} | {first}",
        found,
    )


def racing() -> str:
    rows = []
    for name in RACED:
        races = results(f"racing_{name}")
        forwards = [row["forwards"] for row in races]
        timed = [row for row in races if row["time"] is not None]
        rows.append(
            {
                **races[0],
                "won": f"{sum(row['same winner'] == 'True' for row in races)} of {len(races)}",
                "forwards": statistics.mean(forwards),
                "least": 100 * min(forwards),
                "most": max(forwards),
                "flops": mean_of("flops", races),
                "time": mean_of("time", timed),
                "full seconds": mean_of("full seconds", timed),
                "covered": mean_of("covered", races),
            }
        )
    return table(
        "set | n | K | winner of the full run | forward passes | least to most | flops | time | "
        "covered",
        "{set} | {n} | {K} | {won} | {forwards:.0%} | {least:.0f} to {most:.0%} | {flops:.0%} | "
        "{time:.0%} of {full seconds:.0f} s | {covered:.0%}",
        rows,
    )


def racing_spread() -> str:
    return table(
        "set | rows | deviation | error | naive | bias | by size | controlled | its error",
        "{set} | {rows} | {deviation:.4f} | {error / deviation:.2f} | {naive / deviation:.2f} | "
        "{bias / deviation:.2f} | {by size / deviation:.2f} | {controlled / deviation:.2f} | "
        "{controlled error / controlled:.2f}",
        [row for name in RACED for row in results(f"racing_spread_{name}")],
    )


def racing_intervals() -> str:
    rows = []
    for name in (*RACED, *HELD_OUT):
        races = results(f"racing_intervals_{name}")
        row: dict[str, object] = {"set": name, "seeds": len(races)}
        for kind in ("", "first order "):
            covered = [each[f"{kind}covered"] for each in races]
            row[f"{kind}covered"] = statistics.mean(covered)
            row[f"{kind}tenth"] = statistics.quantiles(covered, n=10)[0]
            row[f"{kind}least"] = min(covered)
            row[f"{kind}half width"] = mean_of(f"{kind}half width", races)
            row[f"{kind}off by"] = mean_of(f"{kind}off by", races)
        rows.append(row)
    return table(
        "set | seeds | first order: covered | worst tenth | worst | half width | off by | "
        "now: covered | worst tenth | worst | half width | off by",
        "{set} | {seeds} | {first order covered:.0%} | {first order tenth:.0%} | "
        "{first order least:.0%} | {first order half width:.4f} | {first order off by:.4f} | "
        "{covered:.0%} | {tenth:.0%} | {least:.0%} | {half width:.4f} | {off by:.4f}",
        rows,
    )


def racing_null() -> str:
    return table(
        "sizes of classes | models | lost | allowed | in it to the end, or run on all rows | "
        "covered, first order | covered",
        "{sizes of classes} | {models} | {lost:.1%} | {allowed:.0%} | {kept:.0%} | "
        "{first order covered:.0%} | {covered:.0%}",
        results("racing_null"),
    )


def racing_meaning() -> str:
    rows = results("racing_meaning_FacesUCR")
    counts = sorted({row["rows"] for row in rows})
    heads = [f"{count} rows: median | largest" for count in counts]
    found: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row["rows"]):
        found.setdefault(row["score"], []).extend(short(row[each]) for each in ("bias", "largest"))
    return table(
        " | ".join(["score", *heads]),
        "{score} | {figures}",
        [{"score": score, "figures": " | ".join(each)} for score, each in found.items()],
    )


def short(value: float) -> str:
    """Two digits of a figure that may be infinite."""
    if value == float("inf"):
        return "infinite"
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def mean_of(name: str, rows: Iterable[Row]) -> float:
    return float(statistics.mean(row[name] for row in rows))


TABLES = {
    each.__name__: each
    for each in (
        estimator_coverage,
        estimator_slope,
        estimator_per_cost,
        estimator_samples,
        estimator_classes,
        estimator_scaling,
        score_cost,
        ids_published,
        racing,
        racing_spread,
        racing_intervals,
        racing_null,
        racing_meaning,
    )
}

PICTURES = {"docs/estimator_scaling.svg": lambda: scaling_picture(results("estimator_scaling"))}


def first_draws() -> dict[str, Row]:
    """Of each set of the coverage runs, the row before the draw had to grow."""
    found: dict[str, Row] = {}
    for row in results("estimator_coverage"):
        found.setdefault(row["set"], row)
    return found


def of_the_slope() -> Iterator[float]:
    """Per cent of the error, on series and on the digits."""
    for name in ("ECG5000, fcn ECGFiveDays", "digits, lite0"):
        row = first_draws()[name]
        yield 100 * (1 - row["rmse"] / row["rmse, no slope"])


def slowest_way_named() -> Iterator[float]:
    yield max(row["times slower"] for row in results("estimator_cost"))


def of_indices() -> Iterator[float]:
    found = {(row["K"], row["index"]): row for row in results("estimator_index")}
    yield found[20_000, "flat"]["seconds"]
    yield found[20_000, "no FAISS"]["seconds"]
    yield 100 * found[50_000, "inverted file"]["recall"]
    yield found[50_000, "inverted file"]["seconds"]
    yield found[50_000, "flat"]["seconds"]


def of_a_file() -> Iterator[float]:
    from_file, loaded = results("estimator_memory")
    yield from_file["GB"]
    yield from_file["n"] / 1e6
    yield from_file["seconds"]
    yield loaded["seconds"]


def of_shards() -> Iterator[float]:
    whole, first = results("estimator_shards")
    yield whole["GB"]
    yield whole["n"] / 1e6
    yield whole["seconds"]
    yield whole["score"]
    yield first["score"]


def series_beside_images() -> Iterator[float]:
    error = {
        row["set"]: row["rms error"]
        for row in results("estimator_samples")
        if row["references"] == 64
    }
    yield error["ECG5000, fcn ECGFiveDays"] / error["mnist5k, lite0"]


def times_faster() -> Iterator[float]:
    """The least and the most, over shapes and builds of scikit-learn's matrix product."""
    ratios = [row["ratio"] for row in results("exact_engine") if row["metric"] == "euclidean"]
    yield min(ratios)
    yield max(ratios)


def scores_together() -> Iterator[float]:
    """Processor time with two threads, and the wall's beside a program that is busy."""
    first = results("scores_together")[0]
    rows = [row for row in results("scores_together") if row["n"] == first["n"]]
    of_two = {row["busy cores"] > 0: row for row in rows if row["threads"] > 1}
    yield of_two[False]["milliseconds"] / 1000
    yield first["n"]
    yield first["d"]
    yield of_two[True]["wall milliseconds"] / 1000


def copies_by_sorting() -> Iterator[float]:
    held = {row["metric"]: row["peak_extra_mb"] / row["input_mb"] for row in results("memory")}
    yield held["manhattan"]


def evidence() -> Iterator[float]:
    """Of the digits' kind of target, as `rank` says it; benchmarks/ucr/study.py writes the file."""
    path = BENCHMARKS.parent / "python" / "zoorank" / "selection" / "evidence.json"
    kinds = json.loads(path.read_text(encoding="utf-8"))["regimes"]
    found = kinds["100 samples or more, over 4 classes"]
    consensus = found["scores"]["consensus"]
    yield from (found["targets"], found["candidates"])
    yield from (consensus[name] for name in ("top1", "top3", "regret"))
    yield from (found["scores"]["probe"]["regret"], found["static"], found["random"])


SENTENCES = [
    Sentence(
        "README.md",
        "computed in C++ {:.0f} to {:.0f} times faster than by scikit-learn (Euclidean",
        times_faster,
    ),
    Sentence(
        "README.md",
        "on {} time-series targets of this kind (100 samples or more, over 4 classes), with {} "
        "candidates each, the first pick by consensus was a best one for {:.0%} of them and the "
        "first three held one for {:.0%}; it lacked {:.1f} points of accuracy on average, a head "
        "cross-validated on every candidate {:.1f}, the best static source {:.1f}, a random pick "
        "{:.1f}.",
        evidence,
    ),
    Sentence(
        "docs/scores.md",
        "takes {:.2f} s together for {} samples of {} numbers. Each of two threads computes some "
        "of the scores, and no library starts any of its own; beside a program that keeps both "
        "cores busy they were there after {:.2f} s",
        scores_together,
    ),
    Sentence(
        "docs/embedding.md",
        "quicker than comparing pairs, about {:.0f} copies of the input",
        copies_by_sorting,
    ),
    Sentence(
        "docs/estimator.md",
        "it took {:.0f} % off the error on encodings of ECG5000, {:.0f} % off that on the digits",
        of_the_slope,
    ),
    Sentence(
        "docs/estimator.md",
        "took at most {:.1f} times the processor time of the better one",
        slowest_way_named,
    ),
    Sentence(
        "docs/estimator.md",
        "of 20 000 means in {:.1f} s, where zoorank's own kernels take {:.1f} s for the same "
        "candidates. An inverted file of 50 000 finds {:.0f} % of them in {:.1f} s instead of "
        "{:.1f}",
        of_indices,
    ),
    Sentence(
        "docs/estimator.md",
        "An {} GB `.npy` of {:.1f} million rows, in a process whose address space is limited to "
        "3 GB, took {:.0f} s, and {:.0f} s loaded into memory",
        of_a_file,
    ),
    Sentence(
        "docs/estimator.md",
        "{} GB in five files, {:.1f} million rows of 512 features, went through 4 GB of address "
        "space in {:.0f} s on a machine that was busy with much else, with a score of {:.5f}; the "
        "first file alone, in memory, has {:.5f}",
        of_shards,
    ),
    Sentence(
        "docs/estimator.md",
        "On encodings of ECG5000 the error with 64 references is {:.0f} times that on images",
        series_beside_images,
    ),
]
