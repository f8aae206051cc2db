"""The Python environment of the repository: its files, its Python, and whether its packages can be resolved."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from retrain.adoption import toml_text, uv_workspace
from retrain.adoption.observation import Observation, counted, listed, noted, stops, surprises
from retrain.adoption.snapshot import Snapshot, is_vendored
from retrain.work.environments import fixed_versions, frozen, python_versions, requirements_file
from retrain.work.environments.requirements_file import Kind

TOPIC = "environment"
# Those that a run resolves its packages from, the exact ones first.
OURS = ("uv.lock", "poetry.lock", "Pipfile.lock", "requirements.txt", "pyproject.toml", "setup.py", "setup.cfg")
_OTHERS = {
    "environment.yaml": "a conda environment",
    "environment.yml": "a conda environment",
    "conda.yaml": "a conda environment",
    "conda.yml": "a conda environment",
    "conda-lock.yml": "a conda lock",
    "pixi.toml": "a pixi project",
    "pixi.lock": "pixi's lock",
    "pdm.lock": "PDM's lock",
    "Pipfile": "Pipenv's file",
    "renv.lock": "an R environment",
    "DESCRIPTION": "an R package",
}
_LOCKS = ("uv.lock", "poetry.lock", "Pipfile.lock")
_SUPPLY = "supply a requirements file beside the pipeline's file, such as uv pip freeze prints it, and name it: packages: {lock: <name>.txt}"


@dataclass(frozen=True)
class Chosen:
    """The folder and file that a run resolves its packages from; `folder` is `repository.environment`, which may be the file itself."""

    folder: str
    file: str

    @property
    def path(self) -> str:
        """The path of the file."""
        if self.folder.rpartition("/")[2] == self.file:
            return self.folder
        return self.file if self.folder == "." else f"{self.folder}/{self.file}"


def choose(snapshot: Snapshot, folder: str = ".") -> Chosen | None:
    """The environment's file in `folder`, which is `repository.folder`; else at the top; else in the only folder that has one.

    If there is none, the only file of requirements by another name.
    """
    for place in dict.fromkeys((folder, ".")):
        for name in OURS:
            chosen = Chosen(place, name)
            if chosen.path in snapshot.paths and _names_packages(snapshot, chosen.path):
                return chosen
    folders = dict[str, str]()
    for name in OURS:
        for path in snapshot.named(name):
            if not is_vendored(path) and _names_packages(snapshot, path):
                folders.setdefault(path.rpartition("/")[0], name)
    nearest = sorted(folders, key=lambda folder: (folder.count("/"), folder))
    if len(nearest) == 1:
        return Chosen(nearest[0], folders[nearest[0]])
    named = [] if nearest else _of_another_name(snapshot)
    return Chosen(named[0], named[0].rpartition("/")[2]) if len(named) == 1 else None


def _of_another_name(snapshot: Snapshot) -> list[str]:
    """Files such as requirements-prod.txt and requirements/base.txt."""
    found = (path for path in sorted(snapshot.paths) if not is_vendored(path))
    return [path for path in found if re.search(r"(?:^|/)requirements[^/]*(?:/[^/]+)?\.txt$", path)]


def _names_packages(snapshot: Snapshot, path: str) -> bool:
    """False for files that only have settings of tools, and for a lock of Poetry's without its project."""
    text, name = snapshot.texts.get(path, ""), path.rpartition("/")[2]
    if name == "poetry.lock":
        return _names_packages(snapshot, path.removesuffix(name) + "pyproject.toml")
    if name == "setup.py":
        return re.search(r"\bsetup\s*\(", text) is not None
    if name == "setup.cfg":
        return re.search(r"^(?:install_requires|packages|py_modules)\s*=", text, re.MULTILINE) is not None
    if name != "pyproject.toml":
        return True
    project = toml_text.read(text)
    return "project" in project or toml_text.at(project, "tool", "poetry") is not None


def files(snapshot: Snapshot, chosen: Chosen | None, folder: str = ".") -> Iterator[Observation]:
    """Is there an environment that a run can build, and which files does it leave aside? `folder` is `repository.folder`."""
    others = [path for path in snapshot.named(*_OTHERS, *_LOCKS) if not is_vendored(path)]
    if chosen is None:
        yield _none(snapshot, [path for path in others if path.rpartition("/")[2] in _OTHERS])
        return
    if chosen.folder != folder:
        place = "at the top" if folder == "." else f"in {folder}"
        yield surprises(
            TOPIC, chosen.path, f"is not {place}, where a run looks first.",
            f"repository.environment: {chosen.folder} in the pipeline's file; WRITE=<name> proposes it.",
        )  # fmt: skip
    beside = [
        path
        for path in others
        if path.rpartition("/")[0] in ("", chosen.folder)
        and path.rpartition("/")[2] not in (chosen.file, "DESCRIPTION", chosen.file.removesuffix(".lock"))
    ]
    if beside:
        yield surprises(
            TOPIC,
            listed(_about(path) for path in beside),
            f"is not read: the packages are resolved from {chosen.path}.",
            f"keep its versions in {chosen.path}, or {_SUPPLY}.",
        )
    yield from _unpinned(snapshot, chosen)


def _none(snapshot: Snapshot, others: list[str]) -> Observation:
    several = [path for path in snapshot.named(*OURS) if not is_vendored(path) and _names_packages(snapshot, path)]
    if several := several or _of_another_name(snapshot):
        folder = several[0].rpartition("/")[0] if several[0].rpartition("/")[2] in OURS else several[0]
        return stops(
            TOPIC, listed(several), "are in several places, and a run has one environment, of the folder or file repository.environment (now the top).",
            f"name one in the pipeline's file (repository.environment: {folder}), or {_SUPPLY}.",
        )  # fmt: skip
    named = listed(_about(path) for path in others)
    return stops(
        TOPIC, named or "repository", f"there is none of {', '.join(OURS)}{': only ' + named if named else ''}.",
        f"add a requirements.txt with every package that the stages import, or {_SUPPLY}.",
    )  # fmt: skip


def _about(path: str) -> str:
    name = path.rpartition("/")[2]
    return f"{path} ({_OTHERS.get(name, 'a lock')})"


def _unpinned(snapshot: Snapshot, chosen: Chosen) -> Iterator[Observation]:
    text = snapshot.texts.get(chosen.path, "")
    if chosen.file == "requirements.txt":
        lines = list(requirements_file.lines(text, {}))
        requirements = [line.text for line in lines if line.kind is Kind.REQUIREMENT]
        loose = [line for line in requirements if fixed_versions.names([line]) - fixed_versions.pinned([line])]
        if not requirements and not any(line.name in ("--requirement", "--editable") for line in lines):
            yield surprises(TOPIC, chosen.path, "names no package.", "name every package that the stages import.")
        elif loose:
            yield surprises(
                TOPIC, chosen.path, f"{len(loose)} of {len(requirements)} packages have no exact version ({listed(loose)}): they are resolved as of the day of the "
                "commit, and frozen.", "pin them, or commit a uv.lock; packages.as_of in the pipeline's file sets another day.",
            )  # fmt: skip
    elif chosen.file == "pyproject.toml" and (lock := uv_workspace.lock_of(snapshot, chosen.folder)):
        yield noted(TOPIC, chosen.path, f"is a member of the workspace whose packages {lock} has.")
    elif chosen.file == "pyproject.toml":
        yield surprises(
            TOPIC,
            chosen.path,
            "has no lock beside it: its packages are resolved as of the day of the commit, and frozen.",
            "commit a uv.lock; packages.as_of in the pipeline's file sets another day.",
        )


def wanted_python(snapshot: Snapshot, chosen: Chosen | None) -> Iterator[tuple[str, str]]:
    """The file and the specifier of each statement about Python's version."""
    folder = "" if chosen is None or chosen.folder == "." else f"{chosen.folder}/"
    project = toml_text.read(snapshot.texts.get(f"{folder}pyproject.toml", ""))
    if requires := toml_text.at(project, "project", "requires-python"):
        yield f"{folder}pyproject.toml", str(requires)
    poetry = toml_text.at(project, "tool", "poetry", "dependencies", "python")
    if isinstance(poetry, str):
        yield f"{folder}pyproject.toml", poetry
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


def proposed_python(snapshot: Snapshot, chosen: Chosen | None, available: Collection[str]) -> str | None:
    """The minor version for `packages.python`: the nearest available one that all statements allow, else all binding ones.

    None for the deployment's own.
    """
    said = [(file, wanted) for file, wanted in wanted_python(snapshot, chosen) if python_versions.is_readable(wanted)]
    for each in (said, [(file, wanted) for file, wanted in said if _binds(file)]):
        fitting = [version for version in available if all(python_versions.fits(wanted, version) for _, wanted in each)]
        if fitting:
            best = min(fitting, key=lambda version: abs(_minor(version) - _minor(frozen.RUNNING)))
            return None if best == frozen.RUNNING else best
    return None


def python(
    snapshot: Snapshot, chosen: Chosen | None, available: Collection[str] = (frozen.RUNNING,)
) -> Iterator[Observation]:
    """Does the repository take a Python that this machine has? `available` are its minor versions."""
    proposed = proposed_python(snapshot, chosen, available)
    said: set[str] = set()
    for file, wanted in dict.fromkeys(wanted_python(snapshot, chosen)):
        if wanted in said:
            continue
        said.add(wanted)
        if not python_versions.is_readable(wanted):
            yield surprises(
                TOPIC, file, f"wants Python {wanted!r}, which is no specifier.", "write one such as >=3.10."
            )
        elif python_versions.fits(wanted, frozen.RUNNING) and proposed is None:
            continue
        elif proposed and python_versions.fits(wanted, proposed):
            yield surprises(
                TOPIC, file, f"wants Python {wanted}, and the deployment has {frozen.RUNNING}.",
                f'packages: {{python: "{proposed}"}} in the pipeline\'s file; WRITE=<name> proposes it.',
            )  # fmt: skip
        elif not python_versions.fits(wanted, frozen.RUNNING):
            effect = stops if _binds(file) else surprises
            instead = f" Or {_SUPPLY}: a run with it does not look at this file." if _binds(file) else ""
            yield effect(
                TOPIC, file, f"wants Python {wanted}, and this machine has {', '.join(available)}.",
                f"{python_versions.advice(wanted, frozen.RUNNING)} A worker needs that Python: RETRAIN_PYTHONS names its folder.{instead}",
            )  # fmt: skip


def _binds(file: str) -> bool:
    return file.endswith(("pyproject.toml", "uv.lock"))


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


def resolved(chosen: Chosen, text: str) -> Observation:
    """The packages were resolved."""
    return noted(
        TOPIC,
        chosen.path,
        f"resolves to {counted(len(frozen.requirements(text)), 'package')} for Python {frozen.python_of(text)}, from wheels, without running any of their code.",
    )
