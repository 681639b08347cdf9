"""Train what the ranking promises: heads on its first picks, then fine-tuning."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.encoding.encode import encode_source
from zoorank.encoding.passes import blamed
from zoorank.errors import SourceError, UsageError
from zoorank.messages import hint
from zoorank.partial import read_sealed, sealed, write_whole
from zoorank.ranking.consensus import takes_record
from zoorank.ranking.files import prepare
from zoorank.ranking.rank import rank
from zoorank.ranking.ranking import Ranking
from zoorank.ranking.record import append_record, check_record
from zoorank.ranking.rows import RankRow
from zoorank.ranking.work import Progress
from zoorank.scores.probe import cross_validated
from zoorank.scores.ridge import ridge_r2
from zoorank.sources.base import OpenOptions, Source
from zoorank.sources.manifest import zoo_of
from zoorank.sources.training import Trainable, Training, TrainingOptions
from zoorank.store.encodings import EncodingStore, key_of, store_directory
from zoorank.targets import load_target
from zoorank.targets.base import Target
from zoorank.targets.labels import drawn
from zoorank.verification.spending import Spending, heads_of, tuned_of
from zoorank.verification.splits import Codes, split, strata_of
from zoorank.verification.verdict import (
    FORMAT,
    Verification,
    Verified,
    rank_agreement,
    verdict,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OF_THE_TARGET = (
    *("input_column", "label_column", "group_column", "split", "modality", "task", "strict"),
)


def verify(
    zoo: Any,
    data: Any = None,
    *,
    top: int = 5,
    models: Sequence[str] = (),
    repeats: int = 3,
    epochs: int = 5,
    budget: float = 120.0,
    samples: int = 400,
    limit: int | None = None,
    out: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    device: str = "auto",
    allow_code: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    allow_packages: str | Sequence[str] = (),
    progress: Progress | None = None,
    on_step: Callable[[str], None] | None = None,
    record: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Verification:
    """Rank a zoo, then train its first picks and say whether the picks held.

    That is: whether the first one has the best head, and how well the order of all agrees.

    First a head on the frozen encodings of each candidate, cross-validated: logistic
    regression, or ridge regression where the target has numbers to predict, judged by R². Then
    fine-tuning by successive halving: every candidate once, the better half again
    with another draw of samples, and so on until each of the last has `repeats`. A
    training that ended is kept in the store, so a run that was stopped goes on.

    Parameters
    ----------
    zoo, data, limit, out, store, device, allow_code, allow_packages, progress
        As for :func:`zoorank.rank`, as are further ``settings``: cuts, score, metric,
        batch_size, columns, task. ``out`` also receives ``verification.json``.
    top : int
        How many of the ranking to train. Where more is known than the encodings, that is at
        most so many: one after the other, each where most is to be gained, until nothing is.
    models : sequence of str
        Further candidates, ``MODEL`` (its best cut) or ``MODEL:CUT``.
    repeats : int
        Of each cross-validation, and of the training of the last candidates.
    epochs : int
        Of fine-tuning, at most; 0 trains heads alone.
    budget : float
        Seconds for heads and fine-tuning, the ranking apart. Heads come first, from the first
        candidate on; fine-tuning shares the rest evenly. What found no time is said; a training
        that was cut short counts with the best it had, is said to be, and is not kept.
    samples : int
        Train on at most so many samples, drawn by class.
    on_step : callable, optional
        Told what is being trained.
    record : path, optional
        A file that the ranking takes into account where it is there already, as
        :func:`zoorank.rank` does, and that the accuracies are appended to at the end.

    Returns
    -------
    Verification

    Raises
    ------
    UsageError, DataError, StoreError
        As :func:`zoorank.rank`; or for a candidate that is not in the ranking.
    """
    if not budget > 0:
        raise UsageError(f"budget must be more than 0 seconds, not {budget}")
    _check_counts(top=(top, 1), repeats=(repeats, 1), epochs=(epochs, 0), samples=(samples, 2))
    earlier = () if record is None else check_record(record)
    uses = bool(earlier) and takes_record(settings.get("score"), settings.get("metric"))
    zoo = zoo_of(zoo, allow_code=allow_code, allow_packages=allow_packages)
    place = store_directory(out, store)
    ranking = rank(
        zoo,
        data,
        out=out,
        store=place,
        device=device,
        limit=limit,
        progress=progress,
        record=record if uses and record is not None else (),
        **settings,
    )
    said = {name: settings[name] for name in _OF_THE_TARGET if name in settings}
    target = load_target(zoo.data if data is None else data, limit=limit, **said)
    if target.task == "numbers" and record is not None:
        raise UsageError("a record holds accuracies, and the target has numbers to predict")
    start = time.monotonic()
    deadline = start + budget
    sources: dict[str, Source] = {source.name: source for source in zoo.models}
    trainer = _Trainer(sources, target, place, device, repeats, epochs, samples, on_step)
    n_trained_on = trainer.n_samples
    named = _candidates(ranking, 0, models)
    spending = Spending.of(ranking, earlier)
    if spending is None:
        rows = [trainer.head(row, deadline) for row in _candidates(ranking, top, models)]
    else:
        rows = _spent(spending, ranking, trainer, top, named, deadline)
    if epochs:
        rows = trainer.by_halving(rows, deadline)
    heads = [] if target.task == "numbers" else heads_of(rows, ranking, n_trained_on)
    expected = None if spending is None else spending.accuracies(heads)
    chosen, sentence = verdict(rows, n_trained_on, target.task, expected)
    found = Verification(
        rows=tuple(rows),
        ranking=ranking,
        task=target.task,
        n_trained_on=n_trained_on,
        chosen=chosen,
        verdict=sentence,
        tau=rank_agreement(rows),
        seconds=time.monotonic() - start,
    )
    if out is not None:
        write_whole(prepare(out) / "verification.json", found.to_json().encode())
    if record is not None:
        append_record(record, [*heads, *tuned_of(rows, ranking, n_trained_on)])
    return found


def _check_counts(**counts: tuple[int, int]) -> None:
    """Refuse a number below the least that is allowed, which stands beside it."""
    for name, (count, least) in counts.items():
        if count < least:
            raise UsageError(f"{name} must be at least {least}, not {count}")


def _spent(
    spending: Spending,
    ranking: Ranking,
    trainer: _Trainer,
    most: int,
    named: Sequence[RankRow],
    deadline: float,
) -> list[Verified]:
    """Heads on what is worth one, and on what is named; in the order of the ranking."""
    there = {(row.model, row.cut or ""): row for row in ranking if row.status == "ok"}
    done = {(row.model, row.cut or ""): trainer.head(row, deadline) for row in named}
    for _ in range(most):
        heads = heads_of(list(done.values()), ranking, trainer.n_samples)
        place = spending.next(heads, {place for place, row in done.items() if not row.head})
        if place is None:
            break
        done[place] = trainer.head(there[place], deadline)
    return [done[place] for place in there if place in done]


def _candidates(ranking: Ranking, top: int, models: Sequence[str]) -> list[RankRow]:
    """The first rows, and the named ones."""
    ranked = [row for row in ranking if row.status == "ok"]
    chosen = ranked[:top]
    for text in models:
        fitting = [row for row in ranked if text in (row.model, f"{row.model}:{row.cut}")]
        if not fitting:
            names = dict.fromkeys(row.model for row in ranked)
            raise UsageError(f"{text!r} is not in the ranking; {hint(text, names)}")
        if fitting[0] not in chosen:
            chosen.append(fitting[0])
    return chosen


@dataclass(frozen=True)
class _Trainer:
    """Trains candidates, all on the same samples with the same settings."""

    sources: dict[str, Source]
    target: Target
    store: Path
    device: str
    repeats: int
    epochs: int
    samples: int
    on_step: Callable[[str], None] | None

    @property
    def n_samples(self) -> int:
        """Samples that a training can use."""
        return min(self.samples, self.target.n_samples)

    def announce(self, text: str) -> None:
        """Say what is being trained to whoever wants to know."""
        if self.on_step is not None:
            self.on_step(text)

    def head(self, row: RankRow, deadline: float) -> Verified:
        """Cross-validate a head on encodings that ranking has made, if there is time left."""
        verified = Verified(row.rank, row.model, row.cut or "")
        if time.monotonic() >= deadline:
            return replace(verified, note="the budget ended before its head")
        self.announce(f"head on {row.model}, {row.cut}")
        try:
            (encoding,) = encode_source(
                self.sources[row.model],
                self.target,
                cuts=[verified.cut],
                store=EncodingStore(self.store),
                device=self.device,
            ).encodings
            F = np.asarray(encoding.load(), dtype=np.float64)
            strata = strata_of(self.target)
            found = []
            for seed in range(self.repeats):
                rows = drawn(strata, self.samples, seed)
                found.append(self._cross_validated(F[rows], strata[rows], rows, seed))
        except (SourceError, ValueError) as error:
            return replace(verified, note=str(error))
        return replace(verified, head=tuple(found))

    def _cross_validated(
        self, F: NDArray[np.float64], codes: Codes, rows: NDArray[np.int64], seed: int
    ) -> float:
        """Accuracy of a head, or R², on samples and groups that it was not trained on."""
        groups = self.target.groups
        own = None if groups is None else np.unique(groups[rows], return_inverse=True)[1]
        if self.target.task == "numbers":
            return ridge_r2(F, self.target.labels[rows], groups=own).value
        return cross_validated(F, codes, seed=seed, groups=own)

    def by_halving(self, rows: Sequence[Verified], deadline: float) -> list[Verified]:
        """Fine-tune all once, the better half again, until the repeats or the time are up."""
        by_place = dict(enumerate(rows))
        alive = [place for place, row in by_place.items() if row.head]
        for seed in range(self.repeats):
            for done, place in enumerate(alive):
                left = deadline - time.monotonic()
                if left <= 0:
                    by_place[place] = _without_time(by_place[place])
                else:  # an even share of what is left, so that none goes without
                    until = time.monotonic() + left / (len(alive) - done)
                    by_place[place] = self.tuned(by_place[place], seed, until)
            alive = [place for place in alive if len(by_place[place].tuned) == seed + 1]
            alive.sort(key=lambda place: -float(np.mean(by_place[place].tuned)))
            alive = alive[: max(1, math.ceil(len(alive) / 2))]
        return list(by_place.values())

    def tuned(self, row: Verified, seed: int, deadline: float) -> Verified:
        """One more repeat of fine-tuning, from the store where it is there."""
        self.announce(f"fine-tune {row.model}, {row.cut}, repeat {seed + 1}")
        path = self.store / f"training-{self.key(row, seed)}.json"
        try:
            training = _read(path) or self.train(row, seed, deadline)
        except SourceError as error:
            return replace(row, note=str(error))
        if training.complete:
            self.target.check_unchanged()
            write_whole(path, sealed(asdict(training)).encode())
        else:
            epochs = len(training.curve) - 1
            ran = f"{epochs} epoch{'s' * (epochs != 1)}"
            row = replace(row, note=f"the budget ended repeat {seed + 1} after {ran}")
        return replace(
            row,
            frozen=(*row.frozen, training.frozen_accuracy),
            tuned=(*row.tuned, training.accuracy),
            curves=(*row.curves, training.curve),
        )

    def train(self, row: Verified, seed: int, deadline: float) -> Training:
        """Fine-tune on one draw of the samples."""
        options = OpenOptions(self.target.modality, self.device)
        with blamed():
            encoder = self.sources[row.model].open(options)
        with encoder:
            if not isinstance(encoder, Trainable):
                raise SourceError(f"zoorank trains no models of {encoder.facts.framework}")
            return encoder.train(
                self.target,
                row.cut,
                split(strata_of(self.target), self.samples, seed, self.target.groups),
                TrainingOptions(seed=seed, epochs=self.epochs, deadline=deadline),
                lambda _epoch, _accuracy: None,
            )

    def key(self, row: Verified, seed: int) -> str:
        """Name of a training by what it depends on."""
        return key_of(
            {
                "format": FORMAT,
                "source": self.sources[row.model].identity(),
                "cut": row.cut,
                "data": self.target.fingerprint,
                "seed": seed,
                "epochs": self.epochs,
                "samples": self.samples,
            }
        )


def _read(path: Path) -> Training | None:
    """A training as it was written; None where there is none, or something has changed it."""
    found = read_sealed(path)
    return None if found is None else Training(**{**found, "curve": tuple(found["curve"])})


def _without_time(row: Verified) -> Verified:
    return replace(row, note=f"the budget ended before repeat {len(row.tuned) + 1} of fine-tuning")
