"""A record on the command line: verify and evaluate append to it, and rank counts it."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("typer", reason="the command line needs typer: pip install 'zoorank[cli]'")
pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")
pytest.importorskip("sklearn", reason="heads need scikit-learn: pip install 'zoorank[scores]'")

from tests.ranking.tiny_zoo import tiny_zoo

from zoorank.cli import main
from zoorank.ranking.record import read_record

ZOO = ["zoo.toml", "--allow-code", "code", "--store", "store", "--quiet"]
RANK = ["rank", *ZOO, "--workers", "0", "--json"]
RECORD = ["--record", "record.jsonl"]
CUTS = ("1", "penultimate")


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    made = tiny_zoo(tmp_path / "zoo")
    monkeypatch.chdir(made.folder)
    return made


def _ranked(capsys, *more):
    capsys.readouterr()
    assert main([*RANK, *more]) == 0
    return json.loads(capsys.readouterr().out)


def _best(ranking):
    return next(row for row in ranking["rows"] if row["rank"] == 1)


def test_what_verify_and_evaluate_append_moves_the_next_ranking(zoo, capsys):
    plain = _ranked(capsys)
    assert plain["key"] == "consensus"
    first = _best(plain)["model"]
    other = {"net0": "net1", "net1": "net0"}[first]
    assert main(["verify", *ZOO, "--top", "2", "--repeats", "1", "--epochs", "0", *RECORD]) == 0
    by_verify = read_record("record.jsonl")
    n = len(by_verify)
    assert {line.source for line in by_verify} <= {first, other}
    assert {line.fingerprint for line in by_verify} == {plain["target"]["fingerprint"]}

    # On six other targets, in per cent, the second was by far the best.
    found = [(f"t{t}", name, cut) for t in range(6) for name in (other, first) for cut in CUTS]
    rows = [f"{t},{name},{cut},1,{95 if name == other else 30}" for t, name, cut in found]
    (zoo.folder / "table.csv").write_text("\n".join(["target,source,cut,good,accuracy", *rows]))
    assert main(["evaluate", "table.csv", "table.csv", *RECORD]) == 0
    lines = read_record("record.jsonl")
    assert lines[:n] == by_verify
    by_evaluate = {(line.target, line.source, line.cut): line.accuracy for line in lines[n:]}
    assert by_evaluate == {key: 0.95 if key[1] == other else 0.3 for key in found}

    whole = (zoo.folder / "record.jsonl").read_text().splitlines(keepends=True)
    (zoo.folder / "others.jsonl").write_text("".join(whole[n:]))
    informed = _ranked(capsys, "--record", "others.jsonl")
    assert informed["key"] == "informed"
    assert _best(informed)["model"] == other
    assert "record of 6 targets" in _best(informed)["note"]
    both = _ranked(capsys, *RECORD)
    assert "record of 6 targets and this one" in " ".join(row["note"] for row in both["rows"])


def test_a_record_of_another_modality_has_no_say_and_one_of_none_has(zoo, capsys):
    rows = [
        f"t{t},net{i},{cut},1,{0.3 + 0.6 * i}" for t in range(6) for i in (0, 1) for cut in CUTS
    ]
    (zoo.folder / "table.csv").write_text("\n".join(["target,source,cut,good,accuracy", *rows]))
    keys = {}
    for kind in ("table", "image", None):
        file = f"{kind}.jsonl"
        more = [] if kind is None else ["--modality", kind]
        assert main(["evaluate", "table.csv", "table.csv", "--record", file, *more]) == 0
        assert {line.modality for line in read_record(file)} == {kind or ""}
        keys[kind] = _ranked(capsys, "--record", file)["key"]
    assert keys == {"table": "informed", "image": "consensus", None: "informed"}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--modality", "images", *RECORD], "unknown modality 'images'; did you mean 'image'?"),
        (["--modality", "image"], "the modality is for the lines of a record"),
    ],
)
def test_a_modality_that_is_none_or_goes_nowhere_is_one_line(zoo, capsys, more, reason):
    (zoo.folder / "table.csv").write_text("target,source,good,accuracy\nt,a,1,0.5\nt,b,2,0.6\n")
    assert main(["evaluate", "table.csv", "table.csv", *more]) == 2
    assert reason in capsys.readouterr().err
    assert not (zoo.folder / "record.jsonl").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "record.jsonl cannot be read: No such file or directory"),
        ('{"target": "t", "source": "net0", "cut": "", "acc', "record.jsonl: line 1 is none of a"),
        (
            '{"target": "t", "source": "net0", "cut": "", "accuracy": 0.5}',
            "record.jsonl does not end with a line end, so its last line may be cut short",
        ),
    ],
    ids=["missing", "torn", "without its end"],
)
def test_a_record_that_cannot_be_used_is_one_line(zoo, capsys, content, reason):
    if content is not None:
        (zoo.folder / "record.jsonl").write_text(content)
    assert main([*RANK, *RECORD]) == 1
    out, error = capsys.readouterr()
    assert error.startswith(f"zoorank: {reason}")
    assert (out, error.count("\n")) == ("", 1)
    assert zoo.passes() == []
    if content is not None:  # and nothing is appended to it
        assert main(["verify", *ZOO, "--epochs", "0", *RECORD]) == 2
        assert "nothing is appended: record.jsonl" in capsys.readouterr().err
        assert (zoo.folder / "record.jsonl").read_text() == content
    assert zoo.passes() == []
