"""The command that shows what a target is before anything is ranked for it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from zoorank.cli.options import (
    GroupColumn,
    InputColumn,
    Json,
    LabelColumn,
    Limit,
    Modality,
    Split,
    Strict,
    Task,
    print_json,
    stdout,
)


def data(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="What `rank --data` takes: a path or a name.")
    ],
    split: Split = "train",
    modality: Modality = None,
    task: Task = None,
    limit: Limit = None,
    input_column: InputColumn = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    strict: Strict = False,
    as_json: Json = False,
) -> int:
    """Show what a target is: kind, size, classes, examples, and what was left out.

    Example: `zoorank data reviews.csv --label-column stars`
    """
    from zoorank.targets import load_target
    from zoorank.targets.summary import summarise

    found = summarise(
        load_target(
            target,
            limit=limit,
            input_column=tuple(input_column or ()),
            label_column=label_column,
            group_column=group_column,
            strict=strict,
            split=split,  # type: ignore[arg-type]  # checked where it is used, like the next two
            modality=modality,  # type: ignore[arg-type]
            task=task,  # type: ignore[arg-type]
        )
    )
    if as_json:
        print_json(asdict(found))
    else:
        from zoorank.report.target import target_table

        stdout().print(target_table(found))
    return 0
