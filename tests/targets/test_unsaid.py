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
