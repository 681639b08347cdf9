"""Rank 36 time-series networks for one data set of the UCR archive.

    python examples/ucr/run.py [TARGET] [OPTION...]

TARGET is the name of a data set, Coffee by default; options go to `zoorank rank`. The
data are looked for in ZOORANK_DATA, else in shared/data beside the project.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(arguments: list[str]) -> int:
    """Run `zoorank rank` on the zoo beside this file; skip where there are no data."""
    beside = HERE.parents[2] / "shared" / "data"
    data = Path(os.environ.setdefault("ZOORANK_DATA", str(beside)))
    named = bool(arguments) and not arguments[0].startswith("-")
    target, options = (arguments[0], arguments[1:]) if named else ("Coffee", arguments)
    if not (data / "fcn-zoo").is_dir():
        print(f"skipped: no fcn-zoo in {data}; set ZOORANK_DATA to the folder that holds it")
        return 0
    command = [
        *(str(Path(sys.executable).with_name("zoorank")), "rank", str(HERE / "zoo.toml")),
        *("--data", str(data / "ucr" / f"{target}.npz")),
        *("--allow-code", str(HERE)),
        *options,
    ]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
