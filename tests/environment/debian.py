"""Fetch packages of Debian whose data tests read, and unpack them; nothing of them is installed.

Run as a program by ``make``, which does without where this is no Debian: the tests that want the
data then skip, and on CI fail.
"""

import subprocess
import sys
from pathlib import Path

PACKAGES = (
    "fortunes",  # sayings by subject, a file each: texts
    "fortunes-min",
    "dataset-fashion-mnist",  # 70 000 grey images of ten kinds of clothing, 31 MB
    "asterisk-core-sounds-en-gsm",  # the same prompts spoken in five languages
    "asterisk-core-sounds-es-gsm",
    "asterisk-core-sounds-fr-gsm",
    "asterisk-core-sounds-it-gsm",
    "asterisk-core-sounds-ru-gsm",
)
FOLDER = Path(__file__).parents[2] / "build" / "debian"


def fetch(folder: Path) -> None:
    """Unpack every package that is not there yet."""
    for package in PACKAGES:
        place = folder / package
        if place.is_dir():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        call = ["apt-get", "download", "-q", package]
        subprocess.run(call, cwd=folder, check=True, capture_output=True)
        (archive,) = folder.glob(f"{package}_*.deb")
        partial = folder / f".{package}"
        subprocess.run(["dpkg-deb", "-x", archive, partial], check=True)
        partial.rename(place)
        archive.unlink()


if __name__ == "__main__":
    try:
        fetch(FOLDER)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no data from Debian's packages: {error}", file=sys.stderr)
