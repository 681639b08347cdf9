"""The second truth: fine-tune a sample of the candidates on TRAIN, measure on TEST.

Every target gets the same candidates, drawn once by a fixed seed with as many at each cut,
so nothing that a score says decides who is tried; a target's own network is left out here
too. Rounds of one candidate a cut are trained for all targets before the next begins, so the
work may be stopped after any round. The first picks of a few selectors follow, so that these
can be compared beyond the sample. The training is that of ``zoorank verify``.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import CUTS, networks, part

from zoorank.sources.base import OpenOptions
from zoorank.sources.torch.source import TorchSource
from zoorank.sources.training import TrainingOptions, TrainingSplit
from zoorank.targets import load_target
from zoorank.targets.base import Target

SEED = 0
BATCH = 16
RATE = 5e-5
LEAST_EPOCHS, LEAST_STEPS = 5, 60  # tiny sets take more epochs to be tuned at all
COLUMNS = (
    "target",
    "network",
    "cut",
    "drawn",
    "frozen",
    "tuned",
    "best_epoch",
    "epochs",
    "seconds",
)

Candidate = tuple[str, str]


@dataclass(frozen=True)
class Job:
    """A training to be done; ``drawn`` says whether chance or a selector asked for it."""

    target: str
    network: str
    cut: str
    drawn: int

    @property
    def key(self) -> tuple[str, str, str]:
        return self.target, self.network, self.cut


def rounds(networks: Iterable[str]) -> Iterator[list[Candidate]]:
    """Candidates in an order of chance, one for each cut at a time."""
    rng = np.random.default_rng(SEED)
    ordered = sorted(networks)
    of_cut = [rng.permutation(ordered).tolist() for _ in CUTS]
    for row in zip(*of_cut, strict=True):
        yield list(zip(row, CUTS, strict=True))


def jobs(targets: Iterable[str], n_rounds: int, picks: Iterable[Job]) -> list[Job]:
    """What to train, in order: the rounds, then the picks that are not among them."""
    targets = sorted(targets)
    wanted = [
        Job(target, network, cut, 1)
        for candidates, _ in zip(rounds(targets), range(n_rounds), strict=False)
        for target in targets
        for network, cut in candidates
        if network != target
    ]
    drawn = {job.key for job in wanted}
    return [*wanted, *(pick for pick in picks if pick.key not in drawn)]


def tune_all(wanted: list[Job], data: Path, manifest: Path, kept: Path) -> list[dict[str, str]]:
    """Train what is not in the file of earlier trainings yet; return all rows wanted."""
    import torch

    torch.set_num_threads(1)
    specs = {spec.name: spec for spec in networks(data, manifest)}
    done = trained(kept)
    began, missing = time.monotonic(), [job for job in wanted if job.key not in done]
    kept.parent.mkdir(parents=True, exist_ok=True)
    for place, job in enumerate(missing, 1):
        target, split = load(data, job.target)
        row = tune(job, specs[job.network], target, split)
        append(kept, row)
        done[job.key] = row
        spent = time.monotonic() - began
        left = spent / place * (len(missing) - place)
        print(
            f"{place}/{len(missing)} {job.target}: {job.network} at {job.cut}, "
            f"{row['frozen']} -> {row['tuned']}; {left / 60:.0f} minutes left",
            flush=True,
        )
    return [{**done[job.key], "drawn": str(job.drawn)} for job in wanted]


def tune(job: Job, source: TorchSource, target: Target, split: TrainingSplit) -> dict[str, str]:
    """One training."""
    batches = -(-len(split.train) // BATCH)
    epochs = max(LEAST_EPOCHS, -(-LEAST_STEPS // batches))
    began = time.process_time()
    options = TrainingOptions(
        seed=SEED, epochs=epochs, patience=max(2, epochs // 3), batch_size=BATCH, rate=RATE
    )
    with source.open(OpenOptions("series", device="cpu")) as encoder:
        found = encoder.train(target, job.cut, split, options, lambda _epoch, _accuracy: None)
    values = (
        *job.key,
        job.drawn,
        f"{found.frozen_accuracy:.6g}",
        f"{found.accuracy:.6g}",
        found.best_epoch,
        len(found.curve) - 1,
        f"{time.process_time() - began:.3g}",
    )
    return dict(zip(COLUMNS, map(str, values), strict=True))


def load(data: Path, name: str) -> tuple[Target, TrainingSplit]:
    """TRAIN and TEST of a data set as one target, cut down as the scores' are."""
    parts = [part(data, name, split) for split in ("train", "test")]
    X = np.concatenate([np.asarray(each.X) for each in parts])
    labels = np.concatenate([each.labels for each in parts])
    n = parts[0].n_samples
    train, stop = held_out(parts[0].labels)
    whole = load_target((X, labels), modality="series")
    return whole, TrainingSplit(train, stop, np.arange(n, len(labels)))


def held_out(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Three in four of each class to train on, the others to stop by."""
    rng = np.random.default_rng(SEED)
    train, stop = [], []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        most = max(1, round(0.75 * len(members)))
        train += members[:most].tolist()
        stop += members[most:].tolist()
    return np.array(train), np.array(stop)


def trained(kept: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    """Earlier trainings; a last line that was cut off by a kill does not count."""
    if not kept.exists():
        return {}
    whole, _, cut_off = kept.read_text(encoding="utf-8").rpartition("\n")
    if cut_off:
        kept.write_text(whole + "\n", encoding="utf-8")
    rows = csv.DictReader(whole.splitlines())
    return {(row["target"], row["network"], row["cut"]): row for row in rows}


def append(kept: Path, row: dict[str, str]) -> None:
    """Write a row at once."""
    new = not kept.exists()
    with kept.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
