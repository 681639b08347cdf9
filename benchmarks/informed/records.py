"""Records of the targets of a study, and what is expected by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from effects import votes_of

from zoorank.evaluation.tables import Candidates
from zoorank.ranking.belief import Effects
from zoorank.ranking.informed import Expectation, Knowledge, expect
from zoorank.ranking.record import Trained


def lines_of(
    targets: Sequence[Candidates], rng: np.random.Generator | None = None
) -> list[Trained]:
    """A record of all candidates of some targets; shuffled among them if there is a generator."""
    found = []
    for target in targets:
        truth = target.truth if rng is None else rng.permutation(target.truth)
        found += [
            Trained(target.target, source, cut, float(accuracy), "truth")
            for (source, cut), accuracy in zip(target.names, truth, strict=True)
        ]
    return found


def expected_of(
    target: Candidates, lines: Sequence[Trained], effects: Effects, published: dict[str, float]
) -> Expectation:
    """What is expected of a target's candidates."""
    votes = votes_of(target.scores["consensus"])
    return expect(target.names, votes, published, Knowledge(tuple(lines)), effects)
