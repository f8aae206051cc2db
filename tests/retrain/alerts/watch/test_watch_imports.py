"""The modules of the watch import each other in one direction."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

WATCH = Path(__file__).resolve().parents[4] / "plugins" / "retrain" / "alerts" / "watch"
PREFIX = "retrain.alerts.watch"


def name_of(path: Path) -> str:
    parts = path.relative_to(WATCH).with_suffix("").parts
    return ".".join([PREFIX, *(part for part in parts if part != "__init__")])


def imported(path: Path) -> set[str]:
    """The names that a module imports anywhere: at its top, for types only, or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def graph() -> dict[str, set[str]]:
    paths = {name_of(path): path for path in WATCH.rglob("*.py")}
    return {name: imported(path) & paths.keys() - {name, PREFIX} for name, path in paths.items()}


def test_no_module_of_the_watch_imports_itself_through_others() -> None:
    known = graph()
    assert f"{PREFIX}.state" in known[f"{PREFIX}.page.overview"]
    try:
        TopologicalSorter(known).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_only_the_command_line_knows_the_whole_watch() -> None:
    assert {name for name, modules in graph().items() if f"{PREFIX}.watch" in modules} == {f"{PREFIX}.__main__"}
