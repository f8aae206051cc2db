"""Chooses the file from which the packages of a release are resolved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from retrain.work.environments import project_file
from retrain.work.environments.definition import EnvironmentDefinition
from retrain.work.environments.errors import NoPackagesFileError

OTHERS = {
    "environment.yml": "a conda environment", "environment.yaml": "a conda environment", "conda.yml": "a conda environment",
    "conda.yaml": "a conda environment", "conda-lock.yml": "a conda lock", "pixi.lock": "pixi's lock", "pixi.toml": "a pixi project",
    "pdm.lock": "PDM's lock", "Pipfile": "Pipenv's file", "renv.lock": "an R environment",
}  # fmt: skip


class Form(StrEnum):
    """The forms of files, the exact ones first."""

    UV = "uv.lock"
    POETRY = "poetry.lock"
    PIPENV = "Pipfile.lock"
    REQUIREMENTS = "requirements.txt"
    PROJECT = "pyproject.toml"
    SETUP = "setup.py"
    SETUP_CFG = "setup.cfg"


# Files that belong to a lock beside them.
_PARTS = {Form.UV: (Form.PROJECT,), Form.POETRY: (Form.PROJECT,), Form.PIPENV: ("Pipfile",)}


@dataclass(frozen=True)
class Source:
    """The file that was chosen. `folder` is that of the project; `ignored` are other files about packages, which are not read."""

    form: Form
    file: Path
    folder: Path
    ignored: tuple[str, ...] = ()

    @property
    def is_locked(self) -> bool:
        """True for a lock, whose versions are all fixed."""
        return self.form in (Form.UV, Form.POETRY, Form.PIPENV)


def choose(definition: EnvironmentDefinition) -> Source:
    """The file that the packages are resolved from: the lock if there are several.

    Raises:
        NoPackagesFileError: there is none, or several requirements files of equal rank.
    """
    place = definition.place
    if definition.supplied is not None:
        folder = place if place.is_dir() else place.parent if place.is_file() else definition.checkout
        return Source(Form.REQUIREMENTS, definition.supplied.path, folder, tuple(_named(folder)))
    if place.is_file():
        form = next((form for form in Form if form == place.name), Form.REQUIREMENTS)
        return Source(form, place, place.parent)
    there = dict(_there(definition))
    ignored = _named(place)
    for form, file in there.items():
        part = {form, *_PARTS.get(form, ())}
        return Source(form, file, place, tuple(name for name in ignored if name not in part))
    raise _none(definition, ignored)


def _there(definition: EnvironmentDefinition) -> list[tuple[Form, Path]]:
    place = definition.place
    found = [(form, place / form) for form in Form if (place / form).is_file()]
    found = [each for each in found if each[0] not in (Form.PROJECT, Form.POETRY) or project_file.names_packages(place)]
    found = [each for each in found if each[0] not in (Form.SETUP, Form.SETUP_CFG) or project_file.has_setup(place)]
    if place.is_dir() and (lock := _workspace_lock(place, definition.checkout)):
        found.insert(0, (Form.UV, lock))
    if not found and place.is_dir():
        texts = sorted(place.glob("*.txt"))
        if len(texts) == 1:
            found.append((Form.REQUIREMENTS, texts[0]))
    return sorted(found, key=lambda each: list(Form).index(each[0]))


def _workspace_lock(folder: Path, checkout: Path) -> Path | None:
    """The uv.lock of the uv workspace that a folder is a member of, if it has none itself."""
    if (folder / "uv.lock").is_file() or not project_file.toml(folder / "pyproject.toml").get("project"):
        return None
    for above in folder.resolve().parents:
        if not above.is_relative_to(checkout.resolve()):
            return None
        workspace = project_file.at(project_file.toml(above / "pyproject.toml"), "tool", "uv", "workspace")
        if isinstance(workspace, dict) and (above / "uv.lock").is_file():
            members, excluded = (
                {path for pattern in workspace.get(key, ()) for path in above.glob(pattern)}
                for key in ("members", "exclude")
            )
            return above / "uv.lock" if folder.resolve() in {path.resolve() for path in members - excluded} else None
    return None


def _named(folder: Path) -> list[str]:
    """The names of the files in a folder that are about packages."""
    there = [name for name in (*Form, *OTHERS) if (folder / name).is_file()]
    return [name for name in there if name != Form.PROJECT or project_file.names_packages(folder)]


def _none(definition: EnvironmentDefinition, ignored: list[str]) -> NoPackagesFileError:
    place, name = definition.place, definition.name
    supply = "or supply a requirements file beside the pipeline's file: packages: {lock: <name>.txt}"
    if not place.exists():
        return NoPackagesFileError(
            f"The release has no folder {definition.folder}. Correct repository.environment in the pipeline's file, {supply}."
        )
    if others := [f"{other} ({OTHERS[other]})" for other in ignored if other in OTHERS]:
        return NoPackagesFileError(
            f"{name} of the release names its packages only in {', '.join(others)}, which cannot be installed here. Add a requirements.txt "
            f"or uv.lock, {supply}."
        )
    if texts := [path.name for path in sorted(place.glob("*.txt"))]:
        return NoPackagesFileError(
            f"{name} of the release has {', '.join(texts)}, and none of them is requirements.txt. Name one of them in the pipeline's file, "
            f"such as repository: {{environment: {(Path(definition.folder) / texts[0]).as_posix()}}}, {supply}."
        )
    return NoPackagesFileError(
        f"{name} of the release has neither {', '.join(list(Form)[:-1])} nor {list(Form)[-1]}. Add one, correct repository.environment in the "
        f"pipeline's file, {supply}."
    )
