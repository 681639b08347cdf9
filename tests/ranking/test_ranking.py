from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest
from tests.ranking.rankings import RANKING

from zoorank.errors import DataError
from zoorank.ranking import Ranking


def test_json_reads_back_unchanged(tmp_path):
    text = RANKING.to_json()
    assert Ranking.from_json(text) == RANKING
    path = tmp_path / "ranking.json"
    path.write_text(text)
    assert Ranking.from_json(path) == Ranking.from_json(str(path)) == RANKING
    assert Ranking.from_json(text).to_json() == text


def test_json_is_plain_json():
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    values = json.loads(RANKING.to_json(), parse_constant=refuse)
    assert values["format"] == 2
    assert values["rows"][-1]["score"] is None


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"format": 1}', '{"format": 2}', '{"format": 2, "rows": [{}]}', "{[1]}"]
)
def test_other_json_is_refused_in_one_line(text):
    with pytest.raises(DataError, match="not a ranking written by zoorank") as caught:
        Ranking.from_json(text)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent\.json cannot be read: No such file"):
        Ranking.from_json(tmp_path / "absent.json")


def test_csv_holds_every_row_to_the_last_bit():
    rows = list(csv.DictReader(io.StringIO(RANKING.to_csv())))
    assert [row["model"] for row in rows] == [row.model for row in RANKING]
    assert float(rows[0]["msc_cosine"]) == RANKING.rows[0].score
    assert rows[-1]["msc_cosine"] == ""
    assert rows[-1]["note"] == RANKING.rows[-1].note


def test_frame_has_the_columns_of_the_csv():
    frame = RANKING.to_frame()
    assert list(frame.columns) == list(pd.read_csv(io.StringIO(RANKING.to_csv())).columns)
    assert frame["rank"].tolist() == [1, pd.NA, 2, pd.NA]
    assert frame["parameters_kept"].dtype == "Int64"


def test_rows_can_be_asked_for():
    assert len(RANKING) == 4
    assert list(RANKING) == list(RANKING.rows)
    assert RANKING.best is RANKING.rows[0]
    assert RANKING.baseline is RANKING.rows[1]
    assert RANKING.failures == RANKING.rows[3:]
    assert (RANKING.rows[0].class_min, RANKING.rows[0].class_max) == (0.1, 0.3)
    assert RANKING.failures[0].class_min is None


def test_str_is_a_table_without_help():
    lines = str(RANKING).splitlines()
    assert lines[0].split()[:3] == ["rank", "model", "cut"]
    assert len(lines) == 6
    assert lines[-1] == RANKING.verdict


def test_a_ranking_is_frozen():
    with pytest.raises(AttributeError):
        RANKING.rows[0].rank = 3
