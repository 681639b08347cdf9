"""What the pages on speed, isolation and scores quote of whole rankings and of their parts."""

from __future__ import annotations

from measured import WITH_TILES, results, table

from zoorank.scores import TABLE


def layouts() -> str:
    return table(
        "pixels | channels | batch | precision | ms a sample | of them in the system",
        "{pixels} | {channels} | {batch} | {precision} | {milliseconds:.1f} | {of_them_system:.1f}",
        results("layouts"),
    )


def end_to_end() -> str:
    found = results("end_to_end")
    rows = [{**row, "peak": f"{row['peak_mb']:.0f}"} for row in found]
    return table(
        "samples | way | seconds | of the plain loop | peak, MB",
        "{case} | {way} | {processor_s:.1f} | {of_plain_loop:.2f} | {peak}",
        rows,
    )


def share_of_peak() -> str:
    return table(
        "network | precision | operations, 10⁶ | ms a sample | share of the peak | convolutions | "
        "products | normalizations | others",
        "{network} | {precision} | {million_operations:.0f} | {milliseconds:.1f} | "
        "{share_of_peak:.0%} | {convolutions:.0%} | {products:.0%} | {normalizations:.0%} | "
        "{others:.0%}",
        results("share_of_peak", WITH_TILES),
    )


def precision() -> str:
    return table(
        "target | samples | candidates | score | Kendall's τ | place of bf16's first | lost",
        "{target} | {samples} | {candidates} | {score} | {tau:.3f} | {place_of_first} | {lost:.3f}",
        results("precision", WITH_TILES),
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
        rows.append({"score": columns[score], "labels": task, "cells": " | ".join(cells)})
    heads = [f"n = {n}, d = {d}, K = {classes}" for n, d, classes in sizes]
    return table(" | ".join(["score", "labels", *heads]), "{score} | {labels} | {cells}", rows)


def cores() -> str:
    return table(
        "what | cores | seconds, wall | seconds, processor | times as fast",
        "{way} | {cores} | {wall_s:.1f} | {processor_s:.1f} | {times_faster:.2f}",
        results("cores", WITH_TILES),
    )


def workers() -> str:
    return table(
        "samples | way | seconds, wall | seconds, processor | times as fast",
        "{case} | {way} | {wall_s:.1f} | {processor_s:.1f} | {times_faster:.2f}",
        results("workers", WITH_TILES),
    )


def many_sources() -> str:
    return table(
        "run | sources | own work, ms | parent, ms | worker, ms | zoorank's own, ms | "
        "seconds, wall | parent grows, MB",
        "{case} | {sources} | {own_ms:.1f} | {here_ms:.1f} | {there_ms:.1f} | {beside_ms:.1f} | "
        "{seconds:.0f} | {grown_mb:.0f}",
        results("many_sources", WITH_TILES),
    )


OF_SPEED = (layouts, end_to_end, share_of_peak, precision, score_cost, cores, workers, many_sources)
