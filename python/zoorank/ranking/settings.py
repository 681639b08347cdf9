"""What a ranking is asked for, as `rank` takes it: one record for all that read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from zoorank.sources.base import Precision
    from zoorank.targets.base import Modality, Task
    from zoorank.targets.labelled import Split


@dataclass(frozen=True)
class Settings:
    """Arguments of :func:`zoorank.rank` but the zoo and the data, by their names there.

    Where results and encodings go, who is told and the text of the command are not among them.

    Names that may be given one by one or comma separated are tuples here, paths are texts.
    """

    cuts: tuple[str, ...]
    score: str | Sequence[str] | None
    metric: str | None
    store_quota: int | None
    batch_size: int | None
    device: str
    precision: Precision
    workers: int | Literal["auto"] | None
    timeout: float | None
    memory_limit: int | None
    ray: str | None
    gpus: float | None
    budget: float | None
    retry: bool
    save_encodings: bool | None
    max_parameters: float | None
    max_milliseconds: float | None
    licence: tuple[str, ...]
    limit: int | None
    input_column: str | Sequence[str]
    label_column: str | None
    group_column: str | None
    split: Split
    modality: Modality | None
    task: Task | None
    strict: bool
    allow_code: tuple[str, ...]
    allow_packages: tuple[str, ...]
    race: bool
    confidence: float | None
    first_rows: int | None
    random_state: int | None
    record: tuple[str, ...]
