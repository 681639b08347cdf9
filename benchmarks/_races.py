"""Races over encodings whose scores on all rows are known, so that no network is run."""

import numpy as np

from zoorank.engine.intervals import student_t
from zoorank.ranking.racing.elimination import RoundEstimates, errors_by_round
from zoorank.ranking.racing.estimates import SharedBias, selective_confidence
from zoorank.ranking.racing.race import CONTROLS
from zoorank.scores.sampled import sampled_silhouette

METRIC = "euclidean"
CONFIDENCE = 0.95


def coverage(held):
    """What part of the intervals hold the truth, how wide and how far off they are.

    First as races give them, and then those of first order alone.
    """
    if not held:
        held = [(np.zeros((2, 1)), np.zeros((2, 1)))]
    for off, width in zip(*(np.hstack(each) for each in zip(*held, strict=True)), strict=True):
        yield {
            "covered": float((abs(off) <= width).mean()),
            "half width": float(width.mean()),
            "off by": float(np.sqrt(np.square(off).mean())),
        }


class Ran:
    """One of them, by the samples drawn.

    Attributes
    ----------
    left : ndarray of shape (n_candidates,)
        Round in which each left; 0 for those in it to the end, or run on all rows.
    """

    def __init__(self, Xs, truth, models, drawn):
        self.Xs, self.truth, self.models, self.drawn = Xs, truth, models, drawn
        self.known = np.full(len(Xs), np.nan)
        self.left = np.zeros(len(Xs), dtype=int)
        self.said = [{} for _ in drawn]
        self.entered = []  # candidates of each round
        field = np.ones(len(Xs), dtype=bool)
        errors = errors_by_round(CONFIDENCE, len(drawn))
        for number, error in enumerate(errors):
            self.entered.append(int(field.sum()))
            for _ in range(CONTROLS):
                judged = np.flatnonzero(field | ~np.isnan(self.known))
                open_ = field & np.isnan(self.known)
                if not open_.any():
                    break
                values = self.heat(number, judged).values
                best = judged[np.argmax(np.where(open_[judged], values, -np.inf))]
                run = open_ & (models == models[best])
                self.known[run] = truth[run]
                worse = self.heat(number, judged).worse(error / CONTROLS, (0, number))
                self.left[judged[worse & np.isnan(self.known[judged])]] = number + 1
                field[judged[worse]] = False
        run = field & np.isnan(self.known)
        self.known[run] = truth[run]

    def of_sample(self, number, each):
        """What a round's sample says of one candidate."""
        if each not in self.said[number]:
            sample = self.drawn[number]
            self.said[number][each] = sampled_silhouette(
                np.asarray(self.Xs[each][sample.rows]), sample.labels, sample.sizes, metric=METRIC
            )
        return self.said[number][each]

    def heat(self, number, judged):
        found = [self.of_sample(number, each) for each in judged]
        values = np.array([each.value for each in found])
        influences = np.stack([each.influence for each in found], axis=1)
        return RoundEstimates.of(values, influences, self.drawn[number], self.known[judged])

    def intervals(self):
        """Of each round: (2, n_left) errors, and half widths; now, and of first order."""
        known = np.flatnonzero(~np.isnan(self.known))
        for number in range(len(self.drawn)):
            left = np.flatnonzero(self.left == number + 1)
            if not len(left):
                continue
            heat, count = self.heat(number, np.r_[left, known]), len(left)
            own, its = (
                np.array([self.of_sample(number, i).bias for i in part]) for part in (left, known)
            )
            shared = SharedBias.of(own - heat.weights[:count, count:] @ its)
            off = heat.values[:count] - self.truth[left]
            plain = student_t(CONFIDENCE, heat.degrees) * np.sqrt(np.diag(heat.covariance))
            confidence = selective_confidence(CONFIDENCE, count, self.entered[number])
            widths = heat.half_widths(confidence, shared.square)
            yield np.stack([off - shared.mean, off]), np.stack([widths, plain])[:, :count]
