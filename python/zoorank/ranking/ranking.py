"""The result of a ranking: frozen rows, and everything needed to repeat them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoorank.encoding.costs import Stages
from zoorank.errors import DataError, StoreError
from zoorank.partial import write_whole
from zoorank.ranking.columns import FACTS
from zoorank.ranking.files import csv_text, prepare
from zoorank.ranking.provenance import Provenance
from zoorank.ranking.racing.facts import BudgetFacts, RaceFacts
from zoorank.ranking.rows import CutFacts, Merit, RankRow
from zoorank.store.encodings import EncodingStore
from zoorank.targets.facts import TargetFacts
from zoorank.targets.opening import no_pipe

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

FORMAT = 2

Cell = str | float | bool | None  # of a table; a whole number is a float to a type checker


@dataclass(frozen=True)
class Ranking:
    """Sources of a zoo, cut at their layers, in the order to try them.

    Iterating gives the rows from best to worst, the baseline where its score
    puts it; what a budget left out, what was filtered and what failed come last.

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
    budget : BudgetFacts or None
        How far the time went; None where there was no budget.
    stages : Stages
        What the time of the sources went into.
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
    budget: BudgetFacts | None = None
    stages: Stages = field(default_factory=Stages)

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

    @property
    def filtered(self) -> tuple[RankRow, ...]:
        """Rows of what costs more than was allowed, or has another licence."""
        return tuple(row for row in self.rows if row.status == "filtered")

    @property
    def untried(self) -> tuple[RankRow, ...]:
        """Rows of the sources that a budget left out, each with the reason as its note."""
        return tuple(row for row in self.rows if row.status == "untried")

    @property
    def narrowed(self) -> tuple[str, ...]:
        """What a race or a budget has to say of itself, in a sentence or two each."""
        return tuple(each.summary for each in (self.race, self.budget) if each is not None)

    def encoding(self, row: RankRow) -> NDArray[np.float32]:
        """The encoding that a row was scored by, from the store of the run.

        Parameters
        ----------
        row : RankRow

        Returns
        -------
        ndarray of shape (n_rows, row.dim)
            float32, mapped from its file.

        Raises
        ------
        DataError
            Where the row has none, or the store no longer has it.
        """
        store = EncodingStore(str(self.provenance.settings.get("store", "")))
        if not row.encoding or store.metadata(row.encoding) is None:
            raise DataError(
                f"no encoding of {row.model} at {row.cut} is in {store.directory}; rank with "
                "save_encodings=True to keep it"
            )
        return store.load(row.encoding)

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
        sentences = filter(None, [*self.narrowed, self.verdict, self.guidance])
        return "\n".join([*lines, *sentences])

    def records(self) -> list[dict[str, Cell]]:
        """One flat dict for each row, the same keys in the same order, for tables."""
        # A race that was interrupted has no facts.
        sampled = any(row.status == "sampled" for row in self.rows)
        samples = sampled or self.race is not None or self.budget is not None
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
                **{fact.key: fact.of(row) for fact in FACTS},
                "batch_size": row.facts.batch_size,
                "training_data": row.facts.training_data,
                "encode_seconds": row.encode_seconds,
                "score_seconds": row.score_seconds,
                "reused": row.reused,
                "note": row.note,
                **({"rows": row.rows} if samples else {}),
                **({"left_in_round": row.left_in_round, "tied": row.tied} if self.race else {}),
            }
            for row in self.rows
        ]

    def to_frame(self) -> pd.DataFrame:
        """The rows as a pandas data frame; needs pandas."""
        import pandas as pd

        frame = pd.DataFrame(self.records())
        whole = [
            "rank",
            "batch_size",
            *(fact.key for fact in FACTS if fact.is_whole),
            *(["rows"] if "rows" in frame else []),
            *(["left_in_round"] if self.race else []),
        ]
        return frame.astype(dict.fromkeys(whole, "Int64"))

    def to_csv(self) -> str:
        """The rows as CSV text with a header line."""
        return csv_text(self.records())

    def to_json(self) -> str:
        """Everything as JSON text, which :meth:`from_json` reads back unchanged."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, allow_nan=False) + "\n"

    def write(self, directory: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Write ``ranking.json`` and ``ranking.csv``, replacing earlier ones.

        Raises
        ------
        StoreError
            If the disk is full or not writable; earlier files are then untouched.
        """
        folder = prepare(directory)
        paths = folder / "ranking.json", folder / "ranking.csv"
        for path, text in zip(paths, (self.to_json(), self.to_csv()), strict=True):
            write_whole(path, text.encode())
        return paths

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
            values = json.loads(no_pipe(Path(name)).read_text("utf-8") if text is None else text)
            if values.pop("format") != FORMAT:
                raise ValueError(f"its format is not {FORMAT}")
            rows = tuple(
                RankRow(
                    **{
                        **row,
                        "per_class": tuple(row["per_class"]),
                        "facts": CutFacts(**row["facts"]),
                        "merit": Merit(**row["merit"]) if row.get("merit") else None,
                    }
                )
                for row in values.pop("rows")
            )
            facts = values.pop("target")
            facts["classes"] = tuple(facts["classes"])
            facts["notes"] = tuple(facts["notes"])
            race, budget = values.pop("race", None), values.pop("budget", None)
            stages = Stages(**values.pop("stages", {}))
            return cls(
                rows=rows,
                target=TargetFacts(**facts),
                provenance=Provenance(**values.pop("provenance")),
                race=None if race is None else RaceFacts.from_plain(race),
                budget=None if budget is None else BudgetFacts(**budget),
                stages=stages,
                **values,
            )
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror}") from error
        except RecursionError:
            raise DataError(
                f"{name} is not a ranking written by zoorank: it nests deeply"
            ) from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(f"{name} is not a ranking written by zoorank: {error}") from error


INTERRUPTED = "the run was interrupted before its end"


class Interrupted(KeyboardInterrupt):
    """A run was interrupted.

    Attributes
    ----------
    ranking : Ranking
        The table so far; a source that was not done has the status ``"untried"``, one that was
        run on a sample alone ``"sampled"``.
    """

    def __init__(self, ranking: Ranking) -> None:
        super().__init__("interrupted")
        self.ranking = ranking


class UnwrittenError(StoreError):
    """The results of a run could not be written.

    Attributes
    ----------
    ranking : Ranking
    """

    def __init__(self, ranking: Ranking, error: StoreError) -> None:
        super().__init__(str(error))
        self.ranking = ranking


def write(ranking: Ranking, out: str | os.PathLike[str]) -> None:
    """Write the results; whoever interrupts that, or has no room for them, has the table."""
    try:
        ranking.write(out)
    except KeyboardInterrupt:
        raise Interrupted(ranking) from None
    except StoreError as error:
        raise UnwrittenError(ranking, error) from error


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _text(value: object) -> str:
    return "-" if value is None else str(value)
