"""The commands for what a ranking has left in a directory: its page, and its winner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoorank.cli import FAILED
from zoorank.cli.options import AllowCode, AllowPackage, Device, Limit
from zoorank.errors import DataError
from zoorank.messages import inert, missing_package, one_line

if TYPE_CHECKING:
    from zoorank.ranking import Ranking


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DIR|SOURCE", help="What `rank --out` wrote, for its winner; or a reference."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Write the files there.")],
    data: Annotated[
        str | None,
        typer.Option(metavar="PATH|NAME", help="The target. Default: that of the ranking."),
    ] = None,
    cut: Annotated[
        str | None, typer.Option(metavar="CUT", help="Where to cut. Default: as the winner.")
    ] = None,
    device: Device = "cpu",
    limit: Limit = None,
    allow_code: AllowCode = None,
    allow_package: AllowPackage = None,
) -> int:
    """Write a source as far as its cut, with its preprocessing, for use elsewhere.

    Example: `zoorank export results --out winner`
    """
    from zoorank.exporting.export import export

    found = export(
        source,
        data,
        out,
        cut=cut,
        device=device,
        limit=limit,
        allow_code=allow_code or (),
        allow_packages=allow_package or (),
    )
    files = ", ".join(inert(out / name) for name in (*found.files, "encoder.json"))
    typer.echo(f"{inert(found.source)}, cut at {inert(found.cut)}: {found.dim} numbers a sample")
    typer.echo(f"Written: {files}")
    return 0


def report(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="What `rank --out` wrote: ranking.json.")
    ],
    data: Annotated[
        str | None,
        typer.Option(metavar="PATH|NAME", help="The target, where it is no longer where it was."),
    ] = None,
) -> int:
    """Write report.html beside a ranking: one page with charts, to look at and to pass on.

    Example: `zoorank report results`
    """
    from zoorank.ranking import Ranking

    written = write_page(Ranking.from_json(directory / "ranking.json"), directory, data)
    typer.echo("".join(f"{inert(path)}\n" for path in written), nl=False)
    return 0 if written else FAILED


def write_page(ranking: Ranking, directory: Path, data: str | None) -> list[Path]:
    """Write report.html, as far as it can be; what is missing is said, and costs no ranking."""
    try:
        from zoorank.report.closeups import look_closer
        from zoorank.report.html import write_page as write_html

        closeups = None
        try:
            if ranking.best is not None:
                closeups = look_closer(ranking, data)
        except (DataError, MemoryError, ValueError) as error:
            typer.echo(f"zoorank: report.html has no closer look: {one_line(error)}", err=True)
        return [write_html(ranking, directory, closeups)]
    except ModuleNotFoundError as error:
        if not missing_package(error):
            raise
        typer.echo(f"zoorank: no report.html: {missing_package(error)}", err=True)
        return []
