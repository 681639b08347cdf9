"""What the commands share: the application, its options, and standard output."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

FILE_WIDTH = 160

app = typer.Typer(
    name="zoorank",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Zoo = Annotated[Path, typer.Argument(metavar="ZOO.toml", help="Manifest of the zoo.")]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|NAME",
        help="Labelled target: .npz, .npy, .tsv, .ts, a folder of images by class, or "
        "sklearn:NAME. Default: the manifest's.",
    ),
]
Cuts = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CUT,...",
        help="Where to cut: penultimate, logits, all, or module names. May be repeated. "
        "Default: the manifest's, else penultimate.",
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        help="Distance of the silhouette: cosine, euclidean, sqeuclidean or manhattan. "
        "Default: cosine; euclidean in a race."
    ),
]
MetricOfFile = Annotated[
    str | None,
    typer.Option(
        help="Distance of the silhouette: cosine, euclidean, sqeuclidean or manhattan. "
        "Default: cosine."
    ),
]
ScoresOfFile = Annotated[
    list[str] | None,
    typer.Option(
        "--score",
        metavar="NAME,...",
        help="Scores, NAME or NAME:METRIC. Default: silhouette. Several are a list with --json.",
    ),
]
ScoreNames = Annotated[
    list[str] | None,
    typer.Option(
        "--score",
        metavar="NAME,...",
        help="Scores, NAME or NAME:METRIC; the first decides the rank. Default: consensus, the "
        "mean rank by MSC, LogME, H-score and nearest neighbour; silhouette with --metric.",
    ),
]
Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write ranking.json and ranking.csv there.")
]
Store = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Keep the encodings there; a run that was stopped goes on from it. "
        "Default: encodings in --out, else the user's cache.",
    ),
]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Samples in a forward pass. Default: the manifest's.")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
SaveEncodings = Annotated[
    bool | None,
    typer.Option(
        "--save-encodings/--no-save-encodings",
        help="Write encodings to the store. Default: yes, unless they lie on a GPU and every "
        "score is computed there.",
    ),
]
Limit = Annotated[
    int | None, typer.Option(min=2, help="Use at most this many samples of the target.")
]
AllowCode = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="DIR",
        help="Let the manifest name factories in modules of this directory. "
        "Their code is run. May be repeated.",
    ),
]
AllowPackage = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Let the manifest build networks of this installed package, with any arguments, "
        "beside those that zoorank knows. May be repeated.",
    ),
]
Race = Annotated[
    bool,
    typer.Option(
        "--race",
        help="Run all models on a sample, the better ones on more, the last on all rows. "
        "Decides by a silhouette, MSC euclidean by default.",
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Of --race: how sure the first of a full run is to stay in it. Default: 0.95.",
    ),
]
FirstRows = Annotated[
    int | None,
    typer.Option(min=1, help="Of --race: rows of the first sample. Default: some hundred."),
]
RandomState = Annotated[
    int | None, typer.Option(min=0, help="Of --race: seed of the samples. Default: 0.")
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


def stdout() -> Console:
    """A console that does not fold for a terminal that is not there."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = FILE_WIDTH
    return console


def print_json(value: object) -> None:
    """Write a value as JSON to standard output."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False))
