"""Whether the project of a folder can be installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain.work.environments import project_file

BUILD = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
POETRY = '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n[tool.poetry]\nname = "my-code"\n'
PROJECT = '[project]\nname = "x"\nversion = "1"\n'


@pytest.mark.parametrize(
    ("files", "can"),
    [
        pytest.param({"pyproject.toml": PROJECT + BUILD}, True, id="a build system"),
        pytest.param({"pyproject.toml": PROJECT}, False, id="no build system"),
        pytest.param(
            {"pyproject.toml": PROJECT + BUILD + "[tool.uv]\npackage = false\n"}, False, id="uv's package = false"
        ),
        pytest.param({"pyproject.toml": PROJECT + "[tool.uv]\npackage = true\n"}, True, id="uv's package = true"),
        pytest.param({"pyproject.toml": POETRY, "src/my_code/a.py": ""}, True, id="Poetry with code"),
        pytest.param({"pyproject.toml": POETRY, "my_code.py": ""}, True, id="Poetry with a module"),
        pytest.param({"pyproject.toml": POETRY, "src/train.py": ""}, False, id="Poetry without code of its name"),
        pytest.param(
            {"pyproject.toml": POETRY + 'packages = [{include = "core", from = "lib"}]\n', "lib/core/a.py": ""},
            True,
            id="Poetry's packages",
        ),
        pytest.param(
            {"pyproject.toml": POETRY + "package-mode = false\n", "my_code/a.py": ""}, False, id="Poetry's package-mode"
        ),
        pytest.param({"setup.py": "from setuptools import setup\nsetup(name='x')\n"}, True, id="setup.py"),
        pytest.param({"setup.py": "# nothing\n"}, False, id="an empty setup.py"),
        pytest.param({"setup.cfg": "[options]\npackages = find:\n"}, True, id="setup.cfg with packages"),
        pytest.param({"setup.cfg": "[flake8]\nmax-line-length = 100\n"}, False, id="setup.cfg with settings of tools"),
        pytest.param({"pyproject.toml": BUILD + "[tool.ruff]\n"}, False, id="only tools"),
    ],
)
def test_a_project_can_be_installed_if_its_files_say_so(tmp_path: Path, files: dict[str, str], can: bool) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert project_file.is_installable(tmp_path) is can
