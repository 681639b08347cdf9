"""Texts in every kind of file, pairs of them, and words with tags of their own."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.targets.common import refusal

from zoorank.errors import DataError, UsageError
from zoorank.targets import load_target
from zoorank.targets.base import Target
from zoorank.targets.texts import character_counts

TEXTS = ["good, really", "bad", 'fine "so far"', "awful\nand long", "pleasant, déjà vu"]
LABELS = ["pos", "neg", "pos", "neg", "pos"]
QUOTED = [f'"{text}"'.replace('so far"', 'so far""').replace('"so', '""so') for text in TEXTS]


def _same(target: Target) -> bool:
    assert (target.modality, target.shape, target.task) == ("text", "(text)", "classes")
    return target.take(range(5)) == TEXTS and target.labels.tolist() == LABELS


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ("text,label", 1),
        ("label,text", -1),
        ("Text,Label", 1),
        ("comment,sentiment", 1),
        ("opinion,mood", 1),
        ("v1,v2", -1),
        (None, 1),
        (None, -1),
    ],
)
@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_csv(tmp_path: Path, header: str | None, order: int, mark: str, encoding: str) -> None:
    pairs = list(zip(QUOTED, LABELS, strict=True))
    lines = [] if header is None else [header.replace(",", mark)]
    lines += [mark.join(pair[::order]) for pair in pairs]
    path = tmp_path / ("reviews.tsv" if mark == "\t" else "reviews.csv")
    path.write_text("\r\n".join(lines), encoding=encoding, newline="")
    target = load_target(path)
    assert _same(target)
    assert target.name == "reviews"
    said = any("not UTF-8" in note for note in target.notes)
    assert said == (encoding == "cp1252")


def test_a_tsv_that_quotes_nothing(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text('he said "no\t0\nshe said "yes" twice\t1\nok\t1\n')
    target = load_target(tmp_path / "d.tsv")
    assert target.take(range(3)) == ['he said "no', 'she said "yes" twice', "ok"]
    assert target.labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson", "json"])
def test_json(tmp_path: Path, suffix: str) -> None:
    records = [{"text": t, "label": y, "more": [1]} for t, y in zip(TEXTS, LABELS, strict=True)]
    one_list = json.dumps({"data": records} if suffix == "json" else records)
    lines = "\n".join(map(json.dumps, records))
    (tmp_path / f"d.{suffix}").write_text(one_list if suffix == "json" else lines)
    target = load_target(tmp_path / f"d.{suffix}")
    assert _same(target)
    assert target.notes == ("samples: text; labels: label; not used: more",)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[1, 2]", "is no list of records"),
        ('{"a": 1}', "is no list of records"),
        ("[" * 100_000, "not a readable .json file"),
        ("{", "not a readable .json file: Expecting property name"),
        ("[]", "holds no rows"),
        ('[{"text": "a"}, {"text": "b"}]', "which column holds the labels? say label_column"),
    ],
)
def test_bad_json(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "d.json").write_text(content)
    assert expected in refusal(tmp_path / "d.json")


CONLL = "Anna B\nsleeps O\n\nBob B\n"


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".csv", "text,label\none,a\ntwo,b\nthree,a\nfour,b\n"),
        (".tsv", "1\t0.5\t0.1\n2\t0.5\t0.3\n1\t0.5\t0.2\n2\t0.5\t0.4\n"),
        (".jsonl", "".join(f'{{"text": "{t}", "label": "{t % 2}"}}\n' for t in range(4))),
        (".conll", CONLL),
        (".txt", CONLL),
    ],
)
def test_packed_files_of_texts_are_read_as_they_are_unpacked(
    tmp_path: Path, suffix: str, content: str
) -> None:
    plain, packed = tmp_path / f"some{suffix}", tmp_path / f"some{suffix}.gz"
    plain.write_text(content)
    packed.write_bytes(gzip.compress(content.encode()))
    one, other = load_target(plain), load_target(packed)
    assert one.fingerprint == other.fingerprint
    assert (one.name, one.modality) == (other.name, other.modality) == ("some", one.modality)


@pytest.mark.parametrize("name", ["some.npy.gz", "some.parquet.gz", "some.csv.gz"])
def test_what_is_packed_and_no_text_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"1,2\n3,4\n")
    said = refusal(tmp_path / name)
    assert ("unknown kind of file '.gz'" in said) == (name != "some.csv.gz")
    assert ("not a readable file: Not a gzipped file" in said) == (name == "some.csv.gz")


# Line ends to Unicode, but to no file: web pages are full of the first.
@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c"])
def test_a_line_ends_where_the_file_says_so(tmp_path: Path, mark: str) -> None:
    texts = [f"one{mark}half {k}" for k in range(4)]
    labels = ["a", "b", "a", "b"]
    rows = zip(texts, labels, strict=True)
    files = {
        "d.csv": "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows),
        "d.conll": "".join(f"{text.replace(' ', '')}\tO\nx\tB\n\n" for text in texts),
    }
    if mark >= "\x85":  # others JSON wants escaped
        files["d.jsonl"] = "".join(
            json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n"
            for text, label in zip(texts, labels, strict=True)
        )
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8", newline="")
        target = load_target(tmp_path / name)
        assert len(target) == 4
        assert mark in "".join(target.take([0])[0])


def test_a_blank_that_does_not_break_is_part_of_a_word(tmp_path: Path) -> None:
    (tmp_path / "d.conll").write_text("10\u00a0000 X\nmen  Y\n\n\u00a0 X\nran Y\n")
    target = load_target(tmp_path / "d.conll")
    assert list(target.take(range(2))) == [
        ["10\u00a0000", "men"],
        ["\u00a0", "ran"],
    ]


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": TEXTS, "label": LABELS}), tmp_path / "d.parquet")
    assert _same(load_target(tmp_path / "d.parquet"))
    (tmp_path / "e.parquet").write_bytes(b"PAR1junkPAR1")
    assert "e.parquet: not a readable .parquet file" in refusal(tmp_path / "e.parquet")


def test_a_folder_a_class(tmp_path: Path) -> None:
    for k, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True)):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / f"{k}.txt").write_text(text + "\n")
    (tmp_path / "pos" / "0.csv").write_text("")
    target = load_target(tmp_path)
    assert sorted(target.take(range(5))) == sorted(TEXTS)
    assert target.labels.tolist() == ["neg"] * 2 + ["pos"] * 3
    assert target.notes == ("1 file skipped, pos/0.csv: no text",)


def test_files_named_by_their_part(tmp_path: Path) -> None:
    lines = [f"{quoted},{y}" for quoted, y in zip(QUOTED, LABELS, strict=True)]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *lines]))
    (tmp_path / "dev.csv").write_text("\n".join(["text,label", *lines[:3]]))
    assert _same(load_target(tmp_path))
    assert len(load_target(tmp_path, split="test")) == 3
    assert len(load_target(tmp_path, split="all")) == 8


@pytest.mark.parametrize(
    "other",
    [
        {"sentence1": "good", "sentence2": "bad", "label": "pos"},
        {"x": 1.5, "y": 2.0, "label": "pos"},
        {"tokens": ["good", "film"], "label": ["pos", "neg"]},
    ],
)
def test_parts_in_several_forms_are_not_put_together(tmp_path: Path, other) -> None:
    records = [{"text": text, "label": y} for text, y in zip(TEXTS, LABELS, strict=True)]
    for part, lines in (("train", records), ("val", [other] * 3)):
        (tmp_path / f"{part}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert len(load_target(tmp_path)) == len(TEXTS)
    message = refusal(tmp_path, split="all")
    assert message == f"{tmp_path}: its parts differ in columns"


def test_a_column_that_says_parts_is_found_behind_one_that_is_only_called_so(
    tmp_path: Path,
) -> None:
    rows = [f"{quoted},{y},{k}" for k, (quoted, y) in enumerate(zip(QUOTED, LABELS, strict=True))]
    parts = ["train", "train", "test", "test", "train"]
    lines = [f"{row},{part}" for row, part in zip(rows, parts, strict=True)]
    (tmp_path / "d.csv").write_text("\n".join(["text,label,split,partition", *lines]))
    target = load_target(tmp_path / "d.csv")
    assert len(target) == 3
    assert target.notes[0] == "3 of 5 rows are of the part 'train'"
    assert len(load_target(tmp_path / "d.csv", split="all")) == 5


def test_pairs(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("premise,hypothesis,label\na,b,1\nc,d,0\ne,f,1\n")
    target = load_target(tmp_path / "d.csv")
    assert (target.shape, target.take(range(2))) == ("(text, text)", [("a", "b"), ("c", "d")])
    assert target.baseline().shape == (3, 1024)
    (tmp_path / "d.csv").write_text("one,other,label\na,b,1\nc,d,0\ne,f,1\n")
    chosen = load_target(tmp_path / "d.csv", input_column=["one", "other"])
    assert chosen.take(range(3)) == target.take(range(3))
    assert chosen.fingerprint == target.fingerprint
    single = load_target(tmp_path / "d.csv", input_column="one")
    assert single.fingerprint != target.fingerprint


def test_texts_that_could_be_paths_are_texts(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("text,label\na.png,x\nb.png,y\nc.png,x\n")
    assert load_target(tmp_path / "d.csv").modality == "text"


def test_texts_are_spilled(tmp_path: Path) -> None:
    texts = ["long " * 1000 + str(k) for k in range(50)] + ["\ud800 half a pair", "\0", "."]
    target = load_target((texts, np.arange(53) % 2))
    spilled = target.spilled(tmp_path)
    content = pickle.dumps(spilled)
    assert len(content) < 4000 < len(pickle.dumps(target))
    read = pickle.loads(content)
    assert read.take(range(53)) == texts
    assert np.array_equal(read.baseline(), target.baseline())


def test_texts_have_no_numbers() -> None:
    target = load_target((["a", "b", "c"], [0, 1, 0]))
    with pytest.raises(DataError, match="texts have no mean and deviation"):
        _ = target.statistics
    with pytest.raises(DataError, match="its samples are no array but texts"):
        _ = target.X
    assert "all its texts are empty" in refusal(([" ", "", "\n"], [0, 1, 0]))


def test_the_baseline_knows_like_from_unlike() -> None:
    texts = ["The cat sat on the mat.", "the cat sat on a mat", "Quarterly revenue grew", ""]
    counts = character_counts(texts)
    assert np.allclose(np.linalg.norm(counts, axis=1), [1, 1, 1, 0], atol=1e-6)
    near, far = counts[0] @ counts[1], counts[0] @ counts[2]
    assert near > 0.5 > 0.1 > far


# Tagged words

CONLL = """-DOCSTART- -X- O O

EU NNP I-NP B-ORG
rejects VBZ I-VP O
# NN I-NP O

Peter NNP I-NP B-PER
Blackburn NNP I-NP I-PER
"""
UNIVERSAL = """# text = Vámonos al mar
1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tVamos\tir\tVERB\tV\t_\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\tP\t_\t1\tobj\t_\t_
3\tmar\tmar\tNOUN\tN\t_\t1\tobl\t_\t_
3.1\tx\tx\tX\tX\t_\t_\t_\t_\t_

# text = Vamos
1\tVamos\tir\tVERB\tV\t_\t0\troot\t_\t_
"""


def test_conll(tmp_path: Path) -> None:
    (tmp_path / "d.conll").write_text(CONLL)
    target = load_target(tmp_path / "d.conll")
    assert target.take(range(2)) == [["EU", "rejects", "#"], ["Peter", "Blackburn"]]
    assert target.labels.tolist() == ["B-ORG", "O", "O", "B-PER", "I-PER"]
    assert (len(target), target.n_rows, target.shape) == (2, 5, "(words)")
    assert target.rows_of(np.array([1, 0])).tolist() == [3, 4, 0, 1, 2]
    assert target.rows_of(range(1)).tolist() == [0, 1, 2]
    assert target.baseline().shape == (5, 256)
    chunks = load_target(tmp_path / "d.conll", label_column="-2")
    assert chunks.labels.tolist() == ["I-NP", "I-VP", "I-NP", "I-NP", "I-NP"]
    assert len({target.fingerprint, chunks.fingerprint}) == 2
    spilled = pickle.loads(pickle.dumps(target.spilled(tmp_path)))
    assert spilled.take(range(2)) == target.take(range(2))
    assert spilled.rows_of(range(2)).tolist() == [0, 1, 2, 3, 4]
    (tmp_path / "d.txt").write_text(CONLL.replace(" ", "\t"))
    assert load_target(tmp_path / "d.txt").fingerprint == target.fingerprint


def test_universal_dependencies(tmp_path: Path) -> None:
    (tmp_path / "d.conllu").write_text(UNIVERSAL)
    target = load_target(tmp_path / "d.conllu")
    assert target.take(range(2)) == [["Vamos", "nos", "mar"], ["Vamos"]]
    assert target.labels.tolist() == ["VERB", "PRON", "NOUN", "VERB"]
    fine = load_target(tmp_path / "d.conllu", label_column="xpos", input_column="lemma")
    assert fine.labels.tolist() == ["V", "P", "N", "V"]
    assert fine.take(range(1)) == [["ir", "nosotros", "mar"]]
    text = refusal(tmp_path / "d.conllu", UsageError, label_column="pos")
    assert "has no column 'pos'; did you mean 'xpos'?" in text


def test_words_with_tags_in_json(tmp_path: Path) -> None:
    records = [
        {"tokens": ["EU", "rejects", "#"], "ner_tags": ["B", "O", "O"], "doc": "one"},
        {"tokens": ["Peter", "Blackburn"], "ner_tags": ["B", "I"], "doc": "two"},
    ]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, records)))
    target = load_target(tmp_path / "d.jsonl", group_column="doc")
    assert (len(target), target.labels.tolist()) == (2, ["B", "O", "O", "B", "I"])
    assert target.groups.tolist() == ["one"] * 3 + ["two"] * 2
    records[1]["ner_tags"] = ["B"]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, records)))
    assert "row 1 has 2 words but 1 labels" in refusal(tmp_path / "d.jsonl")


def test_words_are_drawn_by_sentence(tmp_path: Path) -> None:
    lines = [f"w{s}-{k} {'AB'[k % 2]}\n" + "\n" * (k == 3) for s in range(20) for k in range(4)]
    (tmp_path / "d.conll").write_text("".join(lines))
    target = load_target(tmp_path / "d.conll", limit=5)
    assert (len(target), target.n_rows) == (5, 20)
    for row, sentence in enumerate(target.take(range(5))):
        assert len({word.split("-")[0] for word in sentence}) == 1
        assert target.labels[target.rows_of(range(row, row + 1))].tolist() == list("ABAB")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("EU B\nrejects\n", "line 2 has 1 columns, the first word 2"),
        ("EU\n\nrejects\n", "line 1 has 1 columns; a word and a tag are needed"),
        ("\n\n", "holds no words"),
    ],
)
def test_bad_conll(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "d.conll").write_text(content)
    assert expected in refusal(tmp_path / "d.conll")


def test_columns_that_a_conll_file_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "d.conll").write_text(CONLL)
    for column, reason in (("7", "allowed: 0 to 3"), ("ner", "a number from 0 is allowed")):
        text = refusal(tmp_path / "d.conll", UsageError, label_column=column)
        assert f"has no column {column!r}; {reason}" in text
