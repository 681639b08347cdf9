"""Train what the ranking promises: heads on its first picks, then fine-tuning."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoorank.errors import SourceError, UsageError
from zoorank.scores.probe import cross_validated
from zoorank.selection.files import prepare, write_text
from zoorank.selection.progress import Progress
from zoorank.selection.rank import rank, store_directory
from zoorank.selection.ranking import Ranking, RankRow

if TYPE_CHECKING:
    from zoorank.zoo import ModelSpec, Target, Zoo
    from zoorank.zoo.train import Training

FORMAT = 1
Told = Callable[[str], None]


@dataclass(frozen=True)
class Verified:
    """One candidate of the ranking, trained.

    Attributes
    ----------
    rank : int or None
        Its rank by score.
    model, cut : str
    head : tuple of float
        Accuracy of a head on the frozen encodings, cross-validated; one figure for
        each repeat, which draws its own samples.
    frozen, tuned : tuple of float
        Accuracy on samples held out, before and after the prefix was trained too; one
        figure for each repeat that successive halving granted.
    curves : tuple of tuple of float
        Accuracy on the stopping samples: with the prefix frozen, then by epoch.
    note : str
        Why there is none, or what cut it short.
    """

    rank: int | None
    model: str
    cut: str
    head: tuple[float, ...] = ()
    frozen: tuple[float, ...] = ()
    tuned: tuple[float, ...] = ()
    curves: tuple[tuple[float, ...], ...] = ()
    note: str = ""

    @property
    def accuracy(self) -> float:
        """Of a head on the frozen encodings: the mean of its repeats."""
        return float(np.mean(self.head)) if self.head else math.nan


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found, candidates by accuracy of their head.

    Attributes
    ----------
    rows : tuple of Verified
    ranking : Ranking
    n_trained_on : int
        Samples that a training could use.
    order_held : bool
        Whether no head is better than that of the first of the ranking by more than
        the spread over repeats.
    verdict : str
    seconds : float
        Without ranking.
    """

    rows: tuple[Verified, ...]
    ranking: Ranking
    n_trained_on: int
    order_held: bool
    verdict: str
    seconds: float

    def to_json(self) -> str:
        """Everything as JSON text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, allow_nan=False) + "\n"


def verify(
    zoo: str | os.PathLike[str] | Zoo,
    data: Any = None,
    *,
    top: int = 5,
    models: Sequence[str] = (),
    repeats: int = 3,
    epochs: int = 10,
    budget: float = 120.0,
    samples: int = 500,
    limit: int | None = None,
    out: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    device: str = "auto",
    allow_code: Sequence[str | os.PathLike[str]] = (),
    progress: Progress | None = None,
    on_step: Told | None = None,
    **settings: Any,
) -> Verification:
    """Rank a zoo, then train its first picks and say whether the order held.

    First a head on the frozen encodings of each candidate, cross-validated. Then
    fine-tuning by successive halving: every candidate once, the better half again
    with another draw of samples, and so on until each of the last has `repeats`. A
    training that ended is kept in the store, so a run that was stopped goes on.

    Parameters
    ----------
    zoo, data, limit, out, store, device, allow_code, progress
        As for :func:`zoorank.rank`, as are further ``settings``: cuts, score, metric,
        batch_size. ``out`` also receives ``verification.json``.
    top : int
        How many of the ranking to train.
    models : sequence of str
        Further candidates, ``MODEL`` (its best cut) or ``MODEL:CUT``.
    repeats : int
        Of each cross-validation, and of the training of the last candidates.
    epochs : int
        Of fine-tuning, at most; 0 trains heads alone.
    budget : float
        Seconds for fine-tuning. What it cuts short is said and not kept.
    samples : int
        Train on at most so many samples, drawn by class.
    on_step : callable, optional
        Told what is being trained.

    Returns
    -------
    Verification

    Raises
    ------
    UsageError, DataError, StoreError
        As :func:`zoorank.rank`; or for a candidate that is not in the ranking.
    """
    for name, value, least in (("top", top, 1), ("repeats", repeats, 1), ("epochs", epochs, 0)):
        if value < least:
            raise UsageError(f"{name} must be at least {least}, not {value}")
    from zoorank.zoo import load_target, load_zoo

    if isinstance(zoo, str | os.PathLike):
        zoo = load_zoo(zoo, allow_code=allow_code)
    place = store_directory(out, store)
    ranking = rank(
        zoo, data, out=out, store=place, device=device, limit=limit, progress=progress, **settings
    )
    target = load_target(zoo.data if data is None else data, limit=limit)
    tell = on_step or _silent
    start = time.monotonic()
    specs = {spec.name: spec for spec in zoo.models}
    work = _Work(specs, target, place, device, repeats, epochs, samples, tell)
    rows = [work.head(row) for row in _candidates(ranking, top, models)]
    if epochs:
        rows = work.halved(rows, time.monotonic() + budget)
    rows = sorted(rows, key=lambda row: (-(row.accuracy if row.head else -1), row.rank or 0))
    held, said = verdict(rows)
    found = Verification(
        tuple(rows), ranking, min(samples, target.n_samples), held, said, time.monotonic() - start
    )
    if out is not None:
        write_text(prepare(out) / "verification.json", found.to_json())
    return found


def verdict(rows: Sequence[Verified]) -> tuple[bool, str]:
    """Whether the ranking's first held, in a sentence; rows by accuracy.

    Examples
    --------
    >>> first = Verified(1, "a", "x", head=(0.90, 0.92))
    >>> verdict([Verified(2, "b", "x", head=(0.97, 0.97)), first])[0]
    False
    """
    trained = [row for row in rows if row.head]
    if not trained:
        return False, "No candidate could be trained; the notes give the reasons."
    best = trained[0]
    first = min(trained, key=lambda row: math.inf if row.rank is None else row.rank)
    gap = best.accuracy - first.accuracy
    spread = math.hypot(float(np.std(best.head)), float(np.std(first.head)))
    tail = ""
    tuned = [row for row in trained if row.tuned]
    if tuned:
        top = max(tuned, key=lambda row: (len(row.tuned), float(np.mean(row.tuned))))
        tail = (
            f" After fine-tuning {top.model} cut at {top.cut} came out first: "
            f"{np.mean(top.tuned):.1%} on samples held out."
        )
    name = f"{first.model} cut at {first.cut}"
    if best is first:
        return True, f"The order held: {name}, first by score, has the best head too.{tail}"
    other = f"{best.model} cut at {best.cut}, rank {best.rank}"
    said = f"{100 * gap:.1f} points (± {100 * spread:.1f})"
    if gap <= spread:
        return True, (
            f"The order held within the noise: the head of {other}, is ahead of {name} by {said}."
            f"{tail}"
        )
    return False, f"The order did not hold: the head of {other}, beats {name} by {said}.{tail}"


def _silent(_text: str) -> None:
    """Tell nobody."""


def _candidates(ranking: Ranking, top: int, models: Sequence[str]) -> list[RankRow]:
    """The first rows, and the named ones."""
    ranked = [row for row in ranking if row.status == "ok"]
    chosen = ranked[:top]
    for text in models:
        fitting = [row for row in ranked if text in (row.model, f"{row.model}:{row.cut}")]
        if not fitting:
            names = dict.fromkeys(row.model for row in ranked)
            raise UsageError(f"{text!r} is not in the ranking. Allowed: {', '.join(names)}")
        if fitting[0] not in chosen:
            chosen.append(fitting[0])
    return chosen


@dataclass(frozen=True)
class _Work:
    """What all candidates share."""

    specs: dict[str, ModelSpec]
    target: Target
    store: Path
    device: str
    repeats: int
    epochs: int
    samples: int
    tell: Told

    def head(self, row: RankRow) -> Verified:
        """Cross-validate a head on encodings that ranking has made."""
        from zoorank.zoo import EncodingStore, encode_source

        verified = Verified(row.rank, row.model, row.cut or "")
        self.tell(f"head on {row.model}, {row.cut}")
        try:
            (encoding,) = encode_source(
                self.specs[row.model],
                self.target,
                cuts=[verified.cut],
                store=EncodingStore(self.store),
                device=self.device,
            ).encodings
            F = np.asarray(encoding.load(), dtype=np.float64)
            _, codes = np.unique(self.target.labels, return_inverse=True)
            found = []
            for seed in range(self.repeats):
                rows = drawn(codes, self.samples, seed)
                found.append(cross_validated(F[rows], codes[rows], seed=seed))
        except (SourceError, ValueError) as error:
            return replace(verified, note=str(error))
        return replace(verified, head=tuple(found))

    def halved(self, rows: Sequence[Verified], deadline: float) -> list[Verified]:
        """Fine-tune all once, the better half again, until the repeats or the time are up."""
        by_place = dict(enumerate(rows))
        alive = [place for place, row in by_place.items() if row.head]
        for seed in range(self.repeats):
            for place in alive:
                if time.monotonic() > deadline:
                    by_place[place] = _cut_short(by_place[place])
                else:
                    by_place[place] = self.tuned(by_place[place], seed, deadline)
            alive = [place for place in alive if len(by_place[place].tuned) == seed + 1]
            alive.sort(key=lambda place: -float(np.mean(by_place[place].tuned)))
            alive = alive[: max(1, math.ceil(len(alive) / 2))]
        return list(by_place.values())

    def tuned(self, row: Verified, seed: int, deadline: float) -> Verified:
        """One more repeat of fine-tuning, from the store where it is there."""
        self.tell(f"fine-tune {row.model}, {row.cut}, repeat {seed + 1}")
        path = self.store / f"training-{self.key(row, seed)}.json"
        try:
            training = _read(path) or self.train(row, seed, deadline)
        except SourceError as error:
            return replace(row, note=str(error))
        if not training.complete:
            return _cut_short(row)
        write_text(path, json.dumps(asdict(training)))
        return replace(
            row,
            frozen=(*row.frozen, training.frozen_accuracy),
            tuned=(*row.tuned, training.accuracy),
            curves=(*row.curves, training.curve),
        )

    def train(self, row: Verified, seed: int, deadline: float) -> Training:
        """Fine-tune on one draw of the samples."""
        from zoorank.zoo.train import fine_tune

        return fine_tune(
            self.specs[row.model],
            self.target,
            row.cut,
            split(self.target.labels, self.samples, seed),
            seed=seed,
            epochs=self.epochs,
            device=self.device,
            deadline=deadline,
        )

    def key(self, row: Verified, seed: int) -> str:
        """Name of a training by what it depends on."""
        from zoorank.zoo.store import key_of

        spec = self.specs[row.model]
        return key_of(
            {
                "format": FORMAT,
                "spec": spec.model_dump(mode="json"),
                "cut": row.cut,
                "data": self.target.fingerprint,
                "seed": seed,
                "epochs": self.epochs,
                "samples": self.samples,
            }
        )


def drawn(codes: Any, samples: int, seed: int) -> Any:
    """Rows of a draw that has every class in its share, in an order of chance."""
    rng = np.random.default_rng(seed)
    # Place of each sample in its class, as a share: sorting by it keeps classes in step.
    share = np.empty(len(codes))
    for c in range(int(codes.max()) + 1):
        members = rng.permutation(np.flatnonzero(codes == c))
        share[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.argsort(share, kind="stable")[:samples]


def split(labels: Any, samples: int, seed: int) -> Any:
    """Rows to train on, to stop by and to test on: 60, 20 and 20 in 100 of each class.

    Returns
    -------
    zoorank.zoo.train.Split
    """
    from zoorank.zoo.train import Split

    _, codes = np.unique(labels, return_inverse=True)
    chosen = drawn(codes, samples, seed)
    train, stop, test = [], [], []
    for c in range(int(codes.max()) + 1):
        members = chosen[codes[chosen] == c]
        first, second = round(0.6 * len(members)), round(0.8 * len(members))
        train += members[: max(first, 1)].tolist()
        stop += members[max(first, 1) : second].tolist()
        test += members[max(second, 1) :].tolist()
    if not stop or not test:
        raise SourceError("too few samples of each class to hold some out for fine-tuning")
    return Split(*(np.array(rows, dtype=np.int64) for rows in (train, stop, test)))


def _read(path: Path) -> Training | None:
    from zoorank.zoo.train import Training

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Training(**{**found, "curve": tuple(found["curve"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _cut_short(row: Verified) -> Verified:
    return replace(row, note=f"the budget ended in repeat {len(row.tuned) + 1} of fine-tuning")
