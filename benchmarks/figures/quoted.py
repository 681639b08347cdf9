"""What README.md and docs/ quote of the results: tables, and single figures.

A table stands below a line `<!-- figures: NAME -->`, NAME being a function of this file; a single
figure between `<!--=NAME-->` and `<!--/-->`. The words around it are the page's own.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from informed import (
    informed_cnn,
    informed_coverage,
    informed_figures,
    informed_images,
    informed_less,
    informed_series,
    informed_targets,
)
from measured import MACHINE, WITH_TILES, Row, read, results, table
from speed import OF_SPEED

RACED = ("ECG5000", "FacesUCR", "InsectWingbeatSound")
_PRUNED = ("pruned", "pruned_animals", "pruned_fashion")
PRUNED = {MACHINE: (*_PRUNED, "pruned_200000"), WITH_TILES: _PRUNED}
# Nothing about intervals was decided by these two.
HELD_OUT = ("SwedishLeaf", "MoteStrain")


def estimator_coverage() -> str:
    return table(
        "set | n | d | K | score | rows | half width | rmse | covered | bias | classes covered",
        "{set} | {n} | {d} | {K} | {exact:.4f} | {rows:.0f} | {half width:.1e} | {rmse:.1e} | "
        "{covered:.1%} | {bias / se:+.1f} | {classes covered:.1%}",
        results("estimator_coverage"),
    )


def tiles() -> str:
    rows = [
        {**row, "s": f"{row['float32_s']:.2f} | {row['bf16x3_s']:.2f} | {row['auto_s']:.2f}"}
        for row in results("tiles", WITH_TILES)
    ]
    return table(
        "features | classes | float32, s | bf16x3, s | auto, s | times as fast | GFLOP/s",
        "{d} | {classes} | {s} | {speedup:.1f} | {gflops:.0f}",
        rows,
    )


def tile_errors() -> str:
    return table(
        "rows | problems | tiles taken | s off by, tiles | float32",
        "{kind} | {problems} | {tiles_taken} | {error_tiles:.1e} | {error_float32:.1e}",
        results("tile_errors", WITH_TILES),
    )


def pruning() -> str:
    rows = []
    for machine, name in [(each, name) for each, names in PRUNED.items() for name in names]:
        for row in results(name, machine):
            unit, apart = row["instruction_set"], row["apart"]
            is_off = unit == "amx" and row["precision"] == "float32"
            rows.append(
                {
                    **row,
                    "unit": f"{unit}, off" if is_off else unit,
                    "what": name.removeprefix("pruned_") if apart is None else f"{apart:g} apart",
                    "s": " | ".join(f"{row[f'{way}_s']:.2f}" for way in ("all", "needed", "auto")),
                }
            )
    return table(
        "unit | rows | d, K | what | pairs needed | all, s | needed, s | auto, s | "
        "needed, times as fast | auto",
        "{unit} | {n} | {d}, {classes} | {what} | {pairs_needed:.1%} | {s} | "
        "{speedup_needed:.2f} | {speedup_auto:.2f}",
        rows,
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


def budget() -> str:
    return table(
        "known | share of the time | networks run | regret | regret of all",
        "{known} | {share:.3g} | {run:.1f} of {networks} | {regret:.2f} | {regret of all:.2f}",
        [{**row, "known": row["known"] or "nothing"} for row in results("budget")],
    )


def lost_by_a_quarter(known: str) -> str:
    """Points of regret more than those of a run of all."""
    (row,) = (r for r in results("budget") if (r["known"] or "") == known and r["share"] == 0.25)
    return f"{row['regret'] - row['regret of all']:.2f}"


def agreement_of_samples() -> str:
    """Of the targets whose sample has some rows."""
    found = [row["agreement"] for row in results("budget_sample") if row["quarter"] >= 40]
    return f"{statistics.median(found):.2f}"


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
        *OF_SPEED,
        estimator_coverage,
        tiles,
        tile_errors,
        pruning,
        estimator_slope,
        estimator_per_cost,
        estimator_samples,
        estimator_classes,
        estimator_scaling,
        ids_published,
        racing,
        racing_spread,
        budget,
        racing_intervals,
        racing_null,
        racing_meaning,
        informed_series,
        informed_cnn,
        informed_coverage,
        informed_less,
        informed_images,
        informed_targets,
    )
}


def first_draws() -> dict[str, Row]:
    """Of each set of the coverage runs, the row before the draw had to grow."""
    found: dict[str, Row] = {}
    for row in results("estimator_coverage"):
        found.setdefault(row["set"], row)
    return found


def error_taken_off(name: str) -> str:
    """Per cent of the error that the slope took off."""
    row = first_draws()[name]
    return f"{100 * (1 - row['rmse'] / row['rmse, no slope']):.0f} %"


def figures() -> dict[str, str]:
    """Single figures in prose, by name, rounded to what another run would give too."""
    ratios = [row["ratio"] for row in results("exact_engine") if row["metric"] == "euclidean"]
    copies = {row["metric"]: row["peak_extra_mb"] / row["input_mb"] for row in results("memory")}
    index = {(row["K"], row["index"]): row for row in results("estimator_index")}
    from_file, loaded = results("estimator_memory")
    whole, first = results("estimator_shards")
    layers = results("text_libraries")
    with_amx = results("text_libraries", WITH_TILES)
    samples = {
        row["set"]: row["rms error"]
        for row in results("estimator_samples")
        if row["references"] == 64
    }
    of_two = {
        row["busy cores"] > 0: row
        for row in results("scores_together")
        if row["threads"] > 1 and row["n"] == 1797
    }
    alone, on_nodes = results("ray_nodes")
    (million,) = results("pruned_1000000")
    *_, careful = results("pruned_200000")
    on_amx = {
        row["way"]: row for row in results("end_to_end", WITH_TILES) if row["case"] == "photos"
    }
    slower = max(row["times slower"] for row in results("estimator_cost"))
    on_series = samples["ECG5000, fcn ECGFiveDays"] / samples["mnist5k, lite0"]
    return {
        **informed_figures(),
        "faster.least": f"{min(ratios):.0f}",
        "faster.most": f"{max(ratios):.0f}",
        "memory.copies": f"{copies['manhattan']:.0f}",
        "slope.series": error_taken_off("ECG5000, fcn ECGFiveDays"),
        "slope.digits": error_taken_off("digits, lite0"),
        "cost.slower": f"{slower:.1f}",
        "index.flat-20000": f"{index[20_000, 'flat']['seconds']:.1f} s",
        "index.own-20000": f"{index[20_000, 'no FAISS']['seconds']:.1f} s",
        "index.recall": f"{100 * index[50_000, 'inverted file']['recall']:.0f} %",
        "index.inverted-50000": f"{index[50_000, 'inverted file']['seconds']:.1f} s",
        "index.flat-50000": f"{index[50_000, 'flat']['seconds']:.1f}",
        "file.size": f"{from_file['GB']} GB",
        "file.rows": f"{from_file['n'] / 1e6:.1f}",
        "file.seconds": f"{from_file['seconds']:.0f} s",
        "file.loaded": f"{loaded['seconds']:.0f} s",
        "shards.size": f"{whole['GB']} GB",
        "shards.rows": f"{whole['n'] / 1e6:.1f}",
        "shards.seconds": f"{whole['seconds']:.0f} s",
        "shards.score": f"{whole['score']:.5f}",
        "shards.first": f"{first['score']:.5f}",
        "samples.series": f"{on_series:.0f}",
        "ray.milliseconds": f"{on_nodes['here_milliseconds'] + on_nodes['there_milliseconds']:.0f}",
        "ray.serial": f"{alone['here_milliseconds']:.0f}",
        "pruning.careful": f"{careful['speedup_needed']:.1f}",
        "speed.amx": f"{on_amx['zoorank']['of_plain_loop']:.2f}",
        "speed.amx-bf16": f"{on_amx['zoorank, bf16']['of_plain_loop']:.2f}",
        "pruning.million": f"{million['needed_wall_s']:.0f} s",
        "pruning.million-pairs": f"{100 * million['pairs_needed']:.0f} %",
        "texts.share": f"{layers[0]['share']:.2f}",
        "texts.share-amx": f"{with_amx[0]['share']:.2f}",
        "texts.ours": f"{layers[0]['zoorank_s']:.0f} s",
        "texts.theirs": f"{layers[0]['theirs_s']:.0f} s",
        "texts.difference": f"{max(row['difference'] for row in layers):.0e}",
        "budget.lost-record": lost_by_a_quarter("record"),
        "budget.lost-nothing": lost_by_a_quarter(""),
        "budget.agreement": agreement_of_samples(),
        "scores.together": f"{of_two[False]['milliseconds'] / 1000:.2f} s",
        "scores.busy": f"{of_two[True]['wall milliseconds'] / 1000:.2f} s",
    }
