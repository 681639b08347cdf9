"""How much processor time do texts take, beside transformer-ranker? Ends with 77 without it.

Both encode the 723 sayings of eight subjects with all-MiniLM-L6-v2 at each of its six layers and
score all of them by LogME, with one thread, one after the other in one process. Both times are of
the whole call, with loading the model; ours has the baseline of characters in it, too. The bar is
1/3.5 of its time.

transformer-ranker averages the tokens of a word, and then the words; zoorank averages the tokens
of a text, as the model was trained. So the two LogMEs of a layer differ by what is pooled, and
what is compared first is LogME itself: ours of its own embeddings, which may differ by 1e-3, for
it ends its iterations early.

    pip install --no-deps transformer-ranker==0.2.0 torchmetrics lightning-utilities
    python benchmarks/text_libraries.py
"""

import contextlib
import logging
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from _common import arguments, finish

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.sources.carried import minilm
from tests.targets.real import fortunes

import zoorank

MOST_SHARE, MOST_DIFFERENCE = 1 / 3.5, 1e-3
LAYERS = 6


def main(argv=None):
    chosen = arguments(__doc__, argv)
    try:
        import transformer_ranker  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return 77
    import torch

    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    texts, labels = fortunes()
    if chosen.quick:
        # As many as before: of fewer texts than numbers its LogME is another formula's.
        texts = [text[:20] for text in texts]
    theirs, embeddings = [], []
    ours = []
    for _ in range(chosen.rounds):  # side by side, so that a busy moment meets both
        taken, embeddings = their_time(texts, labels)
        theirs.append(taken)
        taken, ranking = our_time(texts, labels)
        ours.append(taken)
    rows = compare(embeddings, labels, ranking)
    for row in rows:
        row["theirs_s"] = statistics.median(theirs)
        row["zoorank_s"] = statistics.median(ours)
        row["share"] = row["zoorank_s"] / row["theirs_s"]
    finish(rows, "text_libraries", chosen.out)
    wrong = [row for row in rows if row["difference"] > MOST_DIFFERENCE]
    if wrong:
        return f"LogME of {len(wrong)} of {len(rows)} layers differs: no time counts"
    if rows[0]["share"] > MOST_SHARE and not chosen.quick:
        return f"takes {rows[0]['share']:.2f} of its time, more than {MOST_SHARE:.2f}"
    return 0


def their_time(texts, labels):
    """Processor seconds of transformer-ranker for every layer, and what it embedded."""
    import torch
    from datasets import ClassLabel, Dataset, Features, Value
    from transformer_ranker import TransformerRanker, ranker

    names = sorted(set(labels))
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    content = {"text": texts, "label": [names.index(label) for label in labels]}
    data = Dataset.from_dict(content, features=features)
    kept = []
    embed = ranker.Embedder.embed

    def keeping(self, *given, **named):
        kept.append(embed(self, *given, **named))
        return kept[-1]

    ranker.Embedder.embed = keeping
    try:
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
            begun = time.process_time()
            TransformerRanker(data, text_column="text", label_column="label").run(
                [str(minilm())], estimator="logme", layer_aggregator="bestlayer", device="cpu"
            )
            taken = time.process_time() - begun
    finally:
        ranker.Embedder.embed = embed
    return taken, torch.stack(kept[-1]).numpy()


def our_time(texts, labels):
    """Processor seconds of zoorank for every layer, and its ranking."""
    cuts = tuple(f"encoder.layer.{layer}" for layer in range(LAYERS))
    with tempfile.TemporaryDirectory() as store:  # or a later round would find the encodings
        begun = time.process_time()
        ranking = zoorank.rank(
            [f"hf:{minilm()}"], (texts, labels), cuts=cuts, score="logme", device="cpu", store=store
        )
        return time.process_time() - begun, ranking


def compare(embeddings, labels, ranking):
    """LogME of each layer: theirs of its embeddings, ours of the same, ours of our own."""
    import torch
    from transformer_ranker.estimators import LogME

    from zoorank.scores.logme import logme

    names = sorted(set(labels))
    codes = torch.tensor([names.index(label) for label in labels])
    rows = []
    for layer in range(LAYERS):
        same = embeddings[:, layer]
        their_score = LogME().fit(embeddings=torch.from_numpy(same), labels=codes)
        our_score = logme(same.astype("float64"), codes.numpy()).value
        own = next(row for row in ranking if row.cut == f"encoder.layer.{layer}")
        assert own.status == "ok", own.note
        rows.append(
            {
                "layer": layer,
                "texts": len(labels),
                "logme_theirs": their_score,
                "logme_ours_of_theirs": our_score,
                "difference": abs(their_score - our_score),
                "logme_ours": own.scores["logme"],
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
