"""Which file of a release its packages are resolved from."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain.work.environments import sources
from retrain.work.environments.definition import EnvironmentDefinition, SuppliedLock
from retrain.work.environments.errors import NoPackagesFileError

PROJECT = '[project]\nname = "x"\nversion = "1"\n'
ALL = {
    "uv.lock": "",
    "poetry.lock": "",
    "Pipfile.lock": "",
    "Pipfile": "",
    "requirements.txt": "",
    "pyproject.toml": PROJECT,
    "setup.py": "setup()",
    "environment.yml": "",
}


def choose(top: Path, files: dict[str, str], folder: str = ".") -> sources.Source:
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content)
    return sources.choose(EnvironmentDefinition(top, folder))


def test_the_lock_is_taken_and_the_other_files_are_named(tmp_path: Path) -> None:
    found = choose(tmp_path, ALL)
    assert found.file == tmp_path / "uv.lock"
    assert set(found.ignored) == set(ALL) - {"uv.lock", "pyproject.toml"}


@pytest.mark.parametrize("at", range(5))
def test_a_more_exact_file_comes_first(tmp_path: Path, at: int) -> None:
    order = ["poetry.lock", "Pipfile.lock", "requirements.txt", "pyproject.toml", "setup.py"]
    # A poetry.lock counts with the pyproject.toml that it belongs to.
    files = {name: ALL[name] for name in order[at:]} | ({"pyproject.toml": PROJECT} if at == 0 else {})
    assert choose(tmp_path, files).file.name == order[at]


def test_a_pyproject_with_settings_of_tools_names_no_packages(tmp_path: Path) -> None:
    files = {"pyproject.toml": "[tool.ruff]\n", "poetry.lock": "", "requirements.txt": "six"}
    assert choose(tmp_path, files).file.name == "requirements.txt"


def test_a_member_of_a_workspace_has_the_lock_at_its_top(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": PROJECT + '[tool.uv.workspace]\nmembers = ["services/*"]\nexclude = ["services/old"]\n',
        "uv.lock": "",
        "services/train/pyproject.toml": PROJECT,
        "services/old/pyproject.toml": PROJECT,
    }
    assert choose(tmp_path, files, "services/train").file == tmp_path / "uv.lock"
    assert choose(tmp_path, files, "services/old").file == tmp_path / "services" / "old" / "pyproject.toml"


def test_a_folder_of_requirements_has_one_file_or_the_pipeline_s_file_names_it(tmp_path: Path) -> None:
    assert choose(tmp_path, {"needs/prod.txt": "six"}, "needs").file.name == "prod.txt"
    with pytest.raises(NoPackagesFileError, match=r"has dev\.txt, prod\.txt, and .*environment: needs/dev\.txt}"):
        choose(tmp_path, {"needs/dev.txt": "six"}, "needs")
    assert choose(tmp_path, {}, "needs/prod.txt").file == tmp_path / "needs" / "prod.txt"


@pytest.mark.parametrize(
    ("files", "folder", "words"),
    [
        ({"environment.yml": ""}, ".", r"only in environment\.yml \(a conda environment\), .*packages: {lock: "),
        (
            {"pixi.lock": "", "pixi.toml": ""},
            ".",
            r"only in pixi\.lock \(pixi's lock\), pixi\.toml .*packages: {lock: ",
        ),
        ({"train.py": ""}, ".", r"has neither uv\.lock, .* nor setup\.cfg\. Add one.*packages: {lock: "),
        ({"train.py": ""}, "envs", r"has no folder envs\. Correct repository\.environment.*packages: {lock: "),
    ],
)
def test_a_release_without_a_known_file_hears_of_the_supplied_lock(
    tmp_path: Path, files: dict[str, str], folder: str, words: str
) -> None:
    with pytest.raises(NoPackagesFileError, match=words):
        choose(tmp_path, files, folder)


def test_a_supplied_lock_replaces_the_files_of_the_release(tmp_path: Path) -> None:
    choose(tmp_path, ALL)
    supplied = SuppliedLock(tmp_path / "elsewhere" / "lock.txt", "0" * 64)
    found = sources.choose(EnvironmentDefinition(tmp_path, supplied=supplied))
    assert (found.form, found.file, set(found.ignored)) == (sources.Form.REQUIREMENTS, supplied.path, set(ALL))
