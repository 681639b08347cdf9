"""What the commands share: the application, its options, and standard output."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zoorank.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

FILE_WIDTH = 160

app = typer.Typer(
    name="zoorank",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,  # boxes leave no room for words in 80 columns
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="ZOO.toml|SOURCE...",
        help="A manifest, or sources by reference: timm:NAME, hf:ORG/NAME, onnx:FILE, ...; "
        "ZOO.toml:MODEL is one of a manifest.",
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|NAME",
        help="Labelled target: a folder of images, sounds or texts by class, .csv, .jsonl, "
        ".parquet, .npz, .npy, .tsv, .ts, or sklearn:NAME. Default: the manifest's.",
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
        help="Scores, NAME or NAME:METRIC; the first decides the rank. Default: informed, the "
        "mean rank by MSC, LogME, H-score and nearest neighbour with what else is known of the "
        "sources; silhouette with --metric.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write ranking.json, ranking.csv and report.html there."),
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
    int | None,
    typer.Option(
        min=1, help="Samples in a forward pass. Default: the manifest's, else as many as pay."
    ),
]
InputColumn = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Column of the samples; twice for pairs of texts."),
]
LabelColumn = Annotated[str | None, typer.Option(metavar="NAME", help="Column of the labels.")]
GroupColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Column of what belongs together, such as a patient."),
]
Split = Annotated[
    str, typer.Option(metavar="PART", help="train, test or all, where there are parts.")
]
Modality = Annotated[
    str | None,
    typer.Option(
        metavar="KIND", help="image, series, table, text or audio, where it could be several."
    ),
]
Task = Annotated[
    str | None,
    typer.Option(metavar="TASK", help="classes or numbers: what labels are, where unclear."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse data of which anything would be left out.")
]
Retry = Annotated[
    bool, typer.Option("--retry", help="Try sources again that crashed in an earlier run.")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[str, typer.Option(help="float32, or bf16: faster where the hardware has it.")]
Workers = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="Processes for the sources, each of which may crash alone; 1 without this option. "
        "0: none but this one.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="[ADDRESS|auto|local]",
        help="Run the sources on a Ray cluster; alone, or as local, it starts Ray on this machine.",
    ),
]
Gpus = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="1|0.5",
        help="Of --ray: GPUs that a source takes, or the part of one. Default: 1 with --device "
        "cuda.",
    ),
]
Timeout = Annotated[
    str | None, typer.Option(metavar="10m", help="Time that a source may take: 90s, 10m, 2h.")
]
MemoryLimit = Annotated[
    str | None, typer.Option(metavar="4GB", help="Memory that a source may hold: 500MB, 4GB.")
]
StoreQuota = Annotated[
    str | None,
    typer.Option(
        metavar="50GB",
        help="What encodings may take in the store; those not used for longest go first.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        metavar="30m",
        help="Time for the whole run: what promises most comes first, and what was not tried is "
        "said. A larger one goes on.",
    ),
]
SaveEncodings = Annotated[
    bool | None,
    typer.Option(
        "--save-encodings/--no-save-encodings",
        help="Write encodings to the store. Default: yes, unless they lie on a GPU and every "
        "score is computed there.",
    ),
]
MaxParameters = Annotated[
    str | None,
    typer.Option(metavar="25M", help="Rank no cut that keeps more parameters: 500k, 25M, 1.5B."),
]
MaxMilliseconds = Annotated[
    float | None,
    typer.Option("--max-ms", metavar="5", help="Rank no cut that takes longer for a sample."),
]
Licence = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME,...",
        help="Rank no source under another licence: 'MIT,Apache-*'. May be repeated.",
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
Record = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="What verify or evaluate wrote of earlier targets; its sources get the better start "
        "if they did well there. May be repeated.",
    ),
]
AppendedRecord = Annotated[
    Path | None,
    typer.Option("--record", metavar="FILE", help="Append the accuracies there, for rank."),
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


def seconds(text: str | None, option: str) -> float | None:
    """Read a time such as ``90s``, ``10m`` or ``2h``; a number alone is seconds.

    Examples
    --------
    >>> seconds("10m", "--timeout"), seconds("1.5h", "--timeout"), seconds("7", "--timeout")
    (600.0, 5400.0, 7.0)
    """
    return _amount(text, option, {"": 1, "s": 1, "m": 60, "h": 3600}, "90s, 10m or 2h")


def in_bytes(text: str | None, option: str) -> int | None:
    """Read a size such as ``500MB`` or ``4GB``; a number alone is bytes.

    Examples
    --------
    >>> in_bytes("4GB", "--memory-limit"), in_bytes("512MiB", "--memory-limit")
    (4000000000, 536870912)
    """
    units = {"": 1, "b": 1}
    for power, letter in enumerate("kmgt", 1):
        units |= {f"{letter}": 1000**power, f"{letter}b": 1000**power, f"{letter}ib": 1024**power}
    found = _amount(text, option, units, "500MB or 4GB")
    return None if found is None else int(found)


def number(text: str | None, option: str) -> float | None:
    """Read a count such as ``500k``, ``25M`` or ``1.5B``.

    Examples
    --------
    >>> number("25M", "--max-parameters"), number("1.5b", "--max-parameters")
    (25000000.0, 1500000000.0)
    """
    units = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "b": 1000**3}
    return _amount(text, option, units, "500k, 25M or 1.5B")


def _amount(text: str | None, option: str, units: Mapping[str, int], examples: str) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in units or not float(match[1]):
        raise UsageError(f"{option} {text!r} is none; write {examples}")
    return float(match[1]) * units[match[2]]


def worker_count(text: str | None, ray: str | None) -> int | Literal["auto"] | None:
    """Read a number of processes; None for none but this one, or for those of a cluster."""
    if text is None:
        return None if ray is not None else 1
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise UsageError(f"--workers {text!r} is neither a number nor auto")
    return int(text) or None
