"""The result of a ranking: frozen rows, and everything needed to repeat them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoorank.errors import DataError
from zoorank.ranking.racing.facts import RaceFacts
from zoorank.ranking.records import csv_text

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
Status = Literal["ok", "failed", "baseline"]


@dataclass(frozen=True)
class RankRow:
    """One source cut at one layer, the baseline, or a source that failed.

    Attributes
    ----------
    rank : int or None
        1 is best and equal scores share a rank; None for the baseline and for
        what could not be scored.
    model : str
        Name of the source in the zoo; ``"raw input"`` for the baseline.
    cut : str or None
        Layer whose output is the encoding; None where there is none.
    score : float or None
        The score that decides the rank.
    half_width : float
        Half the confidence interval of ``score``; 0.0 when it is exact.
    scores : mapping of str to float
        Every score of the row by key, such as ``{"cosine": .2, "euclidean": .1}``.
    per_class : tuple of float
        Score of each class, in the order of ``Ranking.target.classes``; of the score
        ``Ranking.class_key``.
    dim : int or None
        Width of the encoding.
    parameters_kept : int or None
        Parameters of the source up to and including the cut.
    encode_seconds : float or None
        Seconds this encoding took when it was made, even if it was reused now.
    score_seconds : float or None
        Seconds the ``scores`` took that were computed for this row; what no cut of a
        source changes was computed for its first.
    reused : bool
        Whether the encoding came from the store instead of a forward pass.
    status : {"ok", "failed", "baseline"}
    note : str
        Why it failed, or what else is worth knowing.
    rows : int or None
        On how many rows it was last scored when it left a race; None where it was scored
        on all.
    left_in_round : int or None
        The round of a race that it left in, from 1; None where it did not.
    tied : bool
        Whether its interval and that of the first row overlap, for both of the two.
    same_as : str or None
        The first cut of this source whose encoding is the same, bit for bit; None for that
        one itself and where there is none.
    """

    rank: int | None
    model: str
    cut: str | None
    score: float | None = None
    half_width: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)
    per_class: tuple[float, ...] = ()
    dim: int | None = None
    parameters_kept: int | None = None
    encode_seconds: float | None = None
    score_seconds: float | None = None
    reused: bool = False
    status: Status = "ok"
    note: str = ""
    rows: int | None = None
    left_in_round: int | None = None
    tied: bool = False
    same_as: str | None = None

    @property
    def class_min(self) -> float | None:
        """Score of the worst separated class."""
        return min(self.per_class, default=None)

    @property
    def class_max(self) -> float | None:
        """Score of the best separated class."""
        return max(self.per_class, default=None)


@dataclass(frozen=True)
class TargetFacts:
    """What the target is, without its data.

    Attributes
    ----------
    name, source, kind : str
        Its name, where it came from, and "image", "series" or "table".
    n_samples : int
    shape : str
        Shape of one sample, such as ``"(8, 8)"``.
    classes : tuple of str
        Class labels, sorted.
    fingerprint : str
        sha256 of its content.
    """

    name: str
    source: str
    kind: str
    n_samples: int
    shape: str
    classes: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True)
class Provenance:
    """How to repeat a ranking: what ran, on what, with which inputs.

    Attributes
    ----------
    command : str
        The command line, or the call from Python.
    directory : str
        Where it ran, which relative paths start from.
    started : str
        Time of the start, ISO 8601, UTC.
    manifest, manifest_sha256 : str or None
        The zoo's file and the sha256 of its content; None for a zoo made in
        Python.
    weights : mapping of str to (str or None)
        sha256 of the weights of each source; None where they are random or
        could not be read.
    settings : mapping
        Arguments of the run, defaults included.
    versions : mapping of str to (str or None)
        zoorank, python, numpy, torch and the platform.
    engine : mapping
        ``zoorank.build_info()``: instruction set, threads, CUDA.
    """

    command: str
    directory: str
    started: str
    manifest: str | None
    manifest_sha256: str | None
    weights: Mapping[str, str | None]
    settings: Mapping[str, Any]
    versions: Mapping[str, str | None]
    engine: Mapping[str, Any]


@dataclass(frozen=True)
class Ranking:
    """Sources of a zoo, cut at their layers, in the order to try them.

    Iterating gives the rows from best to worst, the baseline where its score
    puts it and failures last.

    Attributes
    ----------
    rows : tuple of RankRow
    target : TargetFacts
    score : str
        Name of the score, such as ``"silhouette"``.
    key : str
        Key in ``RankRow.scores`` of the score that decides the rank.
    labels : mapping of str to str
        Column heading of each key, the deciding one first.
    higher_is_better : bool
    verdict : str
        The outcome in a sentence: whether the zoo helps on this target.
    provenance : Provenance
    class_key : str
        Key of the score that ``RankRow.per_class`` belongs to; empty for ``key``.
    guidance : str
        How far to trust the pick, from the evidence on targets of this size.
    race : RaceFacts or None
        How the field was narrowed down; None where every row was scored on all samples.
    """

    rows: tuple[RankRow, ...]
    target: TargetFacts
    score: str
    key: str
    labels: Mapping[str, str]
    higher_is_better: bool
    verdict: str
    provenance: Provenance
    class_key: str = ""
    guidance: str = ""
    race: RaceFacts | None = None

    @property
    def best(self) -> RankRow | None:
        """The first row of a source; None when no source could be scored."""
        return next((row for row in self.rows if row.status == "ok"), None)

    @property
    def baseline(self) -> RankRow | None:
        """The raw input scored without any network."""
        return next((row for row in self.rows if row.status == "baseline"), None)

    @property
    def failures(self) -> tuple[RankRow, ...]:
        """Rows of what could not be scored, each with its reason as the note."""
        return tuple(row for row in self.rows if row.status == "failed")

    def __iter__(self) -> Iterator[RankRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        cells = [["rank", "model", "cut", *self.labels.values(), "dim", "note"]]
        for row in self.rows:
            scores = [_number(row.scores.get(key)) for key in self.labels]
            rank = "-" if row.rank is None else f"{row.rank}{'=' if row.tied else ''}"
            cells.append([rank, row.model, row.cut or "-", *scores, _text(row.dim), row.note])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
        race = self.race.summary if self.race else ""
        return "\n".join([*lines, *filter(None, [race, self.verdict, self.guidance])])

    def records(self) -> list[dict[str, Any]]:
        """One flat dict for each row, the same keys in the same order, for tables."""
        return [
            {
                "rank": row.rank,
                "model": row.model,
                "cut": row.cut,
                "status": row.status,
                **{
                    label.lower().replace(" ", "_"): row.scores.get(key)
                    for key, label in self.labels.items()
                },
                "half_width": row.half_width if row.score is not None else None,
                "class_min": row.class_min,
                "class_max": row.class_max,
                "dim": row.dim,
                "parameters_kept": row.parameters_kept,
                "encode_seconds": row.encode_seconds,
                "score_seconds": row.score_seconds,
                "reused": row.reused,
                "note": row.note,
                **({"rows": row.rows, "left_in_round": row.left_in_round} if self.race else {}),
                **({"tied": row.tied} if self.race else {}),
            }
            for row in self.rows
        ]

    def to_frame(self) -> pd.DataFrame:
        """The rows as a pandas data frame; needs pandas."""
        import pandas as pd

        frame = pd.DataFrame(self.records())
        whole = [
            "rank",
            "dim",
            "parameters_kept",
            *(["rows", "left_in_round"] if self.race else []),
        ]
        return frame.astype(dict.fromkeys(whole, "Int64"))

    def to_csv(self) -> str:
        """The rows as CSV text with a header line."""
        return csv_text(self.records())

    def to_json(self) -> str:
        """Everything as JSON text, which :meth:`from_json` reads back unchanged."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> Ranking:
        """Read what :meth:`to_json` wrote.

        Parameters
        ----------
        source : str or path
            The JSON text itself, or the path of a file that holds it.

        Returns
        -------
        Ranking

        Raises
        ------
        DataError
            If the file cannot be read or holds something else.
        """
        text, name = None, os.fspath(source)
        if isinstance(source, str) and source.lstrip().startswith("{"):
            text, name = source, "the text"
        try:
            values = json.loads(Path(name).read_text("utf-8") if text is None else text)
            if values.pop("format") != FORMAT:
                raise ValueError(f"its format is not {FORMAT}")
            rows = tuple(
                RankRow(**{**row, "per_class": tuple(row["per_class"])})
                for row in values.pop("rows")
            )
            facts = values.pop("target")
            facts["classes"] = tuple(facts["classes"])
            race = values.pop("race", None)
            return cls(
                rows=rows,
                target=TargetFacts(**facts),
                provenance=Provenance(**values.pop("provenance")),
                race=None if race is None else RaceFacts.from_plain(race),
                **values,
            )
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(f"{name} is not a ranking written by zoorank: {error}") from error


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _text(value: object) -> str:
    return "-" if value is None else str(value)
