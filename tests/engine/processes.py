"""Python apart from the tests' own."""

import os
import subprocess
import sys
import textwrap


def run_python(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
