"""The commands that ask whether a choice holds up: ``verify`` and ``evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoorank.cli import FAILED
from zoorank.cli.options import (
    AllowCode,
    AllowPackage,
    AppendedRecord,
    BatchSize,
    Cuts,
    Data,
    Device,
    GroupColumn,
    InputColumn,
    Json,
    LabelColumn,
    Limit,
    Metric,
    Modality,
    Out,
    Quiet,
    ScoreNames,
    Sources,
    Split,
    Store,
    Strict,
    Task,
    seconds,
    stdout,
)
from zoorank.messages import inert


def verify(
    sources: Sources,
    data: Data = None,
    cuts: Cuts = None,
    score: ScoreNames = None,
    metric: Metric = None,
    top: Annotated[int, typer.Option(min=1, help="Train so many of the ranking.")] = 5,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:CUT]", help="Train this one too. May be repeated."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Of every training that counts.")] = 3,
    epochs: Annotated[
        int, typer.Option(min=0, help="Of fine-tuning, at most; 0 trains heads alone.")
    ] = 5,
    budget: Annotated[
        str, typer.Option(metavar="10m", help="Time for heads and fine-tuning: 90s, 10m, 2h.")
    ] = "2m",
    samples: Annotated[int, typer.Option(min=10, help="Train on at most so many samples.")] = 400,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the learning curves.")
    ] = None,
    record: AppendedRecord = None,
    out: Out = None,
    store: Store = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    limit: Limit = None,
    input_column: InputColumn = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    split: Split = "train",
    modality: Modality = None,
    task: Task = None,
    strict: Strict = False,
    allow_code: AllowCode = None,
    allow_package: AllowPackage = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train the first picks of a ranking and say whether the first one and the order held.

    Example: `zoorank verify zoo.toml --top 3 --figure curves.png`
    """
    from rich.text import Text

    from zoorank.report.pictures import picture_path
    from zoorank.report.progress import progress
    from zoorank.report.verification import curves_figure, verification_table
    from zoorank.verification.verify import verify

    if figure is not None:
        picture_path(figure)
    with progress(quiet=quiet) as watcher:
        found = verify(
            sources,
            data,
            cuts=cuts,
            score=score,
            metric=metric,
            top=top,
            models=model or (),
            repeats=repeats,
            epochs=epochs,
            budget=seconds(budget, "--budget") or 0.0,
            samples=samples,
            record=record,
            out=out,
            store=store,
            batch_size=batch_size,
            device=device,
            limit=limit,
            input_column=tuple(input_column or ()),
            label_column=label_column,
            group_column=group_column,
            split=split,
            modality=modality,
            task=task,
            strict=strict,
            allow_code=allow_code or (),
            allow_packages=allow_package or (),
            progress=watcher,
            on_step=None if quiet else lambda text: typer.echo(inert(text), err=True),
        )
    if figure is not None:
        curves_figure(found, figure)
    if as_json:
        typer.echo(found.to_json(), nl=False)
    else:
        console = stdout()
        table = verification_table(found, console.encoding)
        console.print(table, "", Text(inert(found.verdict)), sep="\n")
    return 0 if any(row.head for row in found.rows) else FAILED


def evaluate(
    scores: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES",
            help="CSV: columns target, source and scores; or a matrix of sources by targets; "
            "or the sources of each target from best to worst.",
        ),
    ],
    truth: Annotated[
        Path, typer.Argument(metavar="TRUTH", help="CSV of true accuracies; may be the same file.")
    ],
    columns: Annotated[
        list[str] | None,
        typer.Option("--score", metavar="NAME,...", help="Scores to take. Default: all."),
    ] = None,
    lower: Annotated[
        list[str] | None, typer.Option(metavar="NAME,...", help="Scores of which less is better.")
    ] = None,
    truth_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of the true accuracy.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write the figures there.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the regret of each score.")
    ] = None,
    record: AppendedRecord = None,
    modality: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Of the targets, for --record: image, series, table, text or audio.",
        ),
    ] = None,
    against: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Score or baseline to compare the others with, target by target."
        ),
    ] = "best static source",
    as_json: Json = False,
) -> int:
    """Say how well picks by scores did, beside random, static and parameter count.

    Example: `zoorank evaluate scores.csv accuracies.csv --figure regret.png`
    """
    from zoorank.evaluation.evaluate import evaluate
    from zoorank.partial import write_whole
    from zoorank.ranking.consensus import names
    from zoorank.report.evaluation import (
        comparison_table,
        evaluation_heading,
        evaluation_table,
        regret_figure,
    )
    from zoorank.report.pictures import picture_path
    from zoorank.targets.paths import keep_inputs

    if figure is not None:
        picture_path(figure)
    keep_inputs([each for each in (out, figure) if each is not None], [scores, truth])
    found = evaluate(
        scores,
        truth,
        columns=None if columns is None else names(columns),
        lower_is_better=names(lower),
        truth_column=truth_column,
        record=record,
        modality=modality,
        against=against,
    )
    if out is not None:
        write_whole(out, found.to_csv().encode())
    if figure is not None:
        regret_figure(found, figure)
    if as_json:
        typer.echo(found.to_json(), nl=False)
    else:
        tables = (evaluation_table(found), "", comparison_table(found))
        stdout().print(evaluation_heading(found), "", *tables, sep="\n")
    return 0
