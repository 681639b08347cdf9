"""The command line: arguments in, exit code out, and one line for every mistake.

This file needs nothing but Python and NumPy, so that it can say what is missing.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from zoorank.errors import ZoorankError
from zoorank.messages import missing_package

DEMO_MANIFEST = Path(__file__).with_name("demo.toml")

FAILED = 1
MISUSED = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``zoorank``.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        0; 1 if the work failed; 2 if the usage was wrong; 130 after Ctrl-C.
    """
    # Threads of torch's OpenMP that spin while they wait cost a busy machine ten times what
    # they save a quiet one. Read when torch is loaded; a choice of the user's stands.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # A terminal may lack a letter of a model's name; that must not cost the whole table.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments or os.environ.get("ZOORANK_DEBUG", "0") not in ("", "0")
    try:
        from zoorank.cli.commands import run

        code = run([argument for argument in arguments if argument != "--debug"])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone; Python must not try to flush into the pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except Exception as error:  # noqa: BLE001  the last place where a traceback can be kept back
        if debug:
            traceback.print_exc()
        return _say(*_explain(error))
    return code


def _explain(error: Exception) -> tuple[str, int]:
    """One line and the exit code for an exception."""
    if isinstance(error, ZoorankError):
        return str(error), error.exit_code
    if isinstance(error, ModuleNotFoundError) and (said := missing_package(error)):
        return said, FAILED
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}", FAILED
    if isinstance(error, MemoryError) and str(error):  # the engine's own says what would fit
        return str(error), FAILED
    # What typer raises for wrong usage has a message for users; its classes have moved
    # between versions.
    form = getattr(error, "format_message", None)
    if form is not None:
        return str(form()), getattr(error, "exit_code", MISUSED)
    hint = "run it again with --debug for the traceback"
    return f"internal error, {type(error).__name__}: {error}; {hint}", FAILED


def _say(message: str, code: int) -> int:
    print(f"zoorank: {' '.join(message.split())}", file=sys.stderr)
    return code
