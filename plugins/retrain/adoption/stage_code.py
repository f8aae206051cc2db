"""The Python files that a stage's command starts, with the files of the repository that they import."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field

from retrain.adoption import python_code, shell
from retrain.adoption.shell import SimpleCommand
from retrain.adoption.snapshot import Snapshot
from retrain.work.dvc.declared import Stage

# Where modules of the repository lie that only an installation of the project makes importable.
_ELSEWHERE = (".", "src", "lib")
_OPTIONS_WITH_VALUE = ("-W", "-X")


@dataclass(frozen=True)
class Started:
    """A Python program that a stage starts. `file` is its path, or empty if it is a module from a package.

    `search` are the folders of the checkout that Python looks for modules in.
    """

    stage: str
    file: str
    module: str
    search: tuple[str, ...]
    command: SimpleCommand


@dataclass(frozen=True)
class OwnCode:
    """The files of the repository that a program needs, and the modules of the repository that Python would not find."""

    files: tuple[str, ...] = ()
    lost: dict[str, str] = field(default_factory=dict)


def started(stage: Stage, snapshot: Snapshot) -> Iterator[Started]:
    """The Python programs of a stage's command, and of the shell scripts that it starts."""
    for text in (*stage.cmd, *(snapshot.texts[script] for script in scripts(stage, snapshot))):
        where = stage.wdir
        for command in shell.commands(text):
            if command.program == "cd" and len(command.words) > 1:
                where = joined(where, command.words[1])
            elif command.is_python:
                yield from _python(stage, command, where, snapshot)


def scripts(stage: Stage, snapshot: Snapshot) -> list[str]:
    """The shell scripts of the repository that a stage's command starts."""
    found = []
    for command in (each for text in stage.cmd for each in shell.commands(text)):
        words = command.words[1:] if command.program in ("bash", "sh", "source", ".") else command.words[:1]
        for word in words:
            path = joined(stage.wdir, word)
            if path in snapshot.texts and path.endswith((".sh", ".bash")):
                found.append(path)
    return list(dict.fromkeys(found))


def _python(stage: Stage, command: SimpleCommand, where: str, snapshot: Snapshot) -> Iterator[Started]:
    extra = tuple(
        joined(where, folder)
        for variable in command.variables
        if variable.startswith("PYTHONPATH=")
        for folder in variable.removeprefix("PYTHONPATH=").split(":")
        if folder and "$" not in folder
    )
    words = list(command.words[1:])
    while words and words[0].startswith("-") and words[0] not in ("-m", "-c", "-"):
        words = words[2:] if words[0] in _OPTIONS_WITH_VALUE else words[1:]
    if not words or words[0] in ("-c", "-"):
        return
    if words[0] == "-m" and len(words) > 1:
        search = (where, *extra)
        yield Started(stage.name, _find(words[1], (*search, *_ELSEWHERE), snapshot) or "", words[1], search, command)
    elif words[0].endswith(".py"):
        file = joined(where, words[0])
        yield Started(stage.name, file, "", (posixpath.dirname(file) or ".", *extra), command)


def own_code(program: Started, snapshot: Snapshot) -> OwnCode:
    """Follow the imports of a program through the repository."""
    lost = dict[str, str]()
    if program.module and program.file and not _find(program.module, program.search, snapshot):
        lost[program.module.partition(".")[0]] = "dvc.yaml"
    if program.file not in snapshot.texts:
        return OwnCode((), lost)
    waiting, seen = [program.file], {program.file: None}
    extends = False
    while waiting:
        file = waiting.pop()
        code = python_code.read(snapshot.texts[file])
        extends = extends or code.extends_path
        for each in code.imports:
            for module in _modules(each):
                found = _relative(file, each, module) if each.level else _find(module, program.search, snapshot)
                if (
                    not each.level
                    and not found
                    and (found := _find(module, _ELSEWHERE, snapshot))
                    and not each.optional
                ):
                    lost.setdefault(module.partition(".")[0], file)
                target = found if found in snapshot.texts else None
                if each.level and found:
                    target = next((c for c in (f"{found}.py", f"{found}/__init__.py") if c in snapshot.texts), None)
                if target and target not in seen:
                    seen[target] = None
                    waiting.append(target)
    return OwnCode(tuple(seen), {} if extends else lost)


def _modules(each: python_code.Import) -> list[str]:
    """The modules that an import may mean: `from a import b` may be a.b."""
    below = [f"{each.module}.{name}".lstrip(".") for name in each.names if name != "*"]
    return [*([each.module] if each.module else []), *below]


def _relative(file: str, each: python_code.Import, module: str) -> str:
    folder = posixpath.dirname(file)
    for _ in range(each.level - 1):
        folder = posixpath.dirname(folder)
    return posixpath.normpath(posixpath.join(folder, *module.split("."))) if module else folder


def _find(module: str, search: tuple[str, ...], snapshot: Snapshot) -> str | None:
    """The file of a module in one of the search folders."""
    for folder in search:
        base = posixpath.normpath(posixpath.join(folder, *module.split(".")))
        for candidate in (f"{base}.py", f"{base}/__main__.py", f"{base}/__init__.py"):
            if candidate in snapshot.texts:
                return candidate
        # A folder without __init__.py is a package too; importing it reads no file.
        if any(path.startswith(f"{base}/") and path.endswith(".py") for path in snapshot.texts):
            return base
    return None


def joined(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path))
