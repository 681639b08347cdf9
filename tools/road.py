"""How far does one ranking travel through the package?

    python tools/road.py [--list]

One small network is ranked for iris in this process. Counted are the files of zoorank whose
functions run in the thread that asks, and the hops: different calls from a function of one file
to a function of another, however often they happen. Fewer are easier to follow. `--list` prints
each. On one core that thread computes every score; elsewhere others take their part.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from types import FrameType

import zoorank

PACKAGE = Path(zoorank.__file__).parent

NETWORK = """
from torch import nn

def small():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
"""

MANIFEST = """
[[model]]
name = "untrained"
factory = "network:small"
weights.random = { seed = 0 }
preprocessing.input = "table"
"""


class Road:
    """The files and hops of what runs in this thread."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.hops: set[tuple[str, str]] = set()

    def called(self, frame: FrameType, event: str, _: object) -> None:
        """Note a call; a function for `sys.setprofile`."""
        # `<listcomp>`, `<lambda>` and `<module>` are no functions that a reader looks up.
        if event != "call" or not _is_ours(frame) or frame.f_code.co_name.startswith("<"):
            return
        self.files.add(_file(frame))
        caller = frame.f_back
        while caller is not None and not _is_ours(caller):
            caller = caller.f_back
        if caller is not None and _file(caller) != _file(frame):
            self.hops.add((_place(caller), _place(frame)))


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(str(PACKAGE))


def _file(frame: FrameType) -> str:
    return Path(frame.f_code.co_filename).relative_to(PACKAGE).as_posix()


def _place(frame: FrameType) -> str:
    return f"{_file(frame)}:{frame.f_code.co_name}"


def of_a_ranking() -> Road:
    """Rank, and note the road."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "network.py").write_text(NETWORK)
        Path(folder, "zoo.toml").write_text(MANIFEST)
        rank = zoorank.rank  # imported here: importing is not travelling
        road = Road()
        sys.setprofile(road.called)
        try:
            ranking = rank(f"{folder}/zoo.toml", "sklearn:iris", store=folder, allow_code=[folder])
        finally:
            sys.setprofile(None)
    assert ranking.best is not None, ranking
    return road


def main() -> None:
    """Print the road."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print every file and every hop")
    asked = parser.parse_args()
    road = of_a_ranking()
    if asked.list:
        print(*sorted(road.files), sep="\n")
        print(*(f"{caller} -> {called}" for caller, called in sorted(road.hops)), sep="\n")
    print(f"{len(road.files)} files, {len(road.hops)} hops")


if __name__ == "__main__":
    main()
