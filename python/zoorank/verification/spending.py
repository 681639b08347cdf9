"""Which candidates deserve a head, where more is known of them than their scores."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zoorank.ranking.belief import Belief, chances, place_of
from zoorank.ranking.consensus import DEFAULT, INFORMED
from zoorank.ranking.informed import Expectation, Knowledge, expectation
from zoorank.ranking.ranking import Ranking
from zoorank.ranking.record import HEAD, TUNED, Trained
from zoorank.verification.verdict import Verified

WORTH = 0.001  # of accuracy: a head from which less is to be gained is not trained
HELD_OUT = 0.2  # of the samples of a fine-tuning


@dataclass(frozen=True)
class Spending:
    """Spends heads where most is to be gained from them.

    Attributes
    ----------
    expected : Expectation
        Of all candidates before any head.
    """

    expected: Expectation

    @classmethod
    def of(cls, ranking: Ranking, lines: Sequence[Trained]) -> Spending | None:
        """For a ranking that a record or publications have decided; None for another.

        Parameters
        ----------
        ranking : Ranking
        lines : sequence of Trained
            The record that it was made with.
        """
        if ranking.key != INFORMED:
            return None
        known = Knowledge(
            tuple(lines),
            ranking.target.fingerprint,
            ranking.target.modality,
            ranking.provenance.weights,
        )
        # Earlier heads on this target are made again now, and would count twice.
        again = {line for line in known.of_this_target if line.trained == HEAD}
        known = replace(known, lines=tuple(line for line in lines if line not in again))
        expected = expectation(DEFAULT, ranking.rows, known)
        return None if expected is None else cls(expected)

    def next(
        self, heads: Sequence[Trained], failed: Collection[tuple[str, str]] = ()
    ) -> tuple[str, str] | None:
        """Source and cut of the candidate to train next; None where none is worth it.

        Parameters
        ----------
        heads : sequence of Trained
            What has been trained already.
        failed : collection of (str, str)
            What cannot be trained.
        """
        belief, places = self.after(heads), self.expected.places
        trained = [places.index(place_of(head)) for head in heads if place_of(head) in places]
        left = [at for at, place in enumerate(places) if at not in trained and place not in failed]
        if not left:
            return None
        if not trained:
            return places[max(left, key=lambda place: belief.mean[place])]
        best = max(trained, key=lambda place: belief.mean[place])
        gains = [belief.gain(place, best) for place in left]
        most = int(np.argmax(gains))
        return places[left[most]] if self.expected.spread * gains[most] >= WORTH else None

    def accuracies(self, heads: Sequence[Trained]) -> dict[tuple[str, str], float]:
        """What is expected of each candidate that has a head, beside that of the first."""
        belief = self.after(heads)
        there = {place: at for at, place in enumerate(self.expected.places)}
        return {
            place_of(head): float(self.expected.spread * belief.mean[there[place_of(head)]])
            for head in heads
            if place_of(head) in there
        }

    def after(self, heads: Sequence[Trained]) -> Belief:
        """What is expected of all candidates when these are trained."""
        there = {place: at for at, place in enumerate(self.expected.places)}
        known = [head for head in heads if place_of(head) in there]
        if not known:
            return self.expected.belief
        spread = self.expected.spread
        found = np.array([head.accuracy for head in known]) / spread
        at = [there[place_of(head)] for head in known]
        return self.expected.belief.after(at, found, chances(known, spread))


def heads_of(rows: Sequence[Verified], ranking: Ranking, n_samples: int) -> list[Trained]:
    """What a record says of the heads."""
    return [_trained(row, ranking, row.accuracy, HEAD, n_samples) for row in rows if row.head]


def tuned_of(rows: Sequence[Verified], ranking: Ranking, n_samples: int) -> list[Trained]:
    """The same of those that were fine-tuned, whose accuracy is on the samples held out."""
    held_out = max(1, round(HELD_OUT * n_samples))
    return [
        _trained(row, ranking, float(np.mean(row.tuned)), TUNED, held_out)
        for row in rows
        if row.tuned
    ]


def _trained(row: Verified, ranking: Ranking, accuracy: float, how: str, n_samples: int) -> Trained:
    return Trained(
        ranking.target.name,
        row.model,
        row.cut,
        round(accuracy, 6),
        how,
        n_samples,
        ranking.target.fingerprint,
        ranking.target.modality,
        ranking.provenance.weights.get(row.model) or "",
    )
