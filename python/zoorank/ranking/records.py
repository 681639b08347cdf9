"""The records that a ranking is made of: plain, frozen, and what JSON holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "failed", "baseline"]


@dataclass(frozen=True)
class CutFacts:
    """What a source costs as it is cut, and what is published about it.

    Attributes
    ----------
    parameters, bytes : int or None
        Of what is kept.
    flops : int or None
        Operations for one sample, up to the cut; None where nobody counts them.
    milliseconds : float or None
        For one sample up to the cut, as measured in the run that encoded the target.
    licence : str
    accuracy : float or None
        Published, of the whole source on ``benchmark``, 0 to 1.
    benchmark, training_data, framework : str
    """

    parameters: int | None = None
    bytes: int | None = None
    flops: int | None = None
    milliseconds: float | None = None
    licence: str = ""
    accuracy: float | None = None
    benchmark: str = ""
    training_data: str = ""
    framework: str = ""


@dataclass(frozen=True)
class Merit:
    """What is expected of a candidate, in accuracy (0 to 1) above the mean of those ranked.

    Attributes
    ----------
    consensus, published, record : float
        What its scores, its published accuracy and the record of earlier targets add.
    sd : float
        Standard deviation of what is not known.
    targets : int
        Earlier targets on which the record has its source.
    on_this : bool
        Whether the record has its source on this target itself.
    """

    consensus: float = 0.0
    published: float = 0.0
    record: float = 0.0
    sd: float = 0.0
    targets: int = 0
    on_this: bool = False

    @property
    def expected(self) -> float:
        """All parts together."""
        return self.consensus + self.published + self.record

    @property
    def reasons(self) -> str:
        """What is known beside the scores, and what it adds, in points.

        Examples
        --------
        >>> Merit(consensus=0.02, published=-0.013, record=0.004, targets=3).reasons
        'published accuracy -1.3 points; record of 3 targets +0.4 points'
        """
        seen = [f"{self.targets} target{'s' * (self.targets != 1)}"] if self.targets else []
        if self.on_this:
            seen.append("this one" if seen else "this target")
        # A source that nobody tried has a share in what is recorded of cuts of its cut's name.
        record = f"record of {' and '.join(seen)}" if seen else "record of other sources"
        parts = (("published accuracy", self.published), (record, self.record))
        return "; ".join(
            f"{name} {100 * part:+.1f} points" for name, part in parts if abs(part) >= 5e-4
        )


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
    facts : CutFacts
    merit : Merit or None
        What is expected of it where more than the encodings is known; None where not.
    traceback : str
        Of what could not be scored, where there is one.
    encoding : str
        Key of its encoding in the store; empty where there is none.
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
    facts: CutFacts = CutFacts()
    merit: Merit | None = None
    traceback: str = ""
    encoding: str = ""

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
    name, source, modality : str
        Its name, where it came from, and "image", "series" or "table".
    n_samples : int
    shape : str
        Shape of one sample, such as ``"(8, 8)"``.
    classes : tuple of str
        Class labels, sorted.
    fingerprint : str
        sha256 of its content.
    task : {"classes", "numbers"}
        What its labels are.
    n_rows : int
        Labels, and so rows of an encoding: words of sentences, else samples.
    notes : tuple of str
        What was left out of it.
    """

    name: str
    source: str
    modality: str
    n_samples: int
    shape: str
    classes: tuple[str, ...]
    fingerprint: str
    task: str = "classes"
    n_rows: int = 0
    notes: tuple[str, ...] = ()


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
