"""Rankings made by hand: with names that no one should trust, of three modalities, and large."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from zoorank.ranking.provenance import Provenance
from zoorank.ranking.ranking import Ranking
from zoorank.ranking.rows import CutFacts, RankRow
from zoorank.report.closeups import closeups
from zoorank.targets.facts import TargetFacts

HOSTILE = (
    "<script>document.title = 'run'</script>",
    "</script><img src=x onerror=\"document.title = 'run'\">",
    "<!-- <b>bold</b> & \"quoted\" 'twice' `back`",
    "🦓 zebra 👩🏽‍🔬",
    "نموذج العربية v2",
    "evil\u202egpj.exe",
    "a line\u2028and another",
    "{{ 7 * 7 }} ${7 * 7} datum.score",
    "__proto__",
    "a-name-without-any-space-" + 6 * "that-goes-on-and-on-",
)
LABELS = MappingProxyType(
    {"consensus": "consensus", "euclidean": "MSC euclidean", "logme": "LogME"}
)


def ranking_of(rows, *, kind="image", classes=("cat", "dog", "emu"), n_samples=90, **rest):
    """A ranking of these rows, which are given their ranks by score."""
    scored = sorted((row for row in rows if row.score is not None), key=lambda row: -row.score)
    failed = [row for row in rows if row.score is None]
    places = iter(range(1, len(scored) + 1))
    rows = [
        RankRow(**{**vars(row), "rank": next(places) if row.status == "ok" else None})
        for row in scored
    ]
    best = rows[0]
    given = {
        "verdict": f"Try {best.model} cut at {best.cut} first: consensus {best.score:.4f}.",
        "guidance": "How far to trust it: on 12 targets of this kind it was right for a third.",
        **rest,
    }
    return Ranking(
        rows=(*rows, *failed),
        target=TargetFacts(
            "pets", "/data/pets.npz", kind, n_samples, "(8, 8)", tuple(classes), "ab12" * 16
        ),
        score="consensus",
        key="consensus",
        labels=dict(LABELS),
        higher_is_better=True,
        provenance=Provenance(
            command="zoorank rank zoo.toml --data pets.npz --out results",
            directory="/home/me",
            started="2026-01-02T03:04:05+00:00",
            manifest="/home/me/zoo.toml",
            manifest_sha256="cd34" * 16,
            weights={row.model: "ef56" * 16 for row in rows},
            settings={"cuts": ["all"], "batch_size": None},
            versions={"zoorank": "0.2.0", "python": "3.11", "torch": None},
            engine={},
        ),
        class_key="euclidean",
        **given,
    )


def zoo(names, cuts=("layer1", "layer2", "layer3"), seed=0):
    """Rows of sources cut alike, with scores of chance, and the raw input."""
    rng = np.random.default_rng(seed)
    rows = [RankRow(None, "raw input", None, 0.41, scores=scores(rng, 0.41), status="baseline")]
    for name in names:
        level = rng.uniform(0.1, 0.6)
        for place, cut in enumerate(cuts, 1):
            score = float(level + 0.3 * np.sin(place) * rng.uniform(0.4, 1))
            rows.append(
                RankRow(
                    None,
                    name,
                    cut,
                    score,
                    scores=scores(rng, score),
                    per_class=tuple(rng.uniform(-0.2, 0.5, 3).tolist()),
                    dim=int(64 * 2**place),
                    parameters_kept=(kept := int(place**2 * 10 ** rng.uniform(4.5, 6.5))),
                    encode_seconds=1.25,
                    score_seconds=0.5,
                    facts=CutFacts(
                        parameters=kept,
                        bytes=4 * kept,
                        flops=(1 + place) * 10**8,
                        milliseconds=float(place * rng.uniform(1, 3)),
                        licence="Apache-2.0",
                        accuracy=0.71,
                    ),
                )
            )
    return rows


def scores(rng, deciding):
    return {"consensus": deciding, "euclidean": rng.uniform(-0.1, 0.4), "logme": rng.normal()}


def failed(name, reason):
    lines = "Traceback (most recent call last):\n  ..."
    return RankRow(None, name, None, status="failed", note=reason, traceback=lines)


def hostile():
    """Names, cuts, notes, reasons and classes that would be code if anybody let them."""
    rows = zoo(HOSTILE[:6], cuts=HOSTILE[6:9])
    rows.append(failed(HOSTILE[9], f"cannot read {HOSTILE[1]}"))
    rows.append(failed("fine", f"cannot read {HOSTILE[1]}"))
    rows[1] = RankRow(**{**vars(rows[1]), "note": HOSTILE[0]})
    return ranking_of(rows, classes=HOSTILE[:3], kind="text")


def close(ranking, samples, seed=0):
    """Encodings of chance with some order in them, close up."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(ranking.target.classes, ranking.target.n_samples // 3)
    codes = np.repeat(np.arange(3), len(labels) // 3)

    def encoding(row):
        centres = 2.5 * np.random.default_rng(row.rank).normal(size=(3, 16))
        return (centres[codes] + rng.normal(size=(len(codes), 16))).astype(np.float32)

    return closeups(ranking, labels, encoding, lambda rows: [samples[i] for i in rows])


def of_images():
    ranking = ranking_of([*zoo(["resnet18", "vit", "convnext"]), failed("broken", "no such file")])
    rng = np.random.default_rng(1)
    return ranking, close(ranking, rng.integers(0, 255, (90, 24, 24, 3), dtype=np.uint8))


def of_every_column():
    """A ranking with all that the default of images shows, and nothing close up."""
    ranking = ranking_of(zoo(["resnet18", "vit", "convnext"]))
    more = {"h_score": "H-score", "knn": "1-NN accuracy", "cosine": "MSC cosine"}
    rows = [
        replace(
            row,
            scores={**row.scores, **dict.fromkeys(more, 0.5)},
            facts=replace(row.facts, memory=289_000_000, licence=None, accuracy=None),
        )
        for row in ranking.rows
    ]
    return (replace(ranking, rows=tuple(rows), labels={**LABELS, **more}),)


def of_series():
    ranking = ranking_of(zoo(["fcn", "inception"]), kind="series")
    steps = np.linspace(0, 9, 200)
    return ranking, close(ranking, np.sin(steps + np.arange(90)[:, None]))


def of_texts():
    ranking = hostile()
    return ranking, close(ranking, [f"{HOSTILE[i % 6]} number {i}" for i in range(90)])


def large():
    """500 sources at 5 cuts each."""
    names = [f"org{i % 37}/some-model-{i}" for i in range(500)]
    return ranking_of(zoo(names, cuts=[f"blocks.{i}" for i in range(5)]))
