"""``zoorank bench``, the door to a program of the source code."""

import pytest

pytest.importorskip("typer", reason="the command line needs typer: pip install 'zoorank[cli]'")

from zoorank.cli import commands, main


@pytest.mark.parametrize("arguments", [[], ["--metric", "cosine,euclidean", "--help", "--json"]])
def test_arguments_and_exit_code_are_the_programs(arguments, monkeypatch):
    asked = []
    monkeypatch.setattr(commands.subprocess, "call", lambda line: asked.append(line) or 3)
    assert main(["bench", *arguments]) == 3
    ((_, program, *passed),) = asked
    assert program.endswith("benchmarks/kernels.py")
    assert passed == arguments


def test_the_program_runs(capfd):
    pytest.importorskip("rich")
    assert main(["bench", "--n", "x"]) == 2
    assert "n 'x' is not whole numbers from 1, such as 64,512" in capfd.readouterr().err


def test_without_the_source_code_one_line_says_where_it_is(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(commands, "__file__", str(tmp_path / "a" / "b" / "c" / "commands.py"))
    assert main(["bench"]) == 2
    error = capsys.readouterr().err
    assert "benchmarks/kernels.py" in error
    assert error.count("\n") == 1
