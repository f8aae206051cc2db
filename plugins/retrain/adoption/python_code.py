"""What a Python file imports, calls and reads, from its syntax tree. No code is run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Import:
    """An imported module. `optional`: within `try`, a function, or for its types alone. `level` counts the dots before it."""

    module: str
    level: int
    optional: bool
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    """A call by its dotted name, such as `mlflow.set_tracking_uri`, with its texts by position and by keyword."""

    name: str
    line: int
    texts: tuple[str, ...]
    keywords: Mapping[str, object]
    at_import: bool


@dataclass(frozen=True)
class Code:
    """One file. `variables` has the environment variables that it reads; True for one without a default value.

    `extends_path`: it changes sys.path itself. `broken` is why it is no Python 3, or empty.
    """

    imports: tuple[Import, ...] = ()
    calls: tuple[Call, ...] = ()
    variables: Mapping[str, bool] | None = None
    texts: tuple[str, ...] = ()
    extends_path: bool = False
    broken: str = ""


@lru_cache(maxsize=4096)
def read(text: str) -> Code:
    """Read the text of a Python file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the warnings are about the other team's code
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Code(broken=f"line {getattr(error, 'lineno', None) or '?'}: {type(error).__name__}")
    aliases = _aliases(tree)
    optional = set(_optional(tree))
    calls = tuple(_calls(tree, aliases))
    return Code(
        tuple(_imports(tree, optional)),
        calls,
        _variables(tree, aliases),
        tuple(node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)),
        any(call.name.startswith("sys.path.") for call in calls) or "sys.path" in _assigned(tree),
    )


def _aliases(tree: ast.Module) -> dict[str, str]:
    """What a name stands for: `np` for numpy, `getenv` for os.getenv."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _dotted(node: ast.expr, aliases: Mapping[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute | ast.Call):
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
        # What a call returns has the call's name: datetime.now().strftime is datetime.now.strftime.
        node = node.value if isinstance(node, ast.Attribute) else node.func
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([aliases.get(node.id, node.id), *reversed(parts)])


def _optional(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        typed = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if isinstance(node, ast.Try | ast.FunctionDef | ast.AsyncFunctionDef) or typed:
            yield from ast.walk(node)


def _imports(tree: ast.Module, optional: set[ast.AST]) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, 0, node in optional)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            yield Import(node.module or "", node.level, node in optional, names)


def _calls(tree: ast.Module, aliases: Mapping[str, str]) -> Iterator[Call]:
    within = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := _dotted(node.func, aliases)):
            keywords = {
                each.arg: each.value.value if isinstance(each.value, ast.Constant) else ast.unparse(each.value)
                for each in node.keywords
                if each.arg
            }
            texts = tuple(_text(each) for each in node.args)
            yield Call(name, node.lineno, texts, keywords, node not in within)


def _text(node: ast.expr) -> str:
    """A text as it is; of an f-string its fixed parts; else empty."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    return ""


def _assigned(tree: ast.Module) -> set[str]:
    targets = [t for node in ast.walk(tree) if isinstance(node, ast.Assign) for t in node.targets]
    targets += [node.target for node in ast.walk(tree) if isinstance(node, ast.AugAssign)]
    return {_dotted(target, {}) for target in targets if isinstance(target, ast.Attribute)}


def _variables(tree: ast.Module, aliases: Mapping[str, str]) -> dict[str, bool]:
    found: dict[str, bool] = {}
    set_here: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and _dotted(node.value, aliases) == "os.environ":
            if name := _text(node.slice):
                if isinstance(node.ctx, ast.Load):
                    found[name] = True
                else:
                    set_here.add(name)
        elif isinstance(node, ast.Call):
            called = _dotted(node.func, aliases)
            name = _text(node.args[0]) if node.args else ""
            if name and called == "os.environ.setdefault":
                set_here.add(name)
            elif name and called in ("os.getenv", "os.environ.get"):
                found.setdefault(name, False)
    return {name: required for name, required in found.items() if name not in set_here}
