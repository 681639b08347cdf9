"""Every command and every example of docs/targets.md works as it is written."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoorank.cli.commands import run

DOCUMENT = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"\| `zoorank (data [^`]+)`", DOCUMENT)
EXAMPLES = DOCUMENT.split("```python\n")[1:]
TEXTS = ["so good", "so bad", "very good", "awful", "fine", "poor"]
LABELS = ["yes", "no"] * 3
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 10, 3), np.uint8)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the commands name."""
    folder = tmp_path_factory.mktemp("targets")
    _texts(folder)
    _words(folder)
    _images(folder)
    _numbers(folder)
    _sounds(folder)
    return folder


def _csv(path: Path, *columns: list, names: str) -> None:
    lines = [names, *(",".join(map(str, row)) for row in zip(*columns, strict=True))]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines))


def _texts(folder: Path) -> None:
    import datasets

    _csv(folder / "reviews.csv", TEXTS, LABELS, names="text,label")
    _csv(folder / "tickets.csv", LABELS, TEXTS, TEXTS, names="queue,title,body")
    _csv(folder / "pairs.csv", TEXTS, TEXTS, LABELS, names="premise,hypothesis,label")
    _csv(folder / "parts" / "train.csv", TEXTS, LABELS, names="text,label")
    _csv(folder / "parts" / "test.csv", TEXTS[:4], LABELS[:4], names="text,label")
    records = [{"text": t, "label": y} for t, y in zip(TEXTS, LABELS, strict=True)]
    (folder / "reviews.jsonl").write_text("\n".join(map(json.dumps, records)))
    packed = gzip.compress((folder / "reviews.csv").read_bytes())
    (folder / "reviews.csv.gz").write_bytes(packed)
    saved = datasets.Dataset.from_list(records)
    saved.to_parquet(folder / "reviews.parquet")
    saved.save_to_disk(folder / "saved")
    for k, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True)):
        (folder / "mails" / label).mkdir(parents=True, exist_ok=True)
        (folder / "mails" / label / f"{k}.txt").write_text(text)


def _words(folder: Path) -> None:
    tagged = "Anna NNP B-PER\nsleeps VBZ O\n\nBob NNP B-PER\nruns VBZ O\n"
    (folder / "names.conll").write_text(tagged)
    word = "{}\t{}\t_\t{}\t{}\t_\t_\t_\t_\t_\n"
    lines = [word.format(1, "Anna", "PROPN", "NNP"), word.format(2, "sleeps", "VERB", "VBZ"), "\n"]
    (folder / "treebank.conllu").write_text("".join(lines * 2))
    record = {"tokens": ["Anna", "sleeps"], "ner_tags": ["B-PER", "O"]}
    (folder / "names.jsonl").write_text("\n".join([json.dumps(record)] * 2))


def _images(folder: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    names, labels = [], []
    for part in ("birds", "birds-in-parts/train", "birds-in-parts/test", "listed"):
        for k, pixels in enumerate(PIXELS):
            label = ("owl", "jay")[k % 2]
            (folder / part / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / part / label / f"{k}.png")
            if part == "birds":
                names.append(f"{label}/{k}.png")
                labels.append(label)
    _csv(folder / "birds.csv", [f"birds/{name}" for name in names], labels, names="path,label")
    _csv(folder / "listed" / "metadata.csv", names, labels, names="file_name,label")
    content = [(folder / "birds" / name).read_bytes() for name in names]
    parquet.write_table(pa.table({"image": content, "label": labels}), folder / "birds.parquet")
    np.savez(folder / "photos.npz", images=PIXELS, labels=labels)
    (folder / "mnist").mkdir()
    y = np.arange(6, dtype=np.uint8) % 2
    for kind, array in (("images-idx3", PIXELS[..., 0]), ("labels-idx1", y)):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
        (folder / "mnist" / f"train-{kind}-ubyte").write_bytes(head + array.tobytes())


def _numbers(folder: Path) -> None:
    X = np.random.default_rng(0).normal(size=(6, 4)).round(3)
    ucr = "\n".join("\t".join(map(str, [k % 2, *row])) for k, row in enumerate(X))
    (folder / "Toy").mkdir()
    for path in ("Toy_TRAIN.tsv", "Toy/Toy_TRAIN.tsv", "Toy/Toy_TEST.tsv"):
        (folder / path).write_text(ucr)
    series = [
        f"{','.join(map(str, row))}:{','.join(map(str, row))}:{'ab'[int(row[0] > 0)]}" for row in X
    ]
    (folder / "gestures.ts").write_text("\n".join(["@problemName gestures", "@data", *series]))
    _csv(folder / "steps.csv", *X.T.tolist(), LABELS, names="t0,t1,t2,t3,label")
    _csv(folder / "flowers.csv", *X.T.tolist(), LABELS, names="length,width,height,depth,species")
    _csv(folder / "prices.csv", *X.T.tolist(), names="rooms,size,age,target")
    _csv(folder / "ages.csv", *X[:, :2].T.tolist(), [31, 25, 78, 4, 51, 60], names="a,b,target")
    np.savez(folder / "waves.npz", X=X, y=np.arange(6) % 2)
    np.savez(folder / "table.npz", X=X, y=np.arange(6) % 2)


def _sounds(folder: Path) -> None:
    import soundfile

    names, labels = [], []
    for k in range(6):
        label = ("anna", "bob")[k % 2]
        (folder / "voices" / label).mkdir(parents=True, exist_ok=True)
        names.append(f"voices/{label}/{k}.wav")
        labels.append(label)
        soundfile.write(folder / names[-1], np.sin(np.arange(4000) * (k + 1) / 20), 8000)
    _csv(folder / "voices.csv", names, labels, names="file,label")


KINDS = {
    "Texts": "text",
    "Tagged words": "text",
    "Images": "image",
    "Series": "series",
    "Tables": "table",
    "Sounds": "audio",
    "Numbers to predict": "table",
}


def _kind(command: str) -> str:
    before = DOCUMENT[: DOCUMENT.index(f"`zoorank {command}`")]
    return KINDS[before.rpartition("\n### ")[2].partition("\n")[0]]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str, place: Path, monkeypatch, capsys) -> None:
    import datasets

    monkeypatch.chdir(place)
    saved = datasets.load_from_disk(str(place / "saved"))
    monkeypatch.setattr(datasets, "load_dataset", lambda name: saved)  # the hub is not to be had
    assert run([*command.split(), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["modality"] == _kind(command)
    assert shown["samples"] >= 2
    assert (shown["task"] == "numbers") == ("Numbers" in _heading(command))


def _heading(command: str) -> str:
    return DOCUMENT[: DOCUMENT.index(f"`zoorank {command}`")].rpartition("\n### ")[2]


def test_every_table_has_its_commands() -> None:
    assert len(COMMANDS) == len(set(COMMANDS)) > 30
    rows = [line for line in DOCUMENT.splitlines() if re.match(r"\| .*`zoorank data", line)]
    assert len(rows) == len(COMMANDS)


def test_the_examples() -> None:
    names: dict = {}
    for example in EXAMPLES:
        exec(example.partition("```")[0], names)
    targets = [value for value in names.values() if type(value).__name__ == "Target"]
    assert len(targets) == 11
    assert {each.modality for each in targets} == {"text", "image", "table", "audio"}
