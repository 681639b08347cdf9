"""A ``.pt2`` file read without running anything of it.

`torch.export.load` trusts its file. It unpickles what the file says is pickled and falls back
to unsafe unpickling, evaluates the text of symbolic sizes, compiles guards, looks up whatever
function of torch a node names, writes the names of inputs into Python source that it compiles,
and loads compiled libraries. So a file is read here first. What is let through are weights as
plain bytes, and a graph whose operators, names and sizes are of known and harmless forms. From
these a new archive is written, and that alone is loaded.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from zoorank.errors import SourceError
from zoorank.messages import brief, one_line
from zoorank.sources.files import SourceFile

ALLOW = "if you trust it with any code, say --allow-code with the directory that it lies in"

_SCHEMA = 8  # of torch 2.8 and later; what another one may hold nobody has looked at
_LARGEST_TEXT = 256 * 2**20
_NAME = re.compile(r"[\w.]*", re.ASCII)  # of a value: torch writes it into source
_KEY = re.compile(r"[\w.+@:/-]*", re.ASCII)
_PAYLOAD = re.compile(r"(weight|tensor)_\d+", re.ASCII)
_SYMBOLS = (
    "Symbol Integer Float Add Mul Max Min Mod PythonMod FloorDiv CeilDiv CleanDiv IntTrueDiv "
    "FloatTrueDiv ModularIndexing TruncToInt FloorToInt CeilToInt RoundToInt ToFloat Where Eq Ne "
    "Gt Ge Lt Le And Or Not Equality Unequality StrictGreaterThan GreaterThan StrictLessThan "
    "LessThan true false True False positive integer nonnegative nonzero real"
)
_ONE = r"[a-z]{1,3}\d{1,9}"
_POWER = rf"Pow\((Symbol\('{_ONE}'(, \w{{1,12}}=True){{0,4}}\)|{_ONE}), (Integer\([1-4]\)|[1-4])\)"
_SYMBOLIC = re.compile(
    rf"(?:{_POWER}|(?:{'|'.join(_SYMBOLS.split())})\b|'[a-z]{{1,3}}\d{{1,9}}'|[a-z]{{1,3}}\d{{1,9}}\b"
    # No power of a power without brackets: it would be the exponent that grows.
    r"|\d{1,19}(?:\.\d{1,19})?(?![\d.])|\*\*[1-4]\b(?! *\*\*)|\*(?!\*)|[-+/(),=<> ])*"
)
_MOST_POWERS = 4
# Functions between operators; all else is an operator of ATen or one that holds graphs.
_FUNCTIONS = re.compile(
    r"_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.(ceil|floor|trunc|sqrt)|torch\.sym_(int|float|max|min|not|ite|sum)"
)
_HOLDERS = re.compile(
    r"torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast|cond)"
)
_ATEN = re.compile(r"torch\.ops\.aten\.(?P<name>\w+)\.\w+", re.ASCII)
_READS_FILES = ("from_file",)
# Operators that begin with an underscore often trust their arguments. These are of exports.
_UNDERSCORED = re.compile(
    r"__(and|or|xor)__|_(softmax|log_softmax|to_copy|unsafe_view|native_batch_norm_legit(_no_training)?"
    r"|scaled_dot_product_\w*attention\w*|adaptive_avg_pool[23]d|assert_tensor_metadata"
    r"|assert_scalar|assert_async|conj|convolution|weight_norm|reshape_alias|trilinear|pdist_forward"
    r"|upsample_\w+|fake_quantize_\w+|chunk_cat|cdist_forward|native_multi_head_attention"
    r"|transformer_encoder_layer_fwd|embedding_bag|local_scalar_dense)"
)
_METADATA = ("nn_module_stack",)


def harmless(content: bytes, file: SourceFile) -> bytes:
    """Write what is harmless of an archive into a new one.

    Parameters
    ----------
    content : bytes
    file : SourceFile
        For messages.

    Returns
    -------
    bytes
        An archive that `torch.export.load` may be given.

    Raises
    ------
    SourceError
        For anything that is not of a known and harmless form, with the flag that admits it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _copied(archive, file)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, KeyError, EOFError, RuntimeError) as error:
        raise file.refuse(f"is no .pt2 file: {one_line(error, 120)}") from None
    except (ValueError, RecursionError, TypeError, AttributeError, NotImplementedError):
        raise file.refuse("is no .pt2 file, or a damaged one") from None


def _copied(archive: zipfile.ZipFile, file: SourceFile) -> bytes:
    names = archive.namelist()
    root = names[0].partition("/")[0] if names else ""
    models = [name for name in names if re.fullmatch(r"[^/]+/models/[^/]+\.json", name)]
    if not models:
        if "serialized_exported_program.json" in names:
            _refuse(file, "is of a format before torch 2.8, which is unpickled")
        raise file.refuse("is no .pt2 file: it holds no model")
    if len(models) > 1 or not models[0].startswith(f"{root}/"):
        raise file.refuse(f"holds {len(models)} models; one is taken")
    model = models[0].rpartition("/")[2].removesuffix(".json")
    program = _json(archive, models[0], file)
    kept = {
        "archive_format": b"pt2",
        "archive_version": archive.read(f"{root}/archive_version"),
        "byteorder": b"little",
        ".data/version": b"3\n",
        "models/model.json": json.dumps(_checked_program(program, file)).encode(),
        "data/sample_inputs/model.pt": b"",
    }
    if f"{root}/byteorder" in names and archive.read(f"{root}/byteorder") != b"little":
        raise file.refuse("has its bytes in another order than this machine")
    for folder in ("weights", "constants"):
        config = _json(archive, f"{root}/data/{folder}/{model}_{folder}_config.json", file)
        for path in _payloads(config, file):
            name = f"data/{folder}/{path}"
            kept[name] = archive.read(f"{root}/{name}")
        kept[f"data/{folder}/model_{folder}_config.json"] = json.dumps(config).encode()
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as copy:
        for name, body in kept.items():
            copy.writestr(f"model/{name}", body)
    return written.getvalue()


def _json(archive: zipfile.ZipFile, name: str, file: SourceFile) -> dict[str, Any]:
    if archive.getinfo(name).file_size > _LARGEST_TEXT:
        raise file.refuse(f"{brief(name)} in it is too large to be text")
    content = json.loads(archive.read(name))
    if not isinstance(content, dict):
        raise file.refuse(f"{brief(name)} in it is no JSON object")
    return content


def _payloads(config: Mapping[str, Any], file: SourceFile) -> Iterator[str]:
    """Files of weights, which have to be plain bytes."""
    for name, entry in config["config"].items():
        path = str(entry["path_name"])
        if entry.get("use_pickle") or not _PAYLOAD.fullmatch(path):
            _refuse(file, f"weight {brief(name)} is pickled")
        _check_form(_KEY, name, file)
        _check(entry.get("tensor_meta"), file)
        yield path


def _checked_program(program: dict[str, Any], file: SourceFile) -> dict[str, Any]:
    major = program.get("schema_version", {}).get("major")
    if major != _SCHEMA:
        _refuse(file, f"is of schema {brief(major)}, and only {_SCHEMA} has been looked at")
    # Guards are compiled; what is run here is the graph alone.
    module = program["graph_module"]
    module = {**module, "module_call_graph": _plain_trees(module["module_call_graph"])}
    program = {**program, "graph_module": module, "guards_code": []}
    _check(program, file)
    return program


def _check(value: Any, file: SourceFile) -> None:
    """Look at every text of a program, however deep, by the key that it stands under."""
    left: list[tuple[str, Any]] = [("", value)]
    while left:
        key, each = left.pop()
        if isinstance(each, dict):
            if "metadata" in each and isinstance(each["metadata"], dict):
                kept = {name: each["metadata"].get(name) for name in _METADATA}
                each["metadata"] = {name: text for name, text in kept.items() if text}
            for name, inner in each.items():
                _check_form(_KEY, name, file)
                left.append((name, inner))
        elif isinstance(each, list):
            left += [(key, inner) for inner in each]
        elif isinstance(each, str):
            _check_text(key, each, file)


def _check_text(key: str, text: str, file: SourceFile) -> None:
    if key in ("target", "as_operator"):
        _check_target(text, file)
    elif key == "expr_str":
        is_short = len(text) <= 1000 and text.count("**") <= _MOST_POWERS
        if not is_short or not _SYMBOLIC.fullmatch(text):
            _refuse(file, f"the size {brief(text)} is of no known form")
    elif key.startswith("as_custom_obj") or key == "class_fqn":
        _refuse(file, f"holds an object of class {brief(text)}")
    elif key not in ("nn_module_stack", "as_string", "as_strings", "in_spec", "out_spec"):
        _check_form(_NAME if key == "name" else _KEY, text, file)


def _check_target(target: str, file: SourceFile) -> None:
    match = _ATEN.fullmatch(target)
    if match is not None:
        name = match["name"]
        plain = not name.startswith("_") or _UNDERSCORED.fullmatch(name)
        if plain and name not in _READS_FILES:
            return
    elif _FUNCTIONS.fullmatch(target) or _HOLDERS.fullmatch(target):
        return
    _refuse(file, f"operator {brief(target)} is none that is known to be harmless")


def _plain_trees(calls: Any) -> list[dict[str, Any]]:
    """How inputs and outputs are nested, without the classes that hold them: a graph needs none."""
    (whole,) = (each for each in calls if each["fqn"] == "")
    signature = whole["signature"]
    inputs, outputs = (
        [_LEAF] * _leaves(json.loads(signature[name])[1]) for name in ("in_spec", "out_spec")
    )
    given = [_node("builtins.tuple", "null", inputs), _node("builtins.dict", "[]", [])]
    plain = {
        "in_spec": json.dumps([1, _node("builtins.tuple", "null", given)]),
        "out_spec": json.dumps([1, _node("builtins.tuple", "null", outputs)]),
    }
    return [{"fqn": "", "signature": {**signature, **plain}}]


def _node(kind: str | None, context: str | None, inner: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": kind, "context": context, "children_spec": inner}


_LEAF = _node(None, None, [])


def _leaves(tree: Any) -> int:
    count, left = 0, [tree]
    while left:
        each = left.pop()
        count += each["type"] is None
        left += each["children_spec"]
    return count


def _check_form(form: re.Pattern[str], name: str, file: SourceFile) -> None:
    if not form.fullmatch(name):
        _refuse(file, f"the name {brief(name)} is of no known form")


def _refuse(file: SourceFile, reason: str) -> NoReturn:
    raise SourceError(f"{file.written}: {reason}; {ALLOW}")
