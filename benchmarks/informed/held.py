"""How often the accuracy of a candidate lies in the 95 % interval of what was expected of it."""

from __future__ import annotations

import numpy as np
import published

from zoorank.ranking.informed import Expectation, Knowledge, expect
from zoorank.ranking.record import Trained


def covered(expected: Expectation, truth: np.ndarray) -> float:
    """Share of the candidates whose accuracy, above the mean of all, is in its interval.

    Parameters
    ----------
    expected : Expectation
        As `rank` shows it.
    truth : ndarray
        Accuracies, 0 to 1, in the order of its places.
    """
    known = Knowledge()
    merits = [expected.merit(place, known) for place in range(len(truth))]
    off = truth - truth.mean() - [merit.expected for merit in merits]
    return float(np.mean(np.abs(off) <= [merit.half_width for merit in merits]))


def of_published(*, with_record: bool) -> list[float]:
    """The share on each target of the published CNNs, perhaps with a record of the seven others.

    What accuracies vary by was measured on series, and the spread is theirs until the record
    knows better: no figure of these CNNs is chosen by their own accuracies.
    """
    rows = published.read()
    lines = [
        Trained(row["target"], row["source"], "", float(row["finetuned_acc"]) / 100, "fine-tuned")
        for row in rows
    ]
    found = []
    for target in dict.fromkeys(row["target"] for row in rows):
        mine = [row for row in rows if row["target"] == target]
        consensus, votes = published.votes(mine)
        names = [row["source"] for row in mine]
        others = tuple(line for line in lines if line.target != target)
        expected = expect(
            [(name, "") for name in names],
            consensus,
            dict(zip(names, votes.tolist(), strict=True)),
            Knowledge(others if with_record else ()),
        )
        found.append(
            covered(expected, np.array([float(row["finetuned_acc"]) for row in mine]) / 100)
        )
    return found
