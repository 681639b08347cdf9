"""Install every extra alone, and all together, and see that what it brings can be used.

    python tools/extras.py WHEEL [EXTRA ...]

Each gets an environment of its own, which is removed again, from pip's cache where it has the
packages. WHEEL is a file that `make wheels` or `pip wheel --no-deps .` has written; without
names all extras of pyproject.toml are tried, the ones for building and testing excepted.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOGETHER = "all"
# Of these, what is to be imported; of the kinds of sources, what may not be missing.
MODULES = {
    "cli": ("zoorank.cli.commands", "rich", "jinja2"),
    "manifest": ("zoorank.sources.manifest", "PIL", "psutil", "scipy", "threadpoolctl"),
    "zoo": ("zoorank.sources.torch.encoder", "safetensors"),
    "timm": ("timm", "huggingface_hub"),
    "torchvision": ("torchvision",),
    "huggingface": ("transformers", "zoorank.sources.torch.hidden_states"),
    "sentence-transformers": ("sentence_transformers", "zoorank.sources.torch.chains"),
    "keras": ("keras", "zoorank.sources.keras.encoder"),
    "onnx": ("onnxruntime", "zoorank.sources.onnx.encoder", "tokenizers"),
    "vectors": ("zoorank.sources.vectors.encoder", "safetensors", "tokenizers"),
    "audio": ("soundfile", "soxr", "zoorank.targets.audio"),
    "parquet": ("pyarrow.parquet",),
    "datasets": ("datasets",),
    "ray": ("ray",),
    "report": ("matplotlib", "jinja2"),
    "scores": ("sklearn", "scipy"),
    "ids": ("tslearn",),
}
KINDS = {
    "timm": ["timm:resnet18"],
    "torchvision": ["torchvision:resnet18"],
    "huggingface": ["hf:org/name"],
    "sentence-transformers": ["st:org/name"],
    "keras": ["keras:MobileNetV2"],
    "onnx": ["onnx:none.onnx"],
    "vectors": ["vectors:none.txt"],
    "zoo": ["exported:none.pt2"],
}
# A source that cannot be had may say why, but no longer that a package is missing.
TRIAL = """
import importlib, sys
import zoorank
modules, references = (each.split(",") for each in sys.argv[1:])
for name in filter(None, modules):
    importlib.import_module(name)
if any(references):
    from zoorank.sources.base import OpenOptions
    from zoorank.sources.references import source_of
    for reference in references:
        try:
            source = source_of(reference).resolve(print)
            source.open(OpenOptions(modality=next(iter(source.modalities))))
        except zoorank.errors.ZoorankError as error:
            assert "pip install" not in str(error), f"{reference}: {error}"
"""


def main(arguments: list[str]) -> int:
    """Try the extras one by one, and give how many failed."""
    if not arguments or not Path(arguments[0]).is_file():
        print(__doc__, file=sys.stderr)
        return 2
    wheel, *chosen = arguments
    unknown = set(chosen) - {*MODULES, TOGETHER}
    if unknown:
        print(f"no extra {min(unknown)}; there are {', '.join((*MODULES, TOGETHER))}")
        return 2
    failed = [extra for extra in chosen or (*MODULES, TOGETHER) if not works(wheel, extra)]
    print(f"failed: {', '.join(failed)}" if failed else "every extra installs and imports")
    return len(failed)


def works(wheel: str, extra: str) -> bool:
    """Whether an extra can be installed into an empty environment and used there."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="zoorank-extra-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin", "python"))
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        given = f"zoorank[{extra}] @ {Path(wheel).resolve().as_uri()}"
        if not ran(
            [*pip, "-c", str(ROOT / "constraints.txt"), given], extra, "cannot be installed"
        ):
            return False
        if any(Path(folder, "lib").glob("*/site-packages/torchvision")):
            # PyPI's lacks two operators beside the CPU file of torch; timm brings it too.
            ran([python, str(ROOT / "tests/environment/torchvision_operators.py")], extra, "")
        every = list(MODULES) if extra == TOGETHER else [extra]
        modules = ",".join(name for each in every for name in MODULES[each])
        kinds = ",".join(name for each in every for name in KINDS.get(each, ()))
        if not ran([python, "-c", TRIAL, modules, kinds], extra, "cannot be used", folder):
            return False
    print(f"{extra}: installed and imported in {time.monotonic() - begun:.0f} s", flush=True)
    return True


def ran(call: list[str], extra: str, otherwise: str, folder: str | None = None) -> bool:
    """Run a program without a network of models, and say where it fails."""
    environment = {"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", "KERAS_BACKEND": "torch"}
    environment |= {"HOME": str(Path.home()), "XDG_CACHE_HOME": folder} if folder else {}
    done = subprocess.run(
        call,
        env=environment if folder else None,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    if done.returncode:
        last = re.sub(r"\s+", " ", (done.stderr or done.stdout).strip()[-600:])
        print(f"{extra}: {otherwise}: {last}", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
