"""The commands for one source, or one encoding: ``cuts``, ``encode`` and ``score``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from zoorank.cli import FAILED
from zoorank.cli.options import (
    AllowCode,
    AllowPackage,
    BatchSize,
    Data,
    Device,
    Json,
    Limit,
    MetricOfFile,
    Precision,
    ScoresOfFile,
    print_json,
    stdout,
)
from zoorank.errors import UsageError
from zoorank.messages import inert


def cuts(
    models: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A reference such as timm:resnet18.a1_in1k, a manifest, a model of one as "
            "ZOO.toml:MODEL, or MODULE:FACTORY.",
        ),
    ],
    data: Data = None,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="C,H,W|C,L|D",
            help="Feed samples of this shape. Default: the target's, else a usual one.",
        ),
    ] = None,
    allow_code: AllowCode = None,
    allow_package: AllowPackage = None,
    as_json: Json = False,
) -> int:
    """List where models can be cut: output shape, share of FLOPs and parameters.

    Example: `zoorank cuts zoo.toml:resnet18`
    """
    from zoorank.encoding.cuts import cuts as list_cuts

    sizes = None if shape is None else _sizes(shape)
    found = list_cuts(
        models,
        data=data,
        shape=sizes,
        allow_code=allow_code or (),
        allow_packages=allow_package or (),
    )
    if as_json:
        print_json([asdict(source) for source in found])
    else:
        from zoorank.report.listings import cuts_tables

        stdout().print(*cuts_tables(found), sep="\n")
    return 0 if any(source.cuts for source in found) else FAILED


def encode(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A reference, or ZOO.toml:MODEL.")
    ],
    data: Annotated[str, typer.Option(metavar="PATH|NAME", help="What to encode.")],
    out: Annotated[Path, typer.Option(metavar="X.npy", help="Write the encodings there.")],
    cut: Annotated[
        str | None, typer.Option(metavar="CUT", help="Where to cut. Default: penultimate.")
    ] = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    precision: Precision = "float32",
    limit: Limit = None,
    allow_code: AllowCode = None,
) -> int:
    """Write the encodings of data by one source, and the labels beside them.

    Example: `zoorank encode timm:resnet18.a1_in1k --data birds/ --cut layer3 --out X.npy`
    """
    from zoorank.encoding.own import encode

    X = encode(
        source,
        data,
        cut=cut,
        out=out,
        batch_size=batch_size,
        device=device,
        precision=precision,  # type: ignore[arg-type]  # checked where it is used
        limit=limit,
        allow_code=allow_code or (),
    )
    labels = out.with_name(f"{out.stem}_labels.npy")
    typer.echo(
        f"zoorank: {X.shape[0]} x {X.shape[1]} encodings in {inert(out)}, labels in {inert(labels)}"
    )
    return 0


def score(
    x: Annotated[
        Path, typer.Argument(metavar="X.npy", help="Encoding; or a .npz that holds X and y.")
    ],
    labels: Annotated[
        Path | None, typer.Argument(metavar="labels.npy", help="Class of each row.")
    ] = None,
    metric: MetricOfFile = None,
    score: ScoresOfFile = None,
    as_json: Json = False,
) -> int:
    """Score an encoding that lies in a file.

    Example: `zoorank score X.npy labels.npy --metric euclidean`
    """
    from zoorank.ranking.consensus import scores_of_one
    from zoorank.scores.files import score_file

    chosen = scores_of_one(score or "silhouette", metric)
    results = [score_file(x, labels, each) for each in chosen]
    if as_json:
        print_json(asdict(results[0]) if len(results) == 1 else list(map(asdict, results)))
    else:
        from zoorank.report.listings import score_table

        console = stdout()
        for number, (result, each) in enumerate(zip(results, chosen, strict=True)):
            if number:
                console.print()
            console.print(score_table(result, each))
    return 0


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"shape {text!r} is not whole numbers such as 3,224,224") from None
