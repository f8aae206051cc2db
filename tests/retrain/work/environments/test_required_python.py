"""A release that excludes the Python of its run is told which version to choose."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain.work.environments import required_python, sources
from retrain.work.environments.definition import EnvironmentDefinition, PackageSettings
from retrain.work.environments.errors import RequiredPythonError
from retrain.work.environments.pythons import Python

PYTHON = Python(Path("/python"), "3.11", "3.11.7")


def require(top: Path, files: dict[str, str], python: str | None = None) -> None:
    for name, content in files.items():
        (top / name).write_text(content)
    definition = EnvironmentDefinition(top, settings=PackageSettings(python=python))
    required_python.require(definition, sources.choose(definition), PYTHON)


def project(wanted: str) -> dict[str, str]:
    return {"pyproject.toml": f'[project]\nname = "x"\nversion = "1"\nrequires-python = "{wanted}"\n'}


@pytest.mark.parametrize(
    ("wanted", "proposed"),
    [
        (">=3.13", "3.13"),
        ("<3.11", "3.10"),
        (">=3.12,<3.14", "3.12"),
        ("!=3.11.*,>=3.10", "3.10"),
    ],
)
def test_the_nearest_version_that_fits_is_proposed(tmp_path: Path, wanted: str, proposed: str) -> None:
    with pytest.raises(
        RequiredPythonError,
        match=rf'wants Python .*, and the run has 3\.11\.7 \(the deployment\'s own\)\. Write packages: {{python: "{proposed}"}}',
    ):
        require(tmp_path, project(wanted))


def test_a_version_that_the_pipeline_s_file_chose_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(RequiredPythonError, match=r"3\.11\.7 \(packages\.python\)"):
        require(tmp_path, project(">=3.12"), python="3.11")


def test_a_release_for_no_version_that_there_is_has_to_change(tmp_path: Path) -> None:
    with pytest.raises(RequiredPythonError, match=r"Of 3\.10, 3\.11, 3\.12, 3\.13 none fits"):
        require(tmp_path, project("<3.9"))


def test_the_lock_and_poetry_s_table_are_read_too(tmp_path: Path) -> None:
    with pytest.raises(RequiredPythonError, match=r"uv\.lock of the release wants Python >=3\.12"):
        require(tmp_path, {**project(">=3.10"), "uv.lock": 'version = 1\nrequires-python = ">=3.12"\n'})
    (tmp_path / "uv.lock").unlink()
    poetry = '[tool.poetry]\nname = "x"\n[tool.poetry.dependencies]\npython = "^3.12"\n'
    with pytest.raises(RequiredPythonError, match=r"pyproject\.toml of the release wants Python \^3\.12"):
        require(tmp_path, {"pyproject.toml": poetry})


def test_a_requirements_file_is_not_bound_by_the_project_beside_it(tmp_path: Path) -> None:
    require(tmp_path, {**project(">=3.12"), "requirements.txt": "six"})
