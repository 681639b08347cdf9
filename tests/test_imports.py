"""No file imports another that imports it, be it inside a function, save for types alone."""

from __future__ import annotations

from graphlib import TopologicalSorter

import pytest

grimp = pytest.importorskip("grimp", reason="comes with import-linter: pip install 'zoorank[dev]'")

# What holds `_core`, and what says what is missing of the command: any file below may ask them.
ABOVE_ALL = {"zoorank", "zoorank.cli"}


def test_imports_go_in_no_circle() -> None:
    graph = grimp.build_graph("zoorank", exclude_type_checking_imports=True)
    imported = {
        module: graph.find_modules_directly_imported_by(module) - ABOVE_ALL
        for module in graph.modules
    }
    assert sum(map(len, imported.values())) > 500
    TopologicalSorter(imported).prepare()  # a CycleError names the circle
