"""How every reader opens what a path leads to, and says in one line what is wrong with it."""

from __future__ import annotations

import codecs
import gzip
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from zoorank.errors import DataError, ZoorankError
from zoorank.messages import inert, not_loaded

_OF_THE_KERNEL = ("/proc", "/sys")  # regular by their mode; some never end, or wait for ever
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LONGEST_LINE = 2**24  # bytes; a million values and more
_BLOCK = 2**20
# A packed file may hold far more than its size says; beyond both it has to be unpacked first.
_MOST_UNPACKED, _MOST_RATIO = 2**27, 100
_PACKED = ".gz"
Stamp = tuple[int, ...]
_JUNK = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "lost+found"}


@contextmanager
def reading(path: str | Path, what: str) -> Iterator[None]:
    """Turn whatever a library raises over a file into one line.

    Parameters
    ----------
    path : str or Path
        What the line begins with.
    what : str
        What it ought to have been, such as ``".npz file"``.

    Raises
    ------
    DataError

    Examples
    --------
    >>> with reading("photo.npz", ".npz file"):
    ...     raise KeyError("no such member")
    Traceback (most recent call last):
    zoorank.errors.DataError: photo.npz: not a readable .npz file: 'no such member'
    """
    try:
        yield
    except ZoorankError:
        raise
    except MemoryError:
        raise DataError(f"{inert(path)}: does not fit into memory") from None
    except OSError as error:
        reason = error.strerror or not_loaded(error)
        raise DataError(f"{inert(path)}: not a readable {what}: {reason}") from None
    # Readers of damaged files raise whatever their code stumbles over.
    except Exception as error:  # noqa: BLE001
        raise DataError(f"{inert(path)}: not a readable {what}: {not_loaded(error)}") from None


def regular(path: Path) -> Path:
    """Give the path back if it leads to a regular file, which alone can be read to an end.

    Raises
    ------
    DataError
        For a FIFO, a device, a folder, a loop of links, a file of the kernel or nothing.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise DataError(f"{inert(path)}: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), "no regular file")
        raise DataError(f"{inert(path)}: is {kind}; files are read")
    if any(path.resolve().is_relative_to(each) for each in _OF_THE_KERNEL):
        raise DataError(f"{inert(path)}: is made by the kernel while it is read; files are read")
    return path


def no_pipe(path: Path) -> Path:
    """Give the path back unless it leads to something that is no regular file.

    Raises
    ------
    DataError
        For a FIFO, a device or a folder.
    """
    return regular(path) if exists(path) else path


def read_bytes(path: Path) -> bytes:
    """Read a regular file as a whole."""
    with reading(path, "file"):
        return regular(path).read_bytes()


def suffix_of(path: Path) -> str:
    """What kind of file a path names, in small letters, packed or not.

    Examples
    --------
    >>> suffix_of(Path("reviews.CSV")), suffix_of(Path("reviews.csv.gz"))
    ('.csv', '.csv')
    """
    return Path(_unpacked(path)).suffix.lower()


def stem_of(path: Path) -> str:
    """The name of a file without its suffix, packed or not."""
    return Path(_unpacked(path)).stem


def lines_of(text: str) -> list[str]:
    r"""Lines as files have them; the line ends of Unicode are part of a text.

    Examples
    --------
    >>> lines_of("one\r\ntwo\u2028and a half\n")
    ['one', 'two\u2028and a half']
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def read_text(path: Path, *, lines: bool = True) -> tuple[str, tuple[str, ...]]:
    """Read a text file, packed by gzip or not, in whatever encoding it says or has.

    Parameters
    ----------
    path : Path
    lines : bool
        Whether it is made of lines, of which one longer than 16 MB is refused.

    Returns
    -------
    text : str
        Without a byte-order mark; lines as they end in the file.
    notes : tuple of str
        That the file is not UTF-8, where it is not.

    Raises
    ------
    DataError
        For what is no text.
    """
    with reading(path, "file"), _opened(path) as stream:
        blocks = _within(path, iter(lambda: stream.read(_BLOCK), b""))
        content = b"".join(_checked(path, blocks) if lines else blocks)
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            with reading(path, "text file"):
                return content.decode(encoding), ()
    if (place := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, place) + 1
        raise DataError(f"{inert(path)}: not a text file: line {line} holds a byte that is 0")
    try:
        return content.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        note = f"{inert(path.name)} is not UTF-8 (line {line}) and was read as Windows-1252"
        return content.decode("cp1252", errors="replace"), (note,)


def read_start(path: Path) -> str:
    """The first lines of a text file, for a look at what they hold.

    A line that does not end within a megabyte is cut.
    """
    with reading(path, "file"), _opened(path) as stream:
        content = stream.read(_BLOCK)
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
    return content.decode(encoding, errors="replace")


def _unpacked(path: Path) -> str:
    return path.name[: -len(_PACKED)] if path.suffix.lower() == _PACKED else path.name


def _opened(path: Path) -> IO[bytes]:
    if path.suffix.lower() == _PACKED:
        return cast("IO[bytes]", gzip.open(regular(path)))
    return regular(path).open("rb")


def _within(path: Path, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of a file that does not unpack to far more than it seems to be."""
    packed, size = path.suffix.lower() == _PACKED, 0
    for piece in pieces:
        size += len(piece)
        if packed and size > max(_MOST_UNPACKED, _MOST_RATIO * path.stat().st_size):
            raise DataError(f"{inert(path)}: unpacks to more than {size:,} bytes; unpack it first")
        yield piece


def _checked(path: Path, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Blocks of a file without a line that is too long."""
    number, begun = 1, 0  # bytes of the last line so far
    for block in blocks:
        first = block.find(b"\n")
        if begun + (len(block) if first < 0 else first) > _LONGEST_LINE:
            raise DataError(f"{inert(path)}: line {number} is longer than {_LONGEST_LINE:,} bytes")
        number += block.count(b"\n")
        begun = begun + len(block) if first < 0 else len(block) - 1 - block.rfind(b"\n")
        yield block


def stamp_of(path: Path) -> Stamp:
    """Which file it is, its size and when it was last changed; empty where it is gone.

    The time of the last writing can be set, and is where a copy keeps it; that of the last
    change of anything cannot.
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def exists(path: Path) -> bool:
    """Whether there is something at a path; no name is too strange to ask."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def walk(folder: Path) -> Iterator[Path]:
    """Every visible file below a folder, by name; links are followed, but to no folder twice.

    Hidden files and what file managers leave behind are no one's data.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        if not path.is_dir():
            yield path
            continue
        with reading(path, "folder"):
            place = path.stat()
            inside = sorted(path.iterdir(), key=os.fsencode, reverse=True)
        if (place.st_dev, place.st_ino) not in seen:
            seen.add((place.st_dev, place.st_ino))
            waiting += [each for each in inside if not is_hidden(each.name)]


def is_hidden(name: str) -> bool:
    """Whether a name is that of a hidden file, or of one that file managers leave behind."""
    return name.startswith(".") or name.lower() in _JUNK
