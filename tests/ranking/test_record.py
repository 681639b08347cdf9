"""Files of what became of earlier targets: lines of JSON, appended to and merged."""

import json
from dataclasses import replace

import pytest

from zoorank.errors import DataError, StoreError, UsageError
from zoorank.ranking.record import Trained, append_record, check_record, read_record

LINE = Trained(
    "birds", "net", "layer3", 0.8125, "head", 400, fingerprint="ab", modality="image", weights="cd"
)


def test_lines_come_back_as_they_were_and_merge_by_concatenation(tmp_path):
    one, other, both = (tmp_path / name for name in ("a.jsonl", "b.jsonl", "c.jsonl"))
    append_record(one, [LINE, replace(LINE, cut="", samples=None)])
    append_record(other, [replace(LINE, target="cats", fingerprint="", weights="")])
    append_record(other, [replace(LINE, source="réseau \u2028 2")])
    both.write_bytes(one.read_bytes() + other.read_bytes())
    assert read_record(both) == read_record([one, other])
    assert [line.target for line in read_record(both)] == ["birds", "birds", "cats", "birds"]
    assert read_record(both)[:2] == (LINE, replace(LINE, cut="", samples=None))


def test_of_two_lines_on_one_training_the_last_counts(tmp_path):
    path = tmp_path / "record.jsonl"
    later = replace(LINE, accuracy=0.9)
    others = [replace(LINE, trained="fine-tuned"), replace(LINE, fingerprint="ef")]
    append_record(path, [LINE, *others])
    append_record(path, [later])
    assert read_record(path) == (later, *others)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense\n", "line 1 is none of a record: it is not JSON"),
        ("\n[1]\n", "line 2 is none of a record"),
        ('{"target": "a", "source": "b", "cut": "c"}\n', "'accuracy' is missing"),
        ('{"target": "a", "source": "b", "cut": "c", "accuracy": 81.2}\n', "between 0 and 1"),
        ('{"target": "a", "source": "b", "cut": "c", "accuracy": true}\n', "is no number"),
        ('{"target": "a", "source": "b", "cut": "c", "accuracy": NaN}\n', "between 0 and 1"),
        ('{"target": 1, "source": "b", "cut": "c", "accuracy": 0.5}\n', "'target' is no text"),
        ('{"target": "a", "source": "b", "cut": "c", "acuracy": 0.5}\n', "did you mean 'accuracy'"),
        ('{"target": "a", "source": "b", "cut": "c", "accuracy": 0.5}', "cut short"),
    ],
)
def test_what_is_none_of_a_record_is_named_and_never_appended_to(tmp_path, text, reason):
    path = tmp_path / "record.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=r"record\.jsonl") as caught:
        read_record(path)
    assert reason in str(caught.value)
    with pytest.raises(UsageError, match="nothing is appended"):
        append_record(path, [LINE])
    assert path.read_text() == text


def test_a_file_that_is_not_there_is_none_to_read_and_one_to_begin(tmp_path):
    path = tmp_path / "record.jsonl"
    with pytest.raises(DataError, match="cannot be read"):
        read_record(path)
    assert check_record(path) == ()
    with pytest.raises(StoreError, match="folder does not exist"):
        check_record(tmp_path / "nowhere" / "record.jsonl")
    append_record(path, [])
    assert read_record(path) == ()


def test_a_line_says_what_is_known_and_no_more(tmp_path):
    path = tmp_path / "record.jsonl"
    append_record(path, [Trained("birds", "net", "layer3", 0.5)])
    assert json.loads(path.read_text()) == {
        "target": "birds",
        "source": "net",
        "cut": "layer3",
        "accuracy": 0.5,
        "trained": "head",
    }
