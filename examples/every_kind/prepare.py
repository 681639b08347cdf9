"""Write what the two rankings of this folder need and no package carries.

    python examples/every_kind/prepare.py DIR [--fortunes DIR]

Into the first folder come two small networks with random weights, as timm and transformers save
them, and the sayings of Debian's package ``fortunes`` as ``fortunes.csv``: a text and its subject.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

SUBJECTS = ("food", "law", "love", "medicine", "pets", "science", "sports", "politics")


def main(arguments: list[str]) -> int:
    """Write all of it, or say what is missing."""
    options = _parse(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    write_timm(options.folder / "timm")
    write_transformer(options.folder / "vit")
    if not options.fortunes.is_dir():
        print(f"no {options.fortunes}: install the package fortunes or say --fortunes")
        return 1
    count = write_texts(options.folder / "fortunes.csv", options.fortunes)
    print(f"wrote two networks and {count} texts to {options.folder}")
    return 0


def write_timm(folder: Path) -> None:
    """A residual network of timm's own tests, with random weights."""
    import timm
    import torch
    from timm.models import save_for_hf

    torch.manual_seed(0)
    save_for_hf(timm.create_model("test_resnet"), folder, safe_serialization=True)


def write_transformer(folder: Path) -> None:
    """A small vision transformer and its image processor, with random weights."""
    import torch
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4}
    config = ViTConfig(**sizes, intermediate_size=128, image_size=64, patch_size=8)
    ViTModel(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)


def write_texts(file: Path, fortunes: Path) -> int:
    """The first hundred sayings of every subject that have 20 to 1000 characters."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "label"))
        count = 0
        for subject in SUBJECTS:
            sayings = (fortunes / subject).read_text("utf-8").split("\n%\n")
            texts = [saying.removesuffix("%").strip() for saying in sayings]
            kept = [text for text in texts if 20 <= len(text) <= 1000][:100]
            writer.writerows((text, subject) for text in kept)
            count += len(kept)
    return count


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to write")
    usual = Path("/usr/share/games/fortunes")
    parser.add_argument("--fortunes", type=Path, metavar="DIR", default=usual, help=f"({usual})")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
