"""What other programs do without a word is refused or said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.targets.common import PIXELS, X, Y, refusal, write_images

from zoorank.targets import load_target


def test_an_index_in_two_orders_is_refused() -> None:
    frame = pd.DataFrame(X, columns=["a", "b"])
    turned = pd.Series(Y[::-1], index=range(5, -1, -1))
    assert "the same index in two orders" in refusal((frame, turned))
    assert "the same index in two orders" in refusal((frame["a"].map(str), turned))
    aligned = load_target((frame, turned.loc[frame.index]))
    assert aligned.labels.tolist() == Y.tolist()
    # Other indexes say nothing of each other.
    assert load_target((frame, pd.Series(Y, index=range(10, 16)))).labels.tolist() == Y.tolist()
    assert load_target((frame, pd.Series(Y))).labels.tolist() == Y.tolist()


@pytest.mark.parametrize("names", [["a", "a"], ["1", 1]])
def test_columns_of_one_name_are_refused(names: list) -> None:
    frame = pd.DataFrame(X, columns=names)
    assert f"two columns are called {str(names[0])!r}" in refusal((frame, Y))


def test_numbers_held_as_objects_are_numbers() -> None:
    target = load_target((X.astype(object), Y))
    assert np.array_equal(target.X, X)
    mixed = np.array([[1, 2.5], [True, np.float32(2)]] * 3, dtype=object)
    assert load_target((mixed, Y)).X[:2].tolist() == [[1, 2.5], [1, 2]]
    mixed[4, 1] = None
    assert "row 4 holds a NoneType" in refusal((mixed, Y))
    mixed[4, 1] = "2"
    assert "row 4 holds a str" in refusal((mixed, Y))


def test_an_underscore_is_no_part_of_a_number(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("a,b,label\n1,1_0,x\n2,2_0,y\n3,3_0,x\n")
    assert "a are numbers, b are not" in refusal(tmp_path / "d.csv")
    (tmp_path / "d.ts").write_text("@data\n1,1_0:a\n2,3:b\n")
    assert "row 0: '1_0' is not a number" in refusal(tmp_path / "d.ts")
    (tmp_path / "d.tsv").write_text("1\t1\t2\n2\t3\t1_0\n")
    assert "'1_0'" in refusal(tmp_path / "d.tsv")


def test_separators_of_ascii_are_blanks_around_a_number(tmp_path: Path) -> None:
    (tmp_path / "d.ts").write_text("@data\n1\x1f,2:a\n2,3:b\n4,5:b\n")
    assert load_target(tmp_path / "d.ts").X[0].tolist() == [1, 2]


def test_labels_that_differ_in_blanks_are_said(tmp_path: Path) -> None:
    rows = ["1,cat ", "2, cat", "3,dog", "4,dog ", "5,owl"]
    (tmp_path / "d.csv").write_text("a,label\n" + "\n".join(rows) + "\n")
    target = load_target(tmp_path / "d.csv")
    assert target.classes.tolist() == ["cat", "dog", "owl"]
    assert target.notes[-1] == (
        "blanks around labels are left out: 'cat ' and ' cat' are one class, "
        "and 1 more such classes"
    )
    (tmp_path / "d.csv").write_text("a,label\n1, cat\n2, dog\n3, dog\n")
    assert len(load_target(tmp_path / "d.csv").notes) == 1, "nothing was merged"


def test_images_beside_the_folders_are_counted(tmp_path: Path) -> None:
    write_images(tmp_path / "d")
    Image.fromarray(PIXELS[0]).save(tmp_path / "d" / "b.png")
    Image.fromarray(PIXELS[0]).save(tmp_path / "d" / "a.jpg")
    (tmp_path / "d" / "README.md").write_text("what this is")
    target = load_target(tmp_path / "d")
    assert target.n_samples == 6
    assert target.notes == ("2 files skipped, the first a.jpg: in no folder of a class",)
    assert "a.jpg: in no folder of a class; 2 such files" in refusal(tmp_path / "d", strict=True)


def test_a_rate_that_no_sound_has_is_said(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for k in range(2):
            soundfile.write(tmp_path / label / f"{k}.wav", np.sin(np.arange(900) * 0.2), 8000)
    soundfile.write(tmp_path / "cat" / "slow.wav", np.zeros(900), 1)
    target = load_target(tmp_path)
    assert target.n_samples == 4
    assert target.notes[0].startswith("1 file skipped, cat/slow.wav: not a readable sound: ")
    assert "its rate is 1 Hz" in target.notes[0]


@pytest.mark.parametrize("suffix", ["png", "wav"])
def test_paths_of_which_none_leads_anywhere_are_no_texts(tmp_path: Path, suffix: str) -> None:
    rows = [f"elsewhere/{k}.{suffix},{'ab'[k % 2]}" for k in range(4)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
    message = refusal(tmp_path / "list.csv")
    assert "none of its 4 files is there" in message
    assert f"elsewhere/0.{suffix}, does not exist" in message
    assert load_target(tmp_path / "list.csv", modality="text").modality == "text"


def test_empty_texts_are_left_out_wherever_they_come_from(tmp_path: Path) -> None:
    target = load_target((["one", " ", "two", "three"], list("abab")))
    assert target.take(range(3)) == ["one", "two", "three"]
    assert target.labels.tolist() == list("aab")
    assert target.notes == ("1 row skipped, row 1: an empty text",)
    assert "row 1: an empty text" in refusal((["one", " ", "two"], list("aba")), strict=True)
    for label in "ab":
        (tmp_path / label).mkdir()
        for k in range(2):
            (tmp_path / label / f"{k}.txt").write_text(f"{label} {k}")
    (tmp_path / "b" / "empty.txt").write_text("\n")
    target = load_target(tmp_path)
    assert len(target) == 4
    assert target.notes == ("1 file skipped, b/empty.txt: an empty text",)


def test_integers_of_waveforms_are_scaled_as_those_of_files_are() -> None:
    wave = np.sin(np.arange(800) / 10)
    whole = [((wave * 2**15 * 0.5).astype(np.int16), 8000)] * 4
    target = load_target((whole, list("abab")))
    assert np.allclose(target.take([0])[0][0], 0.5 * wave, atol=1e-4)
    assert target.notes == ("4 sounds of integers scaled to -1 to 1, the first row 0 of int16",)
    bytes_ = [{"array": np.full(800, 128, np.uint8), "sampling_rate": 8000}] * 4
    assert not load_target((bytes_, list("abab"))).take([0])[0][0].any()
    wide = [(np.arange(800), 8000)] * 4
    assert "row 0 holds integers of 64 bits" in refusal((wide, list("abab")))


@pytest.mark.parametrize("rate", [0, -1, float("nan"), None, "8000"])
def test_a_rate_that_is_none_is_refused(rate: object) -> None:
    sounds = [(np.ones(800), 8000), (np.ones(800), rate)]
    assert "row 1 has the rate" in refusal((sounds, ["a", "b"]))


def test_a_broken_line_of_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"text": "a", "label": 1}\n\n{bad\n')
    assert "line 3, column 2" in refusal(tmp_path / "d.jsonl")


def test_a_column_without_a_name_is_said(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(",text,label\n0,one,a\n1,two,b\n2,three,a\n")
    notes = ("samples: text; labels: label; not used: one without a name",)
    assert load_target(tmp_path / "d.csv").notes == notes


def test_a_stream_is_refused_in_plain_words() -> None:
    datasets = pytest.importorskip("datasets")
    found = datasets.Dataset.from_dict({"text": ["one", "two"], "label": [0, 1]})
    assert "is a stream" in refusal(found.to_iterable_dataset())
