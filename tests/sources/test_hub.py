"""What the caches of hubs have is found without asking; what they lack is said."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import huggingface_hub.constants
import pytest
import timm
import torch
from tests.sources import tiny_transformers
from tests.sources.carried import lay_cache, minilm
from timm.models import save_for_hf

from zoorank.errors import SourceError
from zoorank.sources import hub

COMMIT = "d" * 40
FILES = {"config.json": b"{}", "model.safetensors": b"x" * 3_000_000, "other.onnx": b"y" * 99}


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*hub.OFFLINE, "HF_HOME", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    # Read from the environment when the library was imported, whoever had set it by then.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)


def choose(files: Any) -> list[str]:
    return [name for name in files if not name.endswith(".onnx")]


def lacks(folder: Path) -> str:
    return "" if (folder / "model.safetensors").is_file() else "model.safetensors"


def refuse(line: str) -> None:
    raise AssertionError(line)


class _Hub(http.server.BaseHTTPRequestHandler):
    """Speaks as much of the hub's language as its library asks for one repository."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlparse(self.path).path)
        self.asked.append(f"{self.command} {path}")
        headers, body = {"Content-Type": "application/json"}, b""
        status = 200
        if path.startswith("/api/models/org/tiny"):
            entries = [
                {
                    "rfilename": name,
                    "path": name,
                    "type": "file",
                    "size": len(data),
                    "oid": "0" * 40,
                }
                for name, data in FILES.items()
            ]
            body = json.dumps(
                entries
                if "/tree/" in path
                else {"id": "org/tiny", "modelId": "org/tiny", "sha": COMMIT, "siblings": entries}
            ).encode()
        elif path.startswith("/org/tiny/resolve/"):
            body = FILES[path.rpartition("/")[2]]
            headers = {
                "ETag": f'"{hashlib.sha256(body).hexdigest()}"',
                "X-Repo-Commit": COMMIT,
            }
        elif path == "/weights-0123456789abcdef.pth":
            body = b"weights"
        else:
            status = 404
            headers["X-Error-Code"] = "RepoNotFound"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """A hub on this machine, its address and what it was asked."""
    handler = type("Handler", (_Hub,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    monkeypatch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    yield address, handler.asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_complete_cache_answers_alone(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "model.safetensors").write_bytes(b"x")
    there = lay_cache(tmp_path / "cache", "org/tiny", tmp_path / "files")
    for revision in (None, "main", "c" * 40):
        assert hub.snapshot("org/tiny", revision, choose, lacks, refuse) == there
    with pytest.raises(SourceError, match=r"org/tiny@other: not in the hub's cache"):
        hub.snapshot("org/tiny", "other", choose, lacks, lambda _: None)


@pytest.mark.parametrize("name", hub.OFFLINE)
def test_the_environment_forbids_to_ask(
    name: str, monkeypatch: pytest.MonkeyPatch, served: tuple[str, list[str]]
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(
        SourceError, match=f"not in the hub's cache, and {name} forbids to ask the hub"
    ):
        hub.snapshot("org/tiny", None, choose, lacks, refuse)
    with pytest.raises(SourceError, match=f"{name} forbids to fetch it"):
        hub.checkpoint(f"{served[0]}/weights.pth", refuse)
    assert not served[1]


def test_only_what_lacks_is_fetched_and_its_size_is_said(
    tmp_path: Path, served: tuple[str, list[str]]
) -> None:
    said: list[str] = []
    folder = hub.snapshot("org/tiny", None, choose, lacks, said.append)
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert not (folder / "other.onnx").exists()
    assert said == [f"fetching 2 files of org/tiny, 3.0 MB, into {tmp_path / 'cache'}"]
    served[1].clear()
    assert hub.snapshot("org/tiny", None, choose, lacks, refuse) == folder
    assert not served[1]
    (folder / "model.safetensors").unlink()
    said.clear()
    assert hub.snapshot("org/tiny", None, choose, lacks, said.append) == folder
    assert said == [f"fetching 1 files of org/tiny, 3.0 MB, into {tmp_path / 'cache'}"]


def test_what_the_repository_itself_lacks(served: tuple[str, list[str]]) -> None:
    with pytest.raises(SourceError, match=r"org/tiny: the repository has no tokenizer"):
        hub.snapshot("org/tiny", None, choose, lambda _: "tokenizer", lambda _: None)


def test_a_repository_that_does_not_exist(served: tuple[str, list[str]]) -> None:
    with pytest.raises(SourceError, match="no such repository, or wants a token"):
        hub.snapshot("org/none", None, choose, lacks, refuse)


def test_an_unreachable_hub_is_one_line() -> None:
    with pytest.raises(
        SourceError, match="not in the hub's cache, and the hub cannot be reached"
    ) as told:
        hub.snapshot("org/tiny", None, choose, lacks, refuse)
    assert "\n" not in str(told.value)
    assert str(told.value).count("ConnectError") == 1
    assert str(told.value).endswith("; connect, or name a file or folder instead")
    with pytest.raises(SourceError, match="torch's hub, and the hub cannot"):
        hub.checkpoint("http://127.0.0.1:9/weights.pth", refuse)


def test_a_checkpoint_is_fetched_once_and_checked(served: tuple[str, list[str]]) -> None:
    said: list[str] = []
    with pytest.raises(SourceError, match="invalid hash value"):
        hub.checkpoint(f"{served[0]}/weights-0123456789abcdef.pth", said.append)
    assert said == ["fetching weights-0123456789abcdef.pth, 0.0 MB, from 127.0.0.1"]
    file = Path(torch.hub.get_dir()) / "checkpoints" / "weights-0123456789abcdef.pth"
    assert not file.exists()
    file.write_bytes(b"there")
    assert hub.checkpoint("https://nowhere/weights-0123456789abcdef.pth", refuse) == file


def test_nothing_is_asked_where_sockets_are_refused(tmp_path: Path) -> None:
    """In a process of its own, for an audit hook cannot be taken off again."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "model.safetensors").write_bytes(b"x")
    lay_cache(tmp_path / "cache", "org/tiny", tmp_path / "files")
    program = (
        "import sys\n"
        "def hook(event, _):\n"
        "    if event.startswith('socket.'): raise SystemExit('asked')\n"
        "sys.addaudithook(hook)\n"
        "from zoorank.sources.hub import snapshot\n"
        "print(snapshot('org/tiny', None, lambda names: names, lambda folder: '', print))\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stderr == ""
    assert Path(done.stdout.strip()).name == "c" * 40


def test_rankings_from_caches_where_sockets_are_refused(tmp_path: Path) -> None:
    """What the caches have is ranked; what they lack is a row that says so, and no more."""
    save_for_hf(timm.create_model("test_resnet"), tmp_path / "timm", safe_serialization=True)
    for name in ("resnet", "bert"):
        tiny_transformers.save(name, tmp_path / name)
        lay_cache(tmp_path / "cache", f"org/{name}", tmp_path / name)
    lay_cache(tmp_path / "cache", "org/timm", tmp_path / "timm")
    lay_cache(tmp_path / "cache", "org/minilm", minilm())
    program = f"""
import json, sys
def hook(event, _):
    if event.startswith("socket."): raise SystemExit("asked")
sys.addaudithook(hook)
import numpy as np
import zoorank
y = np.arange(16) % 2
images = np.random.default_rng(0).integers(0, 256, (16, 40, 40, 3), np.uint8)
images[y == 1] //= 2
texts = [("good " if label else "bad ") * (2 + row % 3) for row, label in enumerate(y)]
found = []
for models, X in (
    (["timm:org/timm", "timm:org/absent", "hf:org/resnet"], images),
    (["hf:org/bert", "st:org/minilm", "st:org/absent", "hf:org/absent"], texts),
):
    ranking = zoorank.rank(models, (X, y), store={str(tmp_path / "store")!r}, device="cpu")
    found += [(row.model, row.status, row.note) for row in ranking if row.status != "baseline"]
print(json.dumps(found))
"""
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    rows = {model: (status, note) for model, status, note in json.loads(done.stdout)}
    absent = {model for model in rows if model.endswith("absent")}
    assert len(absent) == 3
    for model, (status, note) in rows.items():
        assert status == ("failed" if model in absent else "ok"), note
        assert (model not in absent) or "org/absent: not in the hub's cache" in note
