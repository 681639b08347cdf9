"""The documentation site: `make docs`."""

from __future__ import annotations

import typer.cli
import typer.main

import zoorank
from zoorank.cli.commands import app

project = "zoorank"
author = "the zoorank developers"
copyright = author  # noqa: A001 - Sphinx's name
version = release = zoorank.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown"}
add_module_names = False
autosummary_generate = False
autodoc_typehints = "none"  # the docstrings say more
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"zoorank {release}"
html_show_sphinx = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

# Pages of the repository that the site has too, and where.
PAGES = {"../SECURITY.md": "security.md", "../CONTRIBUTING.md": "contributing.md"}


def commands_text() -> str:
    """Every command with its options, in Markdown."""
    group = typer.main.get_command(app)
    text = typer.cli.get_docs_for_click(
        obj=group, ctx=typer.Context(group, info_name="zoorank"), name="zoorank"
    )
    return text[text.index("## ") :]


def setup(sphinx: object) -> None:
    """Point links to files of the repository at the site's own pages."""

    def source_read(_app: object, name: str, source: list[str]) -> None:
        for file, page in PAGES.items():
            source[0] = source[0].replace(f"]({file}", f"]({page}")
        if name == "commands":
            source[0] += commands_text()

    sphinx.connect("source-read", source_read)  # type: ignore[attr-defined]
