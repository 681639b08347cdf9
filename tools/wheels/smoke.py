"""Is an installed wheel whole? For an environment that holds it and numpy alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

import zoorank


def main() -> int:
    """Try what needs numpy alone, and what says what is missing."""
    assert zoorank.__version__ == version("zoorank")
    assert not set(sys.modules) & {"torch", "pydantic", "typer", "rich", "scipy"}
    check_engine()
    check_files()
    for code, (status, text) in {
        "from zoorank.cli import main; raise SystemExit(main(['info']))": (1, "zoorank[cli]"),
        "import zoorank; zoorank.load_zoo": (1, "pydantic"),
    }.items():
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert ended.returncode == status, ended
        assert text in ended.stderr, ended.stderr
    info = zoorank.build_info()
    print(f"zoorank {zoorank.__version__}, {info['instruction_set']}, {info['compiler']}: whole")
    return 0


def check_engine() -> None:
    """Silhouettes by the definition, with the kernels that this processor deserves."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 7))
    labels = np.arange(60) % 4
    distances = np.linalg.norm(X[:, None] - X[None], axis=2)
    expected = []
    for i, own in enumerate(labels):
        means = [distances[i, (labels == c) & (np.arange(60) != i)].mean() for c in range(4)]
        a, b = means[own], min(mean for c, mean in enumerate(means) if c != own)
        expected.append((b - a) / max(a, b))
    found = zoorank.silhouette_samples(X, labels)
    assert np.allclose(found, expected, atol=1e-12)
    there = Path("/proc/cpuinfo")
    if there.exists() and " avx2 " in there.read_text():
        assert "avx2" in zoorank.build_info()["supported_instruction_sets"]


def check_files() -> None:
    """What is no Python file is there too."""
    spec = importlib.util.find_spec("zoorank")
    assert spec is not None
    package = Path(str(spec.origin)).parent
    wanted = "py.typed", "cli/demo.toml", "ranking/evidence.json", "report/assets/charts.min.js"
    missing = [name for name in wanted if not (package / name).is_file()]
    assert not missing, missing


if __name__ == "__main__":
    sys.exit(main())
