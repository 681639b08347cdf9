"""The commands of ``zoorank``: each turns arguments into one function call.

What is heavy is imported inside a command, so that ``--help`` is instant.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoorank.cli import FAILED, INTERRUPTED, results, single, trust
from zoorank.cli import data as data_command
from zoorank.cli.options import (
    AllowCode,
    AllowPackage,
    BatchSize,
    Budget,
    Confidence,
    Cuts,
    Data,
    Device,
    FirstRows,
    Gpus,
    GroupColumn,
    InputColumn,
    Json,
    LabelColumn,
    Licence,
    Limit,
    MaxMilliseconds,
    MaxParameters,
    MemoryLimit,
    Metric,
    Modality,
    Out,
    Precision,
    Quiet,
    Race,
    RandomState,
    Ray,
    Record,
    Retry,
    SaveEncodings,
    ScoreNames,
    Sources,
    Split,
    Store,
    StoreQuota,
    Strict,
    Task,
    Timeout,
    Workers,
    app,
    in_bytes,
    number,
    print_json,
    seconds,
    stdout,
    worker_count,
)
from zoorank.errors import StoreError, UsageError
from zoorank.messages import EXTRAS, inert

if TYPE_CHECKING:
    from zoorank.ranking import Ranking


def run(arguments: Sequence[str]) -> int:
    """Run one command; errors leave as exceptions."""
    command = shlex.join(["zoorank", *arguments])
    completed = _with_address(list(arguments))
    code = app(completed, prog_name="zoorank", standalone_mode=False, obj=command)
    return code if isinstance(code, int) else 0


def _with_address(arguments: list[str]) -> list[str]:
    """Say ``local`` behind a ``--ray`` that stands alone: typer's options all take a value."""
    if "--ray" not in arguments:
        return arguments
    from zoorank.sources.references import is_known_kind

    behind = arguments.index("--ray") + 1
    following = arguments[behind] if behind < len(arguments) else "-"
    is_source = Path(following).exists() or is_known_kind(following.partition(":")[0])
    if following.startswith("-") or is_source:
        return [*arguments[:behind], "local", *arguments[behind:]]
    return arguments


def _show_version(wanted: bool) -> None:
    if wanted:
        from zoorank import __version__

        typer.echo(f"zoorank {__version__}")
        raise typer.Exit


FIRST_STEPS = """\
zoorank says which pre-trained model, cut at which layer, to transfer from.

An example with nothing to prepare:
  zoorank demo

Two models by name, and your own images, in a folder for each class:
  zoorank rank timm:resnet18.a1_in1k timm:mobilenetv3_small_100 --data birds/

A zoo in a file, labelled texts, and a page with charts, results/report.html:
  zoorank rank zoo.toml --data reviews.csv --out results

Encodings that you have made yourself, and their labels:
  zoorank score X.npy labels.npy

All commands: zoorank --help. What a command takes: zoorank rank --help."""


@app.callback()
def options(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    _debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Say which pre-trained model, cut at which layer, to transfer from."""
    if context.invoked_subcommand is None:
        typer.echo(FIRST_STEPS)


@app.command(short_help="Rank models, cut at each layer, for a labelled target.")
def rank(
    context: typer.Context,
    sources: Sources,
    data: Data = None,
    cuts: Cuts = None,
    metric: Metric = None,
    score: ScoreNames = None,
    out: Out = None,
    store: Store = None,
    store_quota: StoreQuota = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    precision: Precision = "float32",
    workers: Workers = None,
    timeout: Timeout = None,
    memory_limit: MemoryLimit = None,
    ray: Ray = None,
    gpus: Gpus = None,
    budget: Budget = None,
    save_encodings: SaveEncodings = None,
    max_parameters: MaxParameters = None,
    max_ms: MaxMilliseconds = None,
    licence: Licence = None,
    limit: Limit = None,
    input_column: InputColumn = None,
    label_column: LabelColumn = None,
    group_column: GroupColumn = None,
    split: Split = "train",
    modality: Modality = None,
    task: Task = None,
    strict: Strict = False,
    retry: Retry = False,
    allow_code: AllowCode = None,
    allow_package: AllowPackage = None,
    race: Race = False,
    confidence: Confidence = None,
    first_rows: FirstRows = None,
    random_state: RandomState = None,
    record: Record = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Rank the models of a zoo, cut at each layer, for a labelled target.

    Example: `zoorank rank zoo.toml --data digits.npz --cuts all --out results`
    """
    return _rank(
        sources,
        data,
        command=context.obj,
        cuts=cuts,
        metric=metric,
        score=score,
        out=out,
        store=store,
        store_quota=in_bytes(store_quota, "--store-quota"),
        batch_size=batch_size,
        device=device,
        precision=precision,
        workers=worker_count(workers, ray),
        timeout=seconds(timeout, "--timeout"),
        memory_limit=in_bytes(memory_limit, "--memory-limit"),
        ray=ray,
        gpus=gpus,
        budget=seconds(budget, "--budget"),
        save_encodings=save_encodings,
        max_parameters=number(max_parameters, "--max-parameters"),
        max_milliseconds=max_ms,
        licence=licence or (),
        limit=limit,
        input_column=tuple(input_column or ()),
        label_column=label_column,
        group_column=group_column,
        split=split,
        modality=modality,
        task=task,
        strict=strict,
        retry=retry,
        allow_code=allow_code or (),
        allow_packages=allow_package or (),
        race=race,
        confidence=confidence,
        first_rows=first_rows,
        random_state=random_state,
        record=record or (),
        as_json=as_json,
        quiet=quiet,
    )


@app.command(short_help="Rank four small networks on handwritten digits.")
def demo(
    context: typer.Context,
    out: Out = None,
    store: Store = None,
    limit: Limit = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Rank EfficientNet-lite 0, 1, 2 and a random control on handwritten digits.

    Example: `zoorank demo --out results`
    """
    from zoorank.cli import DEMO_MANIFEST

    _check_installed("demo")
    return _rank(
        [str(DEMO_MANIFEST)],
        None,
        command=context.obj,
        out=out,
        store=store,
        limit=limit,
        as_json=as_json,
        quiet=quiet,
    )


app.command(short_help="List where a model can be cut, and what each cut costs.")(single.cuts)
app.command(short_help="Write the encodings of data by one source.")(single.encode)
app.command()(single.score)
app.command(short_help="Show what a target is, and what is left out of it.")(data_command.data)
app.command(short_help="Train the first picks: does the first one hold?")(trust.verify)
app.command(short_help="Say how well picks by scores did where the truth is known.")(trust.evaluate)
app.command(short_help="Write the winner as far as its cut, for use elsewhere.")(results.export)
app.command(short_help="Write report.html, a page with charts, of a ranking.")(results.report)


@app.command(short_help="Show versions, the instruction set, and what is not installed.")
def info(as_json: Json = False) -> int:
    """Show versions, the engine's instruction set, and what is not installed.

    Example: `zoorank info --json`
    """
    from zoorank.ranking.provenance import environment

    found = environment()
    if as_json:
        print_json(asdict(found))
    else:
        from zoorank.report.listings import info_table

        stdout().print(info_table(found))
    return 0


@app.command(
    short_help="Measure the kernels beside this machine's limits.",
    add_help_option=False,  # the program's own is asked for
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def bench(context: typer.Context) -> int:
    """Measure every kernel beside this machine's limits: benchmarks/kernels.py of the source.

    Example: `zoorank bench --metric euclidean --n 20000 --d 128,512 --classes 10,100`
    """
    program = Path(__file__).parents[3] / "benchmarks" / "kernels.py"
    if not program.is_file():
        raise UsageError(
            "zoorank bench is a program of the source code, benchmarks/kernels.py, "
            "and this installation has no source code beside it"
        )
    return subprocess.call([sys.executable, str(program), *context.args])  # noqa: S603  our own


def _check_installed(extra: str) -> None:
    # What a manifest names is refused with advice for zoos of one's own.
    for module in (module for module, brings in EXTRAS.items() if brings == extra):
        if find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def _rank(
    sources: list[str], data: str | None, *, as_json: bool, quiet: bool, **settings: Any
) -> int:
    from zoorank.ranking.rank import rank
    from zoorank.report.progress import progress
    from zoorank.store.encodings import store_directory

    out, ranking, unwritten = settings["out"], None, None
    place = store_directory(out, settings["store"])
    written = [] if out is None else [out / "ranking.json", out / "ranking.csv"]
    try:
        with progress(quiet=quiet) as watcher:
            ranking = rank(sources, data, **settings, progress=watcher)
        if out is not None:
            written += results.write_page(ranking, out, data)
    except KeyboardInterrupt as stop:
        so_far = getattr(stop, "ranking", ranking)
        if so_far is not None and as_json:
            typer.echo(so_far.to_json(), nl=False)
        elif so_far is not None:
            _print_ranking(so_far, [])
        typer.echo(
            f"zoorank: interrupted; encodings made so far are in {inert(place)}, "
            "and the same command goes on from there",
            err=True,
        )
        return INTERRUPTED
    except StoreError as error:
        if ranking is None:
            ranking, written = getattr(error, "ranking", None), []
        if ranking is None:
            raise
        unwritten = error  # a disk that is full in the end costs no table
    if as_json:
        typer.echo(ranking.to_json(), nl=False)
    else:
        _print_ranking(ranking, written)
    if unwritten is not None:
        raise unwritten
    return 0 if ranking.best else FAILED


def _print_ranking(ranking: Ranking, written: Sequence[Path]) -> None:
    from zoorank.report.table import RankingTable

    console = stdout()
    console.print(RankingTable(ranking))
    shares = [f"{name} {share:.0%}" for name, share in ranking.stages.shares().items()]
    if shares:
        taken = f"The sources took {ranking.stages.seconds:,.1f} s: {', '.join(shares)}"
        console.print(taken, style="dim")
    if written:
        files = ", ".join(map(inert, written))
        console.print(f"Written: {files}", style="dim", markup=False)
