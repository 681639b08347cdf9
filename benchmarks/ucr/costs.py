"""What each score costs: processor time on the encodings of some candidates of every target."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from finetune import rounds
from measure import CUTS, HEAD, NO_SOURCE_DATA, first_argument, networks, part

from zoorank.encoding.encode import encode_source
from zoorank.store.encodings import EncodingStore

ROUNDS = 2
REPEATS = 3

Row = dict[str, str | int | float]


def measure_costs(data: Path, manifest: Path, store: Path) -> list[Row]:
    """A row for each candidate of the first rounds of the sample, timed with one thread.

    Parameters
    ----------
    data : Path
        The folder with ``ucr/`` and ``fcn-zoo/``.
    manifest : Path
    store : Path
        Where encodings are kept.
    """
    specs = {spec.name: spec for spec in networks(data, manifest)}
    names = sorted(path.stem for path in (data / "ucr").glob("*.npz"))
    drawn = [each for each, _ in zip(rounds(names), range(ROUNDS), strict=False)]
    kept, rows = EncodingStore(store), []
    for name in names:
        train = part(data, name, "train")
        for network, cut in [pair for candidates in drawn for pair in candidates]:
            if network == name:
                continue
            found = encode_source(
                specs[network], train, cuts=(*CUTS, HEAD), store=kept, batch_size=64
            ).encodings
            X, logits = found[CUTS.index(cut)].load(), found[-1].load()
            row: Row = {"target": name, "network": network, "cut": cut}
            row |= {"n": train.n_samples, "K": len(train.classes), "d": X.shape[1]}
            for score in NO_SOURCE_DATA:
                first = first_argument(score, X, logits)
                row[score.key] = seconds(partial(score.compute, first, train.labels))
            rows.append(row)
        print(f"costs: {name}", flush=True)
    return rows


def seconds(call) -> float:
    """Least processor time of some calls: what disturbs can only add to it."""
    spent = []
    for _ in range(REPEATS):
        start = time.process_time()
        call()
        spent.append(time.process_time() - start)
    return min(spent)
