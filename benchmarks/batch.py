"""What does one call for many small problems save over a loop?

The encodings of one small target by a whole zoo: each is a problem of a few hundred
rows. Both sides run in this process, in turns, after every answer has been checked.
scikit-learn computes on one thread here.

    python benchmarks/batch.py
"""

import sys

import numpy as np
from _common import arguments, finish
from _problems import TOLERANCE, Problem, definition, largest_error, make_problem, sample_rows
from _timing import blas_threads, medians
from sklearn.metrics import silhouette_score as sklearn_score

import zoorank

SHAPES = ((128, 400, 128, 10), (85, 30, 128, 2), (85, 900, 128, 10))  # problems, n, d, classes
METRICS = ("euclidean", "cosine")
CHECKED_ROWS = 16


def main(argv=None):
    chosen = arguments(__doc__, argv)
    shapes = ((3, 40, 8, 4),) if chosen.quick else SHAPES
    rows = []
    with blas_threads(1):
        for problems, n, d, classes in shapes:
            wide = make_problem(n, problems * d, classes)
            Xs = [np.ascontiguousarray(X) for X in np.split(wide.X, problems, axis=1)]
            shape = {"problems": problems, "n": n, "d": d, "classes": classes}
            for threads in (1, 2):
                for metric in METRICS:
                    taken = against_a_loop(Xs, wide.labels, metric, threads, chosen.rounds)
                    rows.append(shape | {"metric": metric, "threads": threads} | taken)
                taken = against_a_call_a_metric(Xs, wide.labels, threads, chosen.rounds)
                rows.append(shape | {"metric": "+".join(METRICS), "threads": threads} | taken)
    finish(rows, "batch", chosen.out)
    wrong = [row for row in rows if not row["error"] <= TOLERANCE[np.dtype(np.float32)]]
    return f"{len(wrong)} of {len(rows)} are wrong: no time of them counts" if wrong else 0


def against_a_loop(Xs, labels, metric, threads, rounds):
    """One call beside a loop over scikit-learn."""

    def ours():
        return zoorank.silhouette_batch(Xs, labels, metric=metric, n_threads=threads)

    def theirs():
        return [sklearn_score(X, labels, metric=metric) for X in Xs]

    error = 0.0
    for X, result in zip(Xs, ours(), strict=True):
        problem = Problem(X, labels)
        rows = sample_rows(problem, CHECKED_ROWS)
        samples = zoorank.silhouette_samples(X, labels, metric=metric)
        error = max(error, largest_error(samples, rows, definition(problem, rows, metric)))
        error = max(error, abs(result.score - samples.mean()))
    return compared("scikit-learn loop", ours, theirs, error, rounds)


def against_a_call_a_metric(Xs, labels, threads, rounds):
    """Both metrics in one call beside a call for each."""

    def ours():
        return zoorank.silhouette_batch(Xs, labels, metric=METRICS, n_threads=threads)

    def theirs():
        return zip(
            *(
                zoorank.silhouette_batch(Xs, labels, metric=metric, n_threads=threads)
                for metric in METRICS
            ),
            strict=True,
        )

    error = max(
        abs(one.score - other.score)
        for mine, others in zip(ours(), theirs(), strict=True)
        for one, other in zip(mine, others, strict=True)
    )
    return compared("a call for each", ours, theirs, error, rounds)


def compared(against, ours, theirs, error, rounds):
    taken = medians({"ours": ours, "theirs": theirs}, rounds=rounds)
    return {
        "against": against,
        "zoorank_s": taken["ours"],
        "other_s": taken["theirs"],
        "ratio": taken["theirs"] / taken["ours"],
        "error": error,
    }


if __name__ == "__main__":
    sys.exit(main())
