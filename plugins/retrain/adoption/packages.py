"""The Python environment of the repository: its files, its Python, and whether its packages can be resolved."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from retrain.adoption.observation import Observation, counted, listed, noted, stops, surprises
from retrain.adoption.snapshot import Snapshot, is_vendored
from retrain.work.environments import frozen

TOPIC = "environment"
OURS = ("uv.lock", "requirements.txt", "pyproject.toml")
_OTHERS = {
    "poetry.lock": "Poetry's lock",
    "Pipfile.lock": "Pipenv's lock",
    "Pipfile": "Pipenv's file",
    "environment.yaml": "a conda environment",
    "environment.yml": "a conda environment",
    "conda.yaml": "a conda environment",
    "conda.yml": "a conda environment",
    "pixi.toml": "a pixi project",
    "pixi.lock": "pixi's lock",
    "pdm.lock": "PDM's lock",
    "setup.py": "a setup.py",
    "setup.cfg": "a setup.cfg",
    "renv.lock": "an R environment",
    "DESCRIPTION": "an R package",
}


@dataclass(frozen=True)
class Chosen:
    """The folder and file that a run resolves its packages from; `folder` is `repository.environment`."""

    folder: str
    file: str

    @property
    def path(self) -> str:
        """The path of the file."""
        return self.file if self.folder == "." else f"{self.folder}/{self.file}"


def choose(snapshot: Snapshot) -> Chosen | None:
    """The environment's file at the top, else the only folder below that has one."""
    for name in OURS:
        if name in snapshot.paths and _names_packages(snapshot, name):
            return Chosen(".", name)
    folders = dict[str, str]()
    for name in OURS:
        for path in snapshot.named(name):
            if not is_vendored(path) and _names_packages(snapshot, path):
                folders.setdefault(path.rpartition("/")[0], name)
    nearest = sorted(folders, key=lambda folder: (folder.count("/"), folder))
    return Chosen(nearest[0], folders[nearest[0]]) if len(nearest) == 1 else None


def _names_packages(snapshot: Snapshot, path: str) -> bool:
    """False for a pyproject.toml that only has settings of tools."""
    if not path.endswith("pyproject.toml"):
        return True
    project = _toml(snapshot.texts.get(path, ""))
    return "project" in project or "build-system" in project or _at(project, "tool", "poetry") is not None


def files(snapshot: Snapshot, chosen: Chosen | None) -> Iterator[Observation]:
    """Is there an environment that a run can build, and which files does it leave aside?"""
    others = [path for path in snapshot.named(*_OTHERS) if not is_vendored(path)]
    named = listed(f"{path} ({_OTHERS[path.rpartition('/')[2]]})" for path in others)
    if chosen is None:
        several = [path for path in snapshot.named(*OURS) if not is_vendored(path) and _names_packages(snapshot, path)]
        if several:
            yield stops(
                TOPIC, listed(several), "are in several folders, and a run has one environment, in the folder repository.environment (now the top).",
                f"name one in the pipeline's file (repository.environment: {several[0].rpartition('/')[0]}), or write one requirements.txt for all stages.",
            )  # fmt: skip
        else:
            yield stops(
                TOPIC, named or "repository", f"there is no uv.lock, requirements.txt or pyproject.toml{': only ' + named if named else ''}.",
                "add a requirements.txt with every package that the stages import, such as uv pip freeze prints it.",
            )  # fmt: skip
        return
    if chosen.folder != ".":
        yield surprises(
            TOPIC, chosen.path, "is not at the top, where a run looks first.",
            f"repository.environment: {chosen.folder} in the pipeline's file; WRITE=<name> proposes it.",
        )  # fmt: skip
    beside = [
        path
        for path in others
        if path.rpartition("/")[0] in ("", chosen.folder) and not path.endswith((".py", ".cfg", "DESCRIPTION"))
    ]
    if beside:
        yield surprises(
            TOPIC,
            listed(f"{path} ({_OTHERS[path.rpartition('/')[2]]})" for path in beside),
            f"is not read: the packages are resolved from {chosen.path}.",
            f"keep its versions in {chosen.path}.",
        )
    yield from _unpinned(snapshot, chosen)


def _unpinned(snapshot: Snapshot, chosen: Chosen) -> Iterator[Observation]:
    text = snapshot.texts.get(chosen.path, "")
    if chosen.file == "requirements.txt":
        lines = [line for _, line in frozen.lines_of(text) if not line.startswith("-")]
        loose = [line for line in lines if "==" not in line and "@" not in line]
        if not lines:
            yield surprises(TOPIC, chosen.path, "names no package.", "name every package that the stages import.")
        elif loose:
            yield surprises(
                TOPIC, chosen.path, f"{len(loose)} of {len(lines)} packages have no exact version ({listed(loose)}): they are resolved once, as of the "
                "first run, and frozen with it.", "pin them, or commit a uv.lock.",
            )  # fmt: skip
    elif chosen.file == "pyproject.toml":
        yield surprises(
            TOPIC,
            chosen.path,
            "has no lock beside it: its packages are resolved once, as of the first run, and frozen with it.",
            "commit a uv.lock.",
        )


def wanted_python(snapshot: Snapshot, chosen: Chosen | None) -> Iterator[tuple[str, str]]:
    """The file and the specifier of each statement about Python's version."""
    folder = "" if chosen is None or chosen.folder == "." else f"{chosen.folder}/"
    project = _toml(snapshot.texts.get(f"{folder}pyproject.toml", ""))
    if requires := _at(project, "project", "requires-python"):
        yield f"{folder}pyproject.toml", str(requires)
    poetry = _at(project, "tool", "poetry", "dependencies", "python")
    if isinstance(poetry, str):
        yield f"{folder}pyproject.toml", _caret(poetry)
    lock = re.search(r'^requires-python = "([^"]+)"', snapshot.texts.get(f"{folder}uv.lock", ""), re.MULTILINE)
    if lock:
        yield f"{folder}uv.lock", lock[1]
    for name in (".python-version", f"{folder}.python-version"):
        if version := re.match(r"\s*(\d+\.\d+)", snapshot.texts.get(name, "")):
            yield name, f"~={version[1]}.0"
    for name in ("environment.yaml", "environment.yml", "conda.yaml"):
        if version := re.search(r"^\s*-\s*python\s*==?\s*(\d+\.\d+)", snapshot.texts.get(name, ""), re.MULTILINE):
            yield name, f"~={version[1]}.0"
    if version := re.search(
        r'^python_(?:full_)?version\s*=\s*"(\d+\.\d+)', snapshot.texts.get("Pipfile", ""), re.MULTILINE
    ):
        yield "Pipfile", f"~={version[1]}.0"


def python(snapshot: Snapshot, chosen: Chosen | None) -> Iterator[Observation]:
    """Does the repository take the Python of a run?"""
    said: set[str] = set()
    for file, wanted in dict.fromkeys(wanted_python(snapshot, chosen)):
        if wanted in said:
            continue
        said.add(wanted)
        try:
            fits = SpecifierSet(wanted).contains(f"{frozen.RUNNING}.{sys.version_info.micro}")
        except InvalidSpecifier:
            yield surprises(
                TOPIC, file, f"wants Python {wanted!r}, which is no specifier.", "write one such as >=3.10."
            )
            continue
        binding = file.endswith(("pyproject.toml", "uv.lock"))
        if not fits:
            effect = stops if binding else surprises
            yield effect(
                TOPIC, file, f"wants Python {wanted}, and a run has {frozen.RUNNING}.",
                f"allow {frozen.RUNNING}, after trying it; a Python of its own for a pipeline is not supported yet.",
            )  # fmt: skip


def resolved(chosen: Chosen, text: str) -> Observation:
    """The packages were resolved."""
    return noted(
        TOPIC,
        chosen.path,
        f"resolves to {counted(len(frozen.requirements(text)), 'package')} for Python {frozen.RUNNING}, from wheels, without running any of their code.",
    )


def _caret(poetry: str) -> str:
    """A specifier of Poetry's as packaging reads it."""
    parts = []
    for part in poetry.split(","):
        bare = part.strip()
        version = re.fullmatch(r"([\^~])?(\d+)(?:\.(\d+))?.*", bare)
        if version and version[1] == "^":
            parts.append(f">={bare[1:]},<{int(version[2]) + 1}")
        elif version and version[1] == "~" and not bare.startswith("~="):
            parts.append(f">={bare[1:]},<{version[2]}.{int(version[3] or 0) + 1}")
        elif version:
            parts.append("" if bare == "*" else f"~={version[2]}.{version[3] or 0}.0")
        else:
            parts.append("" if bare == "*" else bare)
    return ",".join(part for part in parts if part)


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _at(table: Any, *keys: str) -> Any:
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table
