"""Each package of `plugins/retrain` imports only from the packages below it, and no module imports itself through others."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "plugins" / "retrain"
TESTS = Path(__file__).resolve().parents[1] / "retrain"
PAGE = Path(__file__).resolve().parents[2] / "infra" / "docs" / "code.md"
# From the top down. Packages of one line do not import each other.
LAYERS = (
    {"__main__"},
    {"commands", "dag", "tasks"},
    {"adoption"},
    {"doctor"},
    {"housekeeping"},
    {"alerts.watch"},
    {"alerts.message"},
    {"alerts"},
    {"airflow"},
    {"services"},
    {"results"},
    {"trial"},
    {"tracking"},
    {"judge"},
    {"archive"},
    {"inputs"},
    {"store"},
    {"work"},
    {"run"},
    {"deployment"},
    {"errors"},
)
LONGEST = 300  # lines
MOST_AT_THE_TOP = 6  # modules


def name_of(path: Path) -> str:
    """A module's name below `retrain`; a package's for its `__init__`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


PATHS = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"}


def imported(path: Path) -> set[str]:
    """The modules of ours that a module imports, wherever in it: at its top, in a function, or for its types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in named if name.removeprefix("retrain.") in PATHS}
            found |= modules or {node.module}
    return {name.removeprefix("retrain.") for name in found if name.startswith("retrain.")}


def layer_of(module: str) -> str:
    """The layer that a module belongs to: the one of the longest name that its own begins with."""
    names = [name for layer in LAYERS for name in layer if f"{module}.".startswith(f"{name}.")]
    assert names, f"{module} is in no layer"
    return max(names, key=len)


def test_a_package_imports_only_from_those_below_it() -> None:
    depth = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    upward = [
        f"{module} imports {other}"
        for module, path in PATHS.items()
        for other in imported(path)
        if layer_of(other) != layer_of(module) and depth[layer_of(other)] <= depth[layer_of(module)]
    ]
    assert not upward


def test_no_module_imports_itself_through_others() -> None:
    graph = {module: imported(path) - {module} for module, path in PATHS.items()}
    in_order = set(TopologicalSorter(graph).static_order())  # CycleError names the circle
    assert in_order >= set(PATHS)


def test_every_module_has_a_layer_and_every_layer_a_module() -> None:
    assert {layer_of(module) for module in PATHS} == {name for layer in LAYERS for name in layer}


def test_the_top_has_six_modules_at_most() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_AT_THE_TOP


def test_no_module_is_longer_than_three_hundred_lines() -> None:
    paths = {**PATHS, **{path.name: path for path in (PACKAGE.parents[1] / "dags").glob("*.py")}}
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in paths.items()}
    assert {module: count for module, count in lines.items() if count > LONGEST} == {}


def test_every_module_says_what_it_is() -> None:
    trees = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in PATHS.items()}
    assert [module for module, tree in trees.items() if not ast.get_docstring(tree)] == []


def test_the_tests_mirror_the_packages() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    assert [folder for folder in folders if not (PACKAGE / folder).is_dir()] == []


def rows_of_the_page() -> list[set[str]]:
    """The names in the first column of the page's table, row by row."""
    table = PAGE.read_text(encoding="utf-8").partition("## The packages of `plugins/retrain/`")[2]
    return [set(re.findall(r"`([\w.]+)`", row)) for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)]


def test_the_page_of_the_code_has_the_packages_in_the_order_of_their_layers() -> None:
    assert rows_of_the_page() == [layer for layer in LAYERS if layer != {"__main__"}]


def test_the_packages_of_the_page_are_the_folders_and_modules_of_the_package() -> None:
    at_the_top = {name for row in rows_of_the_page() for name in row if "." not in name}
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert at_the_top == folders | {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
