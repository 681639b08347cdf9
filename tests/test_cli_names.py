"""Whatever things are called: nothing of a name reaches a terminal but letters to be seen."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the zoo needs torch: pip install 'zoorank[zoo]'")
pytest.importorskip("typer", reason="the command line needs typer: pip install 'zoorank[cli]'")
pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")

from tests.ranking.tiny_zoo import GOOD, tiny_zoo  # noqa: E402

# A title is set, the screen cleared, the cursor moved, a link made, the clipboard written to,
# the direction of writing turned, a line begun anew, a formula begun.
NAMES = [
    "\x1b]0;pwned\x07a",
    "\x1b[2J\x1b[Hb",
    "c\rOK",
    "\x9b31md",
    "\x1b]8;;http://evil.example\x1b\\e\x1b]8;;\x1b\\",
    "\x1b]52;c;cHduZWQ=\x07f",
    "g\u202egnp.exe",
    "h\u2066\u200b\ufeff",
    '=HYPERLINK("http://evil.example")',
    "@SUM(1)",
    "-2+3",
    "[bold red]i[/bold red]",
    "<script>alert(1)</script>",
    "j\u0301\u0308",
    "模型 😀",
]
# What Rich writes by itself: colours, lines moved over and erased, the cursor hidden.
OF_RICH = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]*[AK]|2K|1A|\?25[lh])")


def write(folder: Path) -> list[str]:
    """A zoo and a target in which every name is one of those."""
    zoo = tiny_zoo(folder, models=0)
    text = zoo.manifest.read_text()
    for seed, name in enumerate(NAMES):
        entry = GOOD.format(name="net", width=8, delay=0.0, seed=seed)
        text += entry.replace(
            'name = "net"\nfactory', f"name = {json.dumps(name, ensure_ascii=False)}\nfactory"
        )
    zoo.manifest.write_text(text)
    rng = np.random.default_rng(0)
    np.savez(zoo.data, X=rng.normal(size=(60, 6)).astype("f4"), y=np.array(NAMES * 4))
    out = folder / "results \u202e\x1b[31m"
    return ["rank", str(zoo.manifest), "--allow-code", str(zoo.code), "--out", str(out)]


def in_a_terminal(line: list[str]) -> str:
    """What a command writes to a terminal, standard error too."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "LINES": "50"}
    process = subprocess.Popen(
        [sys.executable, "-m", "zoorank.cli", *line],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    pieces: list[bytes] = []

    def read() -> None:
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end is closed
                return
            if not piece:
                return
            pieces.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    assert process.wait(300) == 0, b"".join(pieces)[-2000:]
    reader.join(10)
    os.close(ours)
    return b"".join(pieces).decode()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    line = write(tmp_path_factory.mktemp("names") / "zoo")
    return in_a_terminal(line), Path(line[-1])


def test_a_terminal_sees_text_and_what_rich_writes(run: tuple[str, Path]) -> None:
    shown = run[0]
    assert "模型" in shown
    rest = OF_RICH.sub("", shown).replace("\r\n", "\n").replace("\r", "")
    assert "\x1b" not in rest
    found = {each for each in rest if not each.isprintable()} - {"\n"}
    assert found == set()
    assert r"\x1b]0;pwned\x07a" in rest
    assert r"g\u202egnp.exe" in rest
    assert "[bold red]i[/bold red]" in rest


def test_no_cell_is_a_formula_or_moves_a_cursor(run: tuple[str, Path]) -> None:
    with (run[1] / "ranking.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert len(rows) > len(NAMES)
    for cell in (each for row in rows for each in row):
        assert cell.isprintable()
        number = re.fullmatch(r"-?[0-9.]+(e[+-]?[0-9]+)?|-?inf|nan", cell)
        assert number or not re.match(r"\s*[=+\-@]", cell)


def test_json_keeps_every_name_and_is_inert(run: tuple[str, Path]) -> None:
    text = (run[1] / "ranking.json").read_text(encoding="utf-8")
    assert all(each.isprintable() or each == "\n" for each in text)
    found = json.loads(text)
    assert {row["model"] for row in found["rows"]} - {"raw input"} == set(NAMES)


def test_the_page_has_no_markup_of_a_name(run: tuple[str, Path]) -> None:
    page = (run[1] / "report.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
