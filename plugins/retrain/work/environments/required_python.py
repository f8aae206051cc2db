"""Whether a release takes the Python that was chosen for it."""

from __future__ import annotations

import re
from pathlib import Path

from retrain.work.environments import poetry_project, project_file
from retrain.work.environments.definition import EnvironmentDefinition
from retrain.work.environments.errors import RequiredPythonError
from retrain.work.environments.python_versions import advice, allows
from retrain.work.environments.pythons import Python
from retrain.work.environments.sources import Form, Source


def require(definition: EnvironmentDefinition, source: Source, python: Python) -> None:
    """Make sure that the files of a release do not exclude a Python.

    Raises:
        RequiredPythonError: they do; the sentence names the file and the version to choose.
    """
    for file, wanted in stated(source):
        if allows(wanted, python.full):
            continue
        origin = "packages.python" if definition.settings.python else "the deployment's own"
        raise RequiredPythonError(
            f"{file} of the release wants Python {wanted}, and the run has {python.full} ({origin}). {advice(wanted, python.version)}"
        )


def stated(source: Source) -> list[tuple[str, str]]:
    """The file and the constraint of each statement about Python's version that binds the packages of a source."""
    if source.form is Form.REQUIREMENTS or source.form is Form.PIPENV:
        return []
    content = project_file.toml(source.folder / "pyproject.toml")
    found = [
        ("pyproject.toml", project_file.required_python(source.folder)),
        ("pyproject.toml", poetry_project.python_constraint(content)),
    ]
    if source.form is Form.UV:
        found.append(("uv.lock", _of_lock(source.file)))
    return [(file, wanted) for file, wanted in dict.fromkeys(found) if wanted]


def _of_lock(lock: Path) -> str | None:
    found = re.search(r'^requires-python = "([^"]+)"', lock.read_text("utf-8", "replace"), re.MULTILINE)
    return found[1] if found else None
