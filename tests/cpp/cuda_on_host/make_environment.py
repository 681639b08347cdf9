"""Make an environment in which zoorank has the module `_cuda` over an emulated device.

    python make_environment.py DIRECTORY CUDA_MODULE

It borrows everything else from the environment of the Python that runs this: the other
packages, the module `_core`, and the Python files of this checkout. Nothing is installed.
"""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from zoorank import _core


def replace_link(link, target):
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def main(directory, cuda_module):
    if not (directory / "bin" / "python").exists():
        venv.create(directory, symlinks=True)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.check_output([directory / "bin" / "python", "-c", ask], text=True)
    site = Path(found.strip())
    # Paths that such a file names are not searched for others: the editable zoorank stays away.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    package = site / "zoorank"
    package.mkdir(exist_ok=True)
    sources = Path(__file__).parents[3] / "python" / "zoorank"
    for each in (*sources.iterdir(), Path(_core.__file__), cuda_module):
        replace_link(package / each.name, each.resolve())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
