"""Folders of images as people have them: odd files, odd folders, odd images."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from tests.targets.common import PIXELS, refusal, write_images

from zoorank.errors import DataError
from zoorank.targets import load_target
from zoorank.targets.images import decode, decode_and_remark

LARGE = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)


def test_a_folder_a_class(tmp_path: Path) -> None:
    target = load_target(write_images(tmp_path))
    assert (target.modality, target.shape) == ("image", "(height, width, 3)")
    assert target.labels.tolist() == ["cat"] * 3 + ["dog"] * 3
    paths = target.take(np.array([4, 0]))
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["dog/1.png", "cat/0.png"]
    assert target.baseline().shape == (6, 32 * 32 * 3)
    assert target.statistics.maximum <= 255
    assert next(target.samples.blocks()).shape == (1, 16, 20, 3)
    assert target.notes == ()
    with pytest.raises(DataError, match="its samples are no array but image files"):
        _ = target.X


def test_the_fingerprint_is_of_names_and_content(tmp_path: Path) -> None:
    write_images(tmp_path)

    def fingerprint() -> str:
        return load_target(tmp_path).fingerprint

    before = fingerprint()
    assert before == fingerprint()
    (tmp_path / "cat" / "0.png").rename(tmp_path / "cat" / "00.png")
    renamed = fingerprint()
    assert renamed != before
    (tmp_path / "cat" / "00.png").write_bytes((tmp_path / "dog" / "0.png").read_bytes())
    assert fingerprint() not in (before, renamed)


def test_files_are_sent_to_other_processes_as_paths(tmp_path: Path) -> None:
    target = load_target(write_images(tmp_path)).spilled(tmp_path / "nowhere")
    content = pickle.dumps(target)
    assert len(content) < 2000
    sent = pickle.loads(content)
    assert np.array_equal(sent.baseline(), target.baseline())
    assert sent.take(range(2)) == target.take(range(2))


# What is there beside plain files


def test_hidden_and_left_behind_files_are_no_data(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / "cat" / ".ipynb_checkpoints").mkdir()
    shutil.copy(tmp_path / "cat" / "0.png", tmp_path / "cat" / ".ipynb_checkpoints" / "0.png")
    shutil.copy(tmp_path / "cat" / "0.png", tmp_path / "cat" / "._0.png")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "dog" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "__MACOSX" / "cat").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    target = load_target(tmp_path, strict=True)
    assert (len(target), target.classes.tolist(), target.notes) == (6, ["cat", "dog"], ())


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "val"), ("train", "valid")])
def test_parts_of_a_folder(tmp_path: Path, names: tuple[str, str]) -> None:
    train, test = names
    write_images(tmp_path / train)
    write_images(tmp_path / test, count=2)
    (tmp_path / "labels").mkdir()
    for split, n in (("train", 6), ("test", 4), ("all", 10)):
        target = load_target(tmp_path, split=split)
        assert len(target) == n
        assert target.classes.tolist() == ["cat", "dog"]
    assert load_target(tmp_path).notes == (
        f"the part {train!r} is read, {test!r} not",
        "folders beside the parts are not read: labels",
    )


def test_a_part_that_there_is_not(tmp_path: Path) -> None:
    write_images(tmp_path / "train")
    assert "has no part 'test', but 'train'" in refusal(tmp_path, split="test")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    target = load_target(write_images(tmp_path, labels=("bus", "train")))
    assert target.classes.tolist() == ["bus", "train"]


def test_folders_within_a_class_belong_to_it(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / "cat" / "more" / "still").mkdir(parents=True)
    shutil.copy(tmp_path / "cat" / "0.png", tmp_path / "cat" / "more" / "still")
    target = load_target(tmp_path)
    assert target.labels.tolist() == ["cat"] * 4 + ["dog"] * 3


def test_links_are_followed_and_never_in_a_circle(tmp_path: Path) -> None:
    write_images(tmp_path / "data")
    (tmp_path / "data" / "owl").symlink_to(write_images(tmp_path / "elsewhere") / "cat")
    (tmp_path / "data" / "cat" / "again").symlink_to(tmp_path / "data" / "cat")
    (tmp_path / "data" / "dog" / "up").symlink_to(tmp_path / "data" / "dog" / "down")
    (tmp_path / "data" / "dog" / "down").symlink_to(tmp_path / "data" / "dog" / "up")
    target = load_target(tmp_path / "data")
    assert target.labels.tolist() == ["cat"] * 3 + ["dog"] * 3 + ["owl"] * 3
    assert target.notes == (
        "2 files skipped, the first dog/down: Too many levels of symbolic links",
    )


def test_what_is_no_file_is_skipped_and_nothing_waits_for_it(tmp_path: Path) -> None:
    write_images(tmp_path)
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "cat" / "null.jpg").symlink_to("/dev/zero")
    assert load_target(tmp_path).notes == (
        "2 files skipped, the first cat/null.jpg: is a device; files are read",
    )


@pytest.mark.parametrize("keep", [0, 40, 300])
def test_a_broken_image_is_skipped_and_named(tmp_path: Path, keep: int) -> None:
    path = write_images(tmp_path) / "dog" / "1.png"
    path.write_bytes(path.read_bytes()[:keep])
    target = load_target(tmp_path)
    assert target.labels.tolist() == ["cat"] * 3 + ["dog"] * 2
    assert all(name.name != "1.png" for name in target.take(range(3, 5)))
    assert len(target.baseline()) == 5
    (note,) = target.notes
    assert note.startswith("1 file skipped, dog/1.png: not a readable image: ")
    assert str(tmp_path) not in note
    assert f"{tmp_path.name}: dog/1.png: not a readable image" in refusal(tmp_path, strict=True)


def test_a_truncated_photo_is_broken(tmp_path: Path) -> None:
    write_images(tmp_path)
    path = tmp_path / "dog" / "photo.jpg"
    Image.fromarray(LARGE).resize((400, 300)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (note,) = load_target(tmp_path).notes
    assert note.startswith("1 file skipped, dog/photo.jpg: not a readable image: image file is tr")


def test_a_class_of_broken_images_alone_is_said(tmp_path: Path) -> None:
    write_images(tmp_path, labels=("cat", "dog", "owl"))
    for path in (tmp_path / "owl").iterdir():
        path.write_bytes(b"")
    target = load_target(tmp_path)
    assert target.classes.tolist() == ["cat", "dog"]
    assert target.notes[-1] == "no sample is left of the classes owl"
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(b"")
    assert "none of its 9 image files is read, the first cat/0.png: not a readable" in refusal(
        tmp_path
    )


def test_classes_without_images_and_files_of_other_kinds(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "cat" / "caption.txt").write_text("a cat")
    (tmp_path / "cat" / "notes.xml").write_text("<a/>")
    target = load_target(tmp_path)
    assert target.notes == (
        "classes without any image are left out: empty",
        "1 file skipped, cat/caption.txt: no image",
        "1 file skipped, cat/notes.xml: not a readable image: of no format that Pillow reads here",
    )


def test_bad_folders(tmp_path: Path) -> None:
    needs = "needs one sub-folder of images, sounds or texts for each class"
    assert refusal(tmp_path) == f"{tmp_path}: empty; {needs}"
    (tmp_path / "note.md").touch()
    assert refusal(tmp_path) == f"{tmp_path}: no sub-folders; {needs}"
    (tmp_path / "cat").mkdir()
    assert refusal(tmp_path) == f"{tmp_path}: no files that are read; {needs}"
    write_images(tmp_path)
    (tmp_path / "cat" / "meow.wav").touch()
    assert "holds 6 images and 1 sounds; say which modality" in refusal(tmp_path)
    assert len(load_target(tmp_path, modality="image")) == 6


def test_a_name_that_is_no_utf_8(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / "cat" / "1.png").rename(tmp_path / "cat" / os.fsdecode(b"caf\xe9.png"))
    target = load_target(tmp_path)
    assert len(target) == 6
    assert len(target.fingerprint) == 64
    (tmp_path / "cat" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    assert load_target(tmp_path).notes[0].startswith("1 file skipped, cat/caf\\udce9.png: ")


def test_names_are_shown_inert(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / "cat" / "\x1b[2J\n\u202egnp.exe").write_bytes(b"")
    (note,) = load_target(tmp_path).notes
    assert note.startswith("1 file skipped, cat/\\x1b[2J\\n\\u202egnp.exe: not a readable image")


# Images of every kind


def _of(pixels: np.ndarray, **options) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(pixels).save(path, **options)


PAGES = [Image.fromarray(pixels) for pixels in PIXELS[1:3]]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("x.jfif", _of(LARGE)),
        ("x.jpe", _of(LARGE, format="JPEG")),
        ("x.JPG", _of(LARGE, format="JPEG")),
        ("x.webp", _of(LARGE)),
        ("x.avif", _of(LARGE)),
        ("x.tif", _of(LARGE)),
        ("x.jp2", _of(LARGE)),
        ("x.tga", _of(LARGE)),
        ("x.bmp", _of(LARGE)),
        ("x.ppm", _of(LARGE)),
        ("x", _of(LARGE, format="PNG")),
        ("x.png", _of(LARGE, format="JPEG")),
        ("x.dat", _of(LARGE, format="GIF")),
    ],
)
def test_every_format_that_pillow_reads(tmp_path: Path, name: str, write) -> None:
    write_images(tmp_path)
    write(tmp_path / "cat" / name)
    target = load_target(tmp_path, strict=True)
    assert len(target) == 7
    assert decode(tmp_path / "cat" / name).size == (40, 30)


def test_a_format_that_pillow_does_not_read_is_said(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / "cat" / "x.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 100)
    (tmp_path / "cat" / "y.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (note,) = load_target(tmp_path).notes
    assert note == (
        "2 files skipped, the first cat/x.heic: not a readable image: "
        "of no format that Pillow reads here"
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_stands_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(LARGE).save(tmp_path / "x.jpg", exif=exif)
    with Image.open(tmp_path / "x.jpg") as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored))
    upright = decode(tmp_path / "x.jpg")
    assert upright.size == ((40, 30) if orientation < 5 else (30, 40))
    assert np.array_equal(np.asarray(upright), expected)


def test_damaged_exif_data_rotate_nothing(tmp_path: Path) -> None:
    Image.fromarray(LARGE).save(tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert decode(tmp_path / "x.jpg").size == (40, 30)


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[0] = (10, 20, 30, 255)
    Image.fromarray(clear).save(tmp_path / "x.png")
    image, remarks = decode_and_remark(tmp_path / "x.png")
    assert np.asarray(image)[0, 0].tolist() == [10, 20, 30]
    assert np.asarray(image)[1, 0].tolist() == [255, 255, 255]
    assert remarks == ("transparent and laid over white",)
    palette = Image.fromarray(clear[..., :3]).quantize(4)
    palette.save(tmp_path / "p.png", transparency=palette.getpixel((0, 1)))
    image, remarks = decode_and_remark(tmp_path / "p.png")
    assert np.asarray(image)[1, 0].tolist() == [255, 255, 255]
    assert remarks
    opaque = np.dstack([LARGE, np.full((30, 40), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "o.png")
    image, remarks = decode_and_remark(tmp_path / "o.png")
    assert (np.array_equal(np.asarray(image), LARGE), remarks) == (True, ())


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    deep = np.array([[0, 257], [256 * 257 - 257, 65535]], np.uint16)
    for name in ("x.png", "x.tif"):
        Image.fromarray(deep).save(tmp_path / name)
        image, remarks = decode_and_remark(tmp_path / name)
        assert np.asarray(image).tolist() == [[0, 1], [255, 255]]
        assert (image.mode, remarks) == ("L", ("of 16 bits, divided by 257",))


def test_numbers_without_a_range_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match="its pixels are real numbers, whose range is not known"):
        decode(tmp_path / "x.tif")
    Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(tmp_path / "y.tif")
    with pytest.raises(DataError, match="32-bit integers, whose range is not known"):
        decode(tmp_path / "y.tif")


def test_colours_of_print_and_palettes(tmp_path: Path) -> None:
    red = np.full((8, 8, 3), (200, 30, 30), np.uint8)
    Image.fromarray(red).convert("CMYK").save(tmp_path / "c.jpg", quality=100)
    Image.fromarray(red).quantize(2).save(tmp_path / "p.gif")
    for name in ("c.jpg", "p.gif"):
        image = decode(tmp_path / name)
        assert image.mode == "RGB"
        assert np.abs(np.asarray(image).astype(int) - red).max() < 12
    Image.fromarray(red[..., 0]).save(tmp_path / "g.png")
    Image.fromarray(red[..., 0] > 100).save(tmp_path / "b.png")
    assert decode(tmp_path / "g.png").mode == decode(tmp_path / "b.png").mode == "L"


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp", "png"])
def test_of_several_frames_the_first_is_taken_and_said(tmp_path: Path, suffix: str) -> None:
    write_images(tmp_path)
    first = Image.fromarray(PIXELS[0])
    first.save(tmp_path / "cat" / f"x.{suffix}", save_all=True, append_images=PAGES, lossless=True)
    (note,) = load_target(tmp_path).notes
    frames = f"1 image with several frames, of which the first is taken, the first cat/x.{suffix}"
    assert note == frames
    shown = np.asarray(decode(tmp_path / "cat" / f"x.{suffix}")).astype(int)
    assert np.abs(shown - PIXELS[0]).mean() < 30


def test_an_image_that_would_fill_the_memory_is_skipped(tmp_path: Path) -> None:
    write_images(tmp_path)
    Image.new("1", (20_000, 20_000)).save(tmp_path / "cat" / "bomb.png")
    (note,) = load_target(tmp_path).notes
    assert note.startswith("1 file skipped, cat/bomb.png: not a readable image: Image size (400")


def test_a_large_photo_may_be_decoded_at_a_fraction_of_its_size(tmp_path: Path) -> None:
    Image.new("RGB", (640, 480)).save(tmp_path / "photo.jpg")
    assert decode(tmp_path / "photo.jpg").size == (640, 480)
    assert decode(tmp_path / "photo.jpg", least=200).size == (320, 240)
    assert decode(tmp_path / "photo.jpg", least=300).size == (640, 480)


# Tables of images


def test_a_csv_of_paths(tmp_path: Path) -> None:
    write_images(tmp_path)
    lines = ["path,label", *(f"{c}/{i}.png,{c}" for c in ("cat", "dog") for i in range(3))]
    (tmp_path / "list.csv").write_text("\n".join([*lines, "dog/9.png,dog", ""]))
    target = load_target(tmp_path / "list.csv")
    assert (target.modality, target.labels.tolist()) == ("image", ["cat"] * 3 + ["dog"] * 3)
    assert target.notes == (
        "samples: path; labels: label",
        "1 file skipped, dog/9.png: No such file or directory",
    )
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    assert load_target(tmp_path).fingerprint == target.fingerprint
    (tmp_path / "list.csv").write_text("path,label\nno/1.png,a\nno/2.png,b\nno/3.png,a\n")
    assert "no/1.png, does not exist" in refusal(tmp_path / "list.csv", modality="image")


def test_parquet_of_bytes(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    write_images(tmp_path)
    names = [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(3)]
    content = [(tmp_path / name).read_bytes() for name in names]
    content[4] = content[4][:50]
    labels = [0, 0, 0, 1, 1, 1]
    plain = pyarrow.table({"image": content, "label": labels})
    nested = pyarrow.table(
        {"image": [{"bytes": each, "path": None} for each in content], "label": labels}
    )
    targets = []
    for k, table in enumerate((plain, nested)):
        parquet.write_table(table, tmp_path / f"{k}.parquet")
        targets.append(load_target(tmp_path / f"{k}.parquet"))
    assert len({target.fingerprint for target in targets}) == 1
    target = targets[0]
    assert (target.modality, target.labels.tolist()) == ("image", [0, 0, 0, 1, 1])
    assert target.notes[1].startswith("1 file skipped, row 4: not a readable image: ")
    assert target.take(range(1)) == content[:1]
    spilled = pickle.loads(pickle.dumps(target.spilled(tmp_path / "spilled")))
    assert spilled.take(range(5)) == target.take(range(5))
    assert np.array_equal(spilled.baseline(), target.baseline())


def test_a_file_that_changes_later_is_noticed(tmp_path: Path) -> None:
    target = load_target(write_images(tmp_path))
    sent = pickle.loads(pickle.dumps(target))
    assert target.changed() is None
    shutil.copy(tmp_path / "cat" / "0.png", tmp_path / "dog" / "1.png")
    assert target.changed() == sent.changed() == "dog/1.png"
    target = load_target(tmp_path)
    assert target.changed() is None
    (tmp_path / "cat" / "2.png").unlink()
    assert target.changed() == "cat/2.png"


@pytest.mark.parametrize("how", ["written to", "replaced", "a link"])
def test_a_file_that_keeps_its_size_and_time_is_noticed(tmp_path: Path, how: str) -> None:
    folder = write_images(tmp_path / "images")
    target, file = load_target(folder), tmp_path / "images" / "cat" / "1.png"
    status, content = file.stat(), bytearray(file.read_bytes())
    content[-20] ^= 1
    place = file if how == "written to" else tmp_path / "other.png"
    place.write_bytes(content)
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
    if how == "replaced":
        place.replace(file)
    elif how == "a link":
        file.unlink()
        file.symlink_to(place)
    assert target.changed() == "cat/1.png"
