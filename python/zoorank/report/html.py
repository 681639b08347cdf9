"""A ranking as one self-contained page: report.html."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoorank.messages import inert
from zoorank.partial import write_whole
from zoorank.ranking import Ranking, RankRow
from zoorank.ranking.columns import FACTS
from zoorank.ranking.files import prepare
from zoorank.report.closeups import Closeups
from zoorank.report.contents import (
    PageColumn,
    cards_of,
    columns_of,
    depths_of,
    is_better_higher,
    reasons_of,
    short_names,
    table_of,
)

if TYPE_CHECKING:
    from jinja2 import Template

ASSETS = Path(__file__).with_name("assets")
SCRIPTS = ("charts.min.js", "specs.js", "report.js")
NAME = "report.html"
SHOWN = ("ok", "baseline", "sampled")  # in the table and the charts
TRUST = "How far to trust it: "  # the section's heading says that


def page(ranking: Ranking, closeups: Closeups | None = None) -> str:
    """Draw a ranking as an HTML page that needs nothing beside itself.

    Parameters
    ----------
    ranking : Ranking
    closeups : Closeups, optional
        Of its first picks; the page does without where they are not known.

    Returns
    -------
    str

    Raises
    ------
    ModuleNotFoundError
        Without Jinja2, of the extra ``report``.
    """
    from markupsafe import Markup

    names = short_names(row.model for row in ranking)
    full_names = [row.model for row in ranking if row.status in SHOWN]
    ranking = _with_names(ranking, names)
    rows = [row for row in ranking if row.status in SHOWN]
    columns = list(columns_of(ranking, rows))
    ranked = [row for row in rows if row.status == "ok"]
    scripts = [_asset(name) for name in SCRIPTS]
    data = _chart_data(ranking, rows, columns, full_names, closeups)
    return _template().render(
        target=ranking.target,
        provenance=ranking.provenance,
        settings=json.dumps(ranking.provenance.settings, indent=2, ensure_ascii=False),
        best=ranking.best,
        verdict=_verdict(ranking),
        guidance=_capital(ranking.guidance.removeprefix(TRUST)),
        narrowed=" ".join(ranking.narrowed),
        labels=ranking.labels,
        key=ranking.key,
        higher_is_better=ranking.higher_is_better,
        cards=cards_of(ranking),
        columns=columns,
        table=table_of(ranking, rows, columns, full_names),
        names=names,
        n_ranked=sum(row.rank is not None for row in rows),
        n_sources=len({row.model for row in ranked}),
        has_depth=data["depthTitle"] != "",
        costs=data["costs"],
        closeups=closeups,
        failures=reasons_of(ranking.failures),
        n_failures=len(ranking.failures),
        filtered=reasons_of(ranking.filtered),
        n_filtered=len(ranking.filtered),
        untried=reasons_of(ranking.untried),
        n_untried=len(ranking.untried),
        batch_sizes=sorted({row.facts.batch_size for row in rows} - {None}),
        css=Markup(_asset("report.css")),  # noqa: S704 - files of this package
        scripts=[Markup(script) for script in scripts],  # noqa: S704
        policy=_policy(scripts),
        data=Markup(script_json(data)),  # noqa: S704 - escaped by script_json
    )


def _chart_data(
    ranking: Ranking,
    rows: list[RankRow],
    columns: Sequence[PageColumn],
    full_names: Sequence[str],
    closeups: Closeups | None,
) -> dict[str, object]:
    """What the scripts of the page draw, as they call it."""
    ranked = [row for row in rows if row.status == "ok"]
    depths, depth_title = depths_of(rows)
    return {
        "key": ranking.key,
        "labels": dict(ranking.labels),
        "higher": {key: is_better_higher(ranking, key) for key in ranking.labels},
        "costs": {
            fact.key: {"name": fact.name, "meaning": fact.meaning, "unit": fact.unit}
            for fact in FACTS
            if fact.is_cost and len({fact.of(row) for row in ranked} - {None, 0}) > 1
        },
        "depthTitle": depth_title,
        "columns": {
            **{column.id: column.values for column in columns},
            "cut": [row.cut for row in rows],
            "name": full_names,
            "status": [row.status for row in rows],
            "note": [row.note for row in rows],
            "depth": depths,
        },
        "closeups": None if closeups is None else asdict(closeups),
    }


def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        finalize=_inert,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"{NAME}.j2")


def write_page(
    ranking: Ranking, directory: str | os.PathLike[str], closeups: Closeups | None = None
) -> Path:
    """Write ``report.html``, replacing an earlier one.

    Raises
    ------
    StoreError
        If the disk is full or not writable; an earlier file is then untouched.
    ModuleNotFoundError
        Without Jinja2.
    """
    path = prepare(directory) / NAME
    write_whole(path, page(ranking, closeups).encode())
    return path


def script_json(value: object) -> str:
    r"""JSON that may stand in a ``<script>``: nothing in it ends the element, or a line.

    Examples
    --------
    >>> print(script_json(["</script><!--", "<a\n&"]))
    ["\u003c/script\u003e\u003c!--","\u003ca\n\u0026"]
    """
    text = json.dumps(_inert(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _inert(value: Any) -> Any:
    """The value, all strings in it without control characters."""
    if isinstance(value, str):  # of Markup, which is safe already, nothing changes
        return value if hasattr(value, "__html__") else inert(value, lines=True)
    if isinstance(value, Mapping):
        return {inert(key): _inert(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_inert(each) for each in value]
    return value


@cache
def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _policy(scripts: list[str]) -> str:
    """Run these scripts alone, without eval, and ask no host for anything."""
    digests = (
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    )
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _verdict(ranking: Ranking) -> str:
    """The outcome in words, without what the headline says already."""
    best = ranking.best
    if best is None:
        return ranking.verdict
    headline = f"Try {best.model} cut at {best.cut}"
    if ranking.verdict.startswith(f"{headline} or "):
        others, _, rest = ranking.verdict.removeprefix(f"{headline} or ").partition(" first: ")
        return f"As good: {others}. {_capital(rest)}"
    return _capital(ranking.verdict.removeprefix(f"{headline} first: "))


def _with_names(ranking: Ranking, names: Mapping[str, str]) -> Ranking:
    """The same with other names of its sources."""
    verdict = ranking.verdict
    for name in sorted(names, key=len, reverse=True):
        if names[name] != name:
            verdict = verdict.replace(name, names[name])
    rows = tuple(replace(row, model=names[row.model]) for row in ranking)
    return replace(ranking, rows=rows, verdict=verdict)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
