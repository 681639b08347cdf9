"""Files of records: CSV, TSV, JSON, Parquet and data sets that `datasets` has saved or loads."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from zoorank.errors import DataError
from zoorank.messages import inert, listing, one_line
from zoorank.targets.columns import KNOWN_NAMES, Records
from zoorank.targets.labelled import SPLIT_NAMES, Labelled, Reading
from zoorank.targets.labels import NUMBER
from zoorank.targets.opening import lines_of, read_text, reading, regular, stem_of, suffix_of
from zoorank.targets.records import labelled

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")

_DELIMITERS = (",", "\t", ";", "|")
_MOST_CHARACTERS = 2**24  # of one field
_MOST_COLUMNS = 100_000


def read_records(path: Path, how: Reading) -> Labelled:
    """Read a file of records and take samples and labels out of its columns."""
    return labelled(records_of(path, how), how)


def records_of(path: Path, how: Reading) -> Records:
    """Read the columns of a file by its suffix."""
    match suffix_of(path):
        case ".parquet":
            return _read_parquet(path)
        case ".json" | ".jsonl" | ".ndjson":
            return _read_json(path)
    return _read_csv(path, how)


def _read_csv(path: Path, how: Reading) -> Records:
    text, notes = read_text(path)
    lines = _lines_of_csv(path, text)
    # A separator at the end of every line makes a column without a name or a value.
    while len(lines[0]) > 1 and not any(line[-1] for line in lines):
        lines = [line[:-1] for line in lines]
    width = len(lines[0])
    if width < 2:
        raise DataError(f"{path}: has one column; samples and labels are needed")
    names = [name.strip() for name in lines[0]]
    if _is_header(lines, how):
        lines = lines[1:]
    elif width == 2 and not NUMBER.fullmatch(names[0]):
        # The labels repeat, the texts hardly ever do.
        first, second = (len({line[k] for line in lines}) for k in (0, 1))
        names = ["label", "text"] if first < second else ["text", "label"]
    else:
        names = [str(k) for k in range(width)]
    if len(set(names)) < width:
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: two columns are called {inert(twice)!r}")
    values = zip(*lines, strict=True) if lines else ((),) * width
    columns = dict(zip(names, values, strict=True))
    return Records(columns, str(path), stem_of(path), path.parent, notes=notes, words=True)


def _lines_of_csv(path: Path, text: str) -> list[list[str]]:
    """Cells of every line, by the separator and quotes that give each line as many."""
    first = text[: text.find("\n")] if "\n" in text else text
    counts = {mark: first.count(mark) for mark in _DELIMITERS}
    if max(counts.values()) > _MOST_COLUMNS:
        raise DataError(f"{path}: its first line has over {_MOST_COLUMNS:,} columns")
    marks = sorted(_DELIMITERS, key=lambda mark: -counts[mark])
    if suffix_of(path) == ".tsv":
        marks = ["\t", *(mark for mark in marks if mark != "\t")]
    failures = []
    tries: list[tuple[str, int]] = [(mark, csv.QUOTE_MINIMAL) for mark in marks if counts[mark]]
    # Files of tabs often quote nothing, since tabs hardly ever occur in texts.
    tries += [(mark, csv.QUOTE_NONE) for mark in marks if counts[mark] and mark == "\t"]
    for mark, quoting in tries:
        try:
            return _split(path, text, mark, quoting)
        except DataError as error:  # noqa: PERF203
            failures.append(error)
    if not text.strip():
        raise DataError(f"{path}: holds no lines")
    raise (
        failures[0]
        if failures
        else DataError(f"{path}: has one column; samples and labels are needed")
    )


def _split(path: Path, text: str, mark: str, quoting: Any) -> list[list[str]]:
    lines = []
    with _long_fields(), reading(path, f"{suffix_of(path)} file"):
        read = csv.reader(StringIO(text, newline=""), delimiter=mark, quoting=quoting, strict=True)
        lines = [line for line in read if len(line) > 1 or "".join(line).strip()]
    for row, line in enumerate(lines):
        if len(line) != len(lines[0]):
            raise DataError(
                f"{path}: record {row} has {len(line)} columns, record 0 has {len(lines[0])}"
            )
    return lines


@contextmanager
def _long_fields() -> Iterator[None]:
    """Let texts be longer than the 131 072 characters that `csv` allows by default."""
    before = csv.field_size_limit(_MOST_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _is_header(lines: Sequence[Sequence[str]], how: Reading) -> bool:
    """Whether the first line names the columns."""
    first, rest = [name.strip() for name in lines[0]], lines[1:]
    small = [name.lower() for name in first]
    if any(name in first for name in (*how.input_columns, how.label_column) if name):
        return True
    if any(name in KNOWN_NAMES for name in small):
        return True
    numbers = any(NUMBER.fullmatch(name) for name in first)
    if not rest or numbers or len(set(first)) < len(first):
        return False
    # Words above numbers are names, and so is what a column of repeating values never repeats.
    for k, name in enumerate(first):
        below = [line[k].strip() for line in rest]
        if name and all(NUMBER.fullmatch(value) for value in below if value):
            return True
        if name not in below and len(set(below)) <= len(below) // 2:
            return True
    return False


def _read_json(path: Path) -> Records:
    text, notes = read_text(path, lines=False)
    found: Any
    with reading(path, f"{suffix_of(path)} file"):
        if suffix_of(path) == ".json":
            found = json.loads(text)
        else:
            found = [_object(line, k) for k, line in enumerate(lines_of(text), 1) if line.strip()]
    if isinstance(found, Mapping):  # one list of records, under whatever name
        lists = [value for value in found.values() if isinstance(value, list)]
        found = lists[0] if len(lists) == 1 else found
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise DataError(f"{path}: is no list of records; a line or an item is one object each")
    names = dict.fromkeys(str(name) for record in found for name in record)
    if len(names) > _MOST_COLUMNS:
        raise DataError(f"{path}: its records have over {_MOST_COLUMNS:,} keys")
    columns = {name: [record.get(name) for record in found] for name in names}
    return Records(columns, str(path), stem_of(path), path.parent, notes=notes)


def _object(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:  # whose own line is always the first
        raise ValueError(f"line {number}, column {error.colno}: {error.msg}") from None


def _read_parquet(path: Path) -> Records:
    try:
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{path}: Parquet needs pyarrow: pip install 'zoorank[parquet]'") from None
    with reading(path, ".parquet file"):
        table = parquet.ParquetFile(regular(path)).read()
        meta = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
        features = meta.get("info", {}).get("features", {})
        columns = {name: _values(table.column(name)) for name in table.column_names}
    classes = {name: names for name, each in features.items() if (names := _class_names(each))}
    return Records(columns, str(path), stem_of(path), path.parent, classes)


def _values(column: Any) -> Any:
    """NumPy's of a column of numbers, a list of all else."""
    from pyarrow import types

    numeric = types.is_integer(column.type) or types.is_floating(column.type)
    return column.to_numpy() if numeric and not column.null_count else column.to_pylist()


def _class_names(feature: Any) -> Sequence[str]:
    if isinstance(feature, Mapping):
        inner = feature.get("feature")
        return feature.get("names") or (_class_names(inner) if inner else ())
    return ()


def is_saved(folder: Path) -> bool:
    """Whether a folder is what `Dataset.save_to_disk` writes."""
    files = ("state.json", "dataset_info.json")
    whole = all((folder / name).is_file() for name in files)
    return whole or (folder / "dataset_dict.json").is_file()


def read_saved(folder: Path, how: Reading) -> Labelled:
    """Read what `Dataset.save_to_disk` or `DatasetDict.save_to_disk` has written."""
    datasets = _datasets(str(folder))
    with reading(folder, "saved data set"):
        _check_files(folder)
        found = datasets.load_from_disk(str(folder))
    return read_dataset(found, how, str(folder), folder.name)


def _check_files(folder: Path) -> None:
    """Refuse a saved data set whose description names files outside its folder."""
    for state in (folder / "state.json", *folder.glob("*/state.json")):
        listed = json.loads(state.read_text("utf-8"))["_data_files"] if state.is_file() else ()
        for name in (str(each["filename"]) for each in listed):
            if Path(name).name != name:
                raise DataError(f"{folder}: names the file {inert(name)!r}, outside its folder")


def read_hub(name: str, how: Reading) -> Labelled:
    """Load a data set by its name on the Hugging Face hub, or in its cache."""
    datasets = _datasets(name)
    with reading(name, "data set"):
        found = datasets.load_dataset(name.partition(":")[2])
    return read_dataset(found, how, name, name.rpartition("/")[2].rpartition(":")[2])


def read_dataset(found: Any, how: Reading, where: str, name: str) -> Labelled:
    """Take samples and labels out of a ``datasets.Dataset`` or a dictionary of them.

    Parameters
    ----------
    found : datasets.Dataset or datasets.DatasetDict
    how : Reading
    where, name : str
    """
    datasets = _datasets(where)
    notes: tuple[str, ...] = ()
    if isinstance(found, datasets.IterableDataset | datasets.IterableDatasetDict):
        raise DataError(
            f"{where}: is a stream, which is read once; load it without streaming, or make a "
            "data set of it with datasets.Dataset.from_list(list(stream))"
        )
    if isinstance(found, Mapping):
        found, part = _part(datasets, found, how, where)
        name, notes = f"{name} ({how.split})", (() if part == how.split else (part,))
    with reading(where, "data set"):
        for column, feature in found.features.items():
            if isinstance(feature, datasets.Image | datasets.Audio):
                raw = type(feature)(decode=False)
                found = found.cast_column(column, raw)
        columns = (
            {column: _values(found.data.column(column)) for column in found.column_names}
            if (
                found._indices is None  # noqa: SLF001 - rows in another order than in the table
            )
            else {column: list(found[column]) for column in found.column_names}
        )
        classes = {
            column: names
            for column, feature in found.features.items()
            if (
                names := getattr(feature, "names", None)
                or getattr(getattr(feature, "feature", None), "names", None)
            )
        }
    return labelled(Records(columns, where, name, None, classes, notes), how)


def _part(datasets: Any, found: Mapping[str, Any], how: Reading, where: str) -> tuple[Any, str]:
    """One part of a dictionary of data sets, or all of them one after the other."""
    if how.split == "all":
        return datasets.concatenate_datasets(list(found.values())), how.split
    small = {name.lower(): name for name in found}
    for name in SPLIT_NAMES[how.split]:
        if name in small:
            note = how.split if name == how.split else f"the part {name!r} is the {how.split} part"
            return found[small[name]], note
    raise DataError(f"{where}: has no part {how.split!r}, but {listing(map(inert, found))}")


def _datasets(where: str) -> Any:
    try:
        import datasets
    except ImportError:
        raise DataError(f"{where}: needs datasets: pip install 'zoorank[datasets]'") from None
    except Exception as error:  # noqa: BLE001 - of whatever it imports in its turn
        raise DataError(f"{where}: datasets cannot be imported: {one_line(error)}") from None
    return datasets
