"""Series and tables as archives and spreadsheets write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.targets.common import X, Y, refusal

from zoorank.errors import UsageError
from zoorank.targets import load_target

LINES = [f"{float(y):e}\t" + "\t".join(map(str, row)) for y, row in zip(Y, X, strict=True)]
TS = "@problemName Toy\n# note\n@univariate true\n@classLabel true 0 1 2\n@data\n" + "\n".join(
    f"{','.join(map(str, row))}:{y}" for y, row in zip(Y, X, strict=True)
)


def test_series(tmp_path: Path) -> None:
    (tmp_path / "Toy_TRAIN.tsv").write_text("\n".join(LINES))
    (tmp_path / "Toy_TEST.tsv").write_text("\n".join(LINES[:4]) + "\n")
    (tmp_path / "toy.ts").write_text(TS)
    tsv = load_target(tmp_path / "Toy_TRAIN.tsv")
    assert tsv.modality == "series"
    assert np.array_equal(tsv.X, X)
    assert tsv.labels.dtype.kind == "i"
    assert load_target(tmp_path / "toy.ts").fingerprint == tsv.fingerprint
    assert load_target(tmp_path, split="all").n_samples == 10


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.tsv", "\n".join(LINES).encode("utf-8-sig")),
        ("d.tsv", "\r\n".join(LINES).encode()),
        ("d.tsv", "\n".join(LINES).encode("utf-16")),
        ("d.tsv", "".join(f"{line}\t\n" for line in LINES).encode()),
        ("d.txt", "\n".join(f"  {line}".replace("\t", "   ") for line in LINES).encode()),
        ("d.txt", "\n".join(LINES).replace("\t", ",").encode()),
        ("d.tsv", "\n\n".join(LINES).replace("\t", ";").encode()),
        ("d_TRAIN", "\n".join(LINES).encode()),
        ("d.ts", TS.encode("utf-8-sig")),
        ("d.ts", TS.replace("\n", "\r\n").encode()),
        ("d.ts", TS.replace("# note", "# été").encode("latin-1")),
    ],
)
def test_the_same_series_however_they_are_written(tmp_path: Path, name: str, content) -> None:
    (tmp_path / name).write_bytes(content)
    target = load_target(tmp_path / name)
    assert np.array_equal(target.X, X)
    assert target.labels.tolist() == Y.tolist()
    assert target.modality == "series"


def test_another_encoding_is_said(tmp_path: Path) -> None:
    (tmp_path / "d.ts").write_bytes(TS.replace("# note", "# été").encode("latin-1"))
    assert load_target(tmp_path / "d.ts").notes == (
        "d.ts is not UTF-8 (line 2) and was read as Windows-1252",
    )


def test_several_variables(tmp_path: Path) -> None:
    (tmp_path / "m.ts").write_text("@data\n1,2,3:4,5,6:a\n1,2,3:4,5,6:b\n7,8,9:4,5,6:b\n")
    target = load_target(tmp_path / "m.ts")
    assert target.X.shape == (3, 2, 3)
    assert target.modality == "series"


def test_series_of_several_lengths_are_stretched_to_the_longest(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("1\t0\t1\t2\t3\n2\t0\t3\n2\t5\t6\tNaN\tNaN\n")
    target = load_target(tmp_path / "d.tsv")
    assert target.X.tolist() == [[0, 1, 2, 3], [0, 1, 2, 3], [5, 5 + 1 / 3, 5 + 2 / 3, 6]]
    assert target.notes == ("series of 2 to 4 steps are stretched to 4",)
    (tmp_path / "d.ts").write_text("@equalLength false\n@data\n1,2,3:0,1:a\n0,1:7:b\n4:4:b\n")
    target = load_target(tmp_path / "d.ts")
    assert target.X[0].tolist() == [[1, 2, 3], [0, 0.5, 1]]
    assert target.X[1].tolist() == [[0, 0.5, 1], [7, 7, 7]]


def test_missing_values_are_filled_in_from_their_neighbours(tmp_path: Path) -> None:
    (tmp_path / "d.ts").write_text("@missing true\n@data\n1,?,3:a\nNaN,5,6:b\n7,8,9:b\n")
    target = load_target(tmp_path / "d.ts")
    assert target.X.tolist() == [[1, 2, 3], [5, 5, 6], [7, 8, 9]]
    assert target.notes == (
        "missing values of 2 series filled in from their neighbours, the first in row 0",
    )
    assert "row 0 has a missing value" in refusal(tmp_path / "d.ts", strict=True)


def test_series_with_numbers_to_predict(tmp_path: Path) -> None:
    text = "@targetLabel true\n@data\n1,2:3\n2,3:4\n5,6:7\n"
    (tmp_path / "d.ts").write_text(text)
    target = load_target(tmp_path / "d.ts")
    assert (target.task, target.labels.tolist()) == ("numbers", [3.0, 4.0, 7.0])


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("d.tsv", b"", "holds no lines"),
        ("d.txt", b"1 2 3\n2 x 4\n", "row 1: 'x' is not a number"),
        ("d.tsv", b"1\t2\t3\n2\t4\tx\n", "row 1: 'x' is not a number"),
        ("d.tsv", b"1\t2\t3\n2\n", "row 1 has a label but no values"),
        ("d.tsv", b"1\t2\t3\n2\tNaN\tNaN\n", "row 1 has a label but no values"),
        ("d.tsv", b"1\t2\t3\n2\t4\tinf\n", "row 1 holds infinity"),
        ("d.tsv", b"1\t2\x00", "not a text file"),
        ("d.ts", b"1,2:a\n", "'1,2:a' stands before @data"),
        ("d.ts", b"@univariate true\n", "no @data line"),
        ("d.ts", b"@data\n1,2:a\n1,2:3,4:b\n", "row 1 has 2 variables, row 0 has 1"),
        ("d.ts", b"@timeStamps true\n@data\n(1,2):a\n", "@timeStamps true"),
        ("d.ts", b"@classLabel false\n@data\n1,2\n", "@classLabel false"),
        ("d.txt", b"Some prose\nof two lines\n", "unknown kind of file '.txt'"),
    ],
)
def test_bad_series(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    text = refusal(tmp_path / name)
    assert expected in text
    assert str(tmp_path / name) in text


# Tables


def _table(path: Path, text: str, **options):
    path.write_text(text)
    return load_target(path, **options)


ROWS = "1.5,2,a\n2.5,3,b\n3.5,4,a\n"


@pytest.mark.parametrize(
    "text",
    [
        "length,width,species\n" + ROWS,
        "\ufefflength,width,species\n" + ROWS,
        "length;width;species\n" + ROWS.replace(",", ";"),
        "length\twidth\tspecies\n" + ROWS.replace(",", "\t"),
        "length,width,species,\n" + ROWS.replace("\n", ",\n"),
        '"length","width","species"\r\n' + ROWS.replace("\n", "\r\n"),
        "length, width, species\n" + ROWS.replace(",", ", "),
        ",length,width,species\n" + "".join(f"{k},{r}\n" for k, r in enumerate(ROWS.split())),
        "id,length,width,species\n" + "".join(f"{k},{r}\n" for k, r in enumerate(ROWS.split())),
    ],
)
def test_tables_with_a_header(tmp_path: Path, text: str) -> None:
    target = _table(tmp_path / "d.csv", text)
    assert target.modality == "table"
    assert target.X.tolist() == [[1.5, 2], [2.5, 3], [3.5, 4]]
    assert target.labels.tolist() == ["a", "b", "a"]


def test_columns_by_name(tmp_path: Path) -> None:
    text = "a,b,c,d\n1,2,x,p\n3,4,y,q\n5,6,x,p\n"
    chosen = {"input_column": ["b", "a"], "label_column": "d"}
    target = _table(tmp_path / "d.csv", text, **chosen)
    assert target.X.tolist() == [[2, 1], [4, 3], [6, 5]]
    assert (target.labels.tolist(), target.notes) == (["p", "q", "p"], ())
    grouped = _table(tmp_path / "d.csv", text, **chosen, group_column="c")
    assert grouped.groups.tolist() == ["x", "y", "x"]
    series = _table(tmp_path / "d.csv", text, **chosen, modality="series")
    assert series.modality == "series"
    assert "which column holds the labels? say label_column; it has a, b, c, d" in refusal(
        tmp_path / "d.csv"
    )
    assert "a, b are numbers, d are not" in refusal(tmp_path / "d.csv", label_column="c")
    text = refusal(tmp_path / "d.csv", UsageError, label_column="dd")
    assert "has no column 'dd'; did you mean 'd'?" in text


def test_what_is_not_used_is_said(tmp_path: Path) -> None:
    target = _table(tmp_path / "d.csv", "text,when,label\nx,1,a\ny,2,b\nz,3,a\n")
    assert target.notes == ("samples: text; labels: label; not used: when",)


def test_missing_values_become_the_mean_of_their_column(tmp_path: Path) -> None:
    text = "a,b,c,label\n1,?,,x\n,4,,y\n3,6,,x\n"
    target = _table(tmp_path / "d.csv", text)
    assert target.X.tolist() == [[1, 5], [2, 4], [3, 6]]
    assert target.notes[1:] == (
        "2 missing values filled in, the first in row 0: means of columns",
        "columns without any value are left out: c",
    )
    assert "row 0 has a missing value" in refusal(tmp_path / "d.csv", strict=True)
    series = _table(
        tmp_path / "d.csv", "a,b,c,label\n1,,3,x\n4,5,6,y\n7,8,9,x\n", modality="series"
    )
    assert series.X[0].tolist() == [1, 2, 3]


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    target = _table(tmp_path / "d.csv", "a,label\n1,x\n2,\n3,y\n4,x\n")
    assert target.X.tolist() == [[1], [3], [4]]
    assert target.notes[1:] == ("1 row skipped, row 1: no label in column 'label'",)
    assert "row 1: no label in column 'label'" in refusal(tmp_path / "d.csv", strict=True)


def test_a_column_may_say_which_part_a_row_belongs_to(tmp_path: Path) -> None:
    text = "a,label,split\n1,x,train\n2,y,train\n3,x,train\n4,x,test\n5,y,test\n6,y,test\n"
    target = _table(tmp_path / "d.csv", text)
    assert target.X.ravel().tolist() == [1, 2, 3]
    assert target.notes[0] == "3 of 6 rows are of the part 'train'"
    assert load_target(tmp_path / "d.csv", split="test").X.ravel().tolist() == [4, 5, 6]
    assert len(load_target(tmp_path / "d.csv", split="all")) == 6


def test_numbers_to_predict_in_a_column(tmp_path: Path) -> None:
    target = _table(tmp_path / "d.csv", "a,b,target\n1,2,0.5\n3,4,1.5\n5,6,2.5\n")
    assert (target.task, target.labels.tolist()) == ("numbers", [0.5, 1.5, 2.5])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "holds no lines"),
        (b"a,b\nc\n", "record 1 has 1 columns, record 0 has 2"),
        (b"a\nb\n", "has one column; samples and labels are needed"),
        (b'"a,1\n', "not a readable .csv file: unexpected end of data"),
        (b"a,a,label\n1,2,x\n", "two columns are called 'a'"),
        (b"a,label\n", "holds no rows"),
        (b"text,label\n,a\n,b\n", "no row has both a sample and a label"),
        (b"1,2,3\n4,5,6\n7,8,9\n", "which column holds the labels? say label_column; it has 0, 1"),
    ],
)
def test_bad_tables(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "d.csv").write_bytes(content)
    text = refusal(tmp_path / "d.csv")
    assert expected in text
    assert str(tmp_path / "d.csv") in text


@pytest.mark.parametrize("names", [range(9), range(1, 10), [f"t{k}" for k in range(9)]])
def test_a_first_line_of_names_is_no_series(tmp_path: Path, names: list) -> None:
    lines = ["\t".join(map(str, [k % 2, *np.sin(np.arange(9) + k)])) for k in range(4)]
    (tmp_path / "Toy_TRAIN.tsv").write_text("\n".join(["\t".join(["y", *map(str, names)]), *lines]))
    target = load_target(tmp_path)
    assert target.labels.tolist() == [0, 1, 0, 1]
    assert target.notes == ("the first line names the columns",)
