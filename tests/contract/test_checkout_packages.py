"""Packages whose code is in the repository, with the real uv: they are listed for the run, and no shared environment points at them."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from package_index import Index, package_index, write_wheel

from retrain.errors import EnvironmentDefinitionError
from retrain.work.environments import environment, local_project, resolution, uv
from retrain.work.environments.definition import EnvironmentDefinition, PackageSettings, SuppliedLock
from retrain.work.environments.environment import Environment
from retrain.work.environments.errors import LocalPathError
from retrain.work.environments.local_project import LocalProject

# A build backend that needs no package: uv asks it for what the metadata of a project does not say itself.
BACKEND = """
import pathlib
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    pathlib.Path("left_by_the_build").touch()
    info = pathlib.Path(folder) / "built-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: built\\nVersion: 1\\nRequires-Dist: demo\\n")
    (info / "WHEEL").write_text("Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    return info.name
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
"""
BUILD = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
BUILT = '[project]\nname = "built"\nversion = "1"\ndynamic = ["dependencies"]\n' + BUILD


def library(name: str, *needs: str, more: str = "") -> str:
    """A pyproject.toml of a project that can be installed, whose dependencies uv reads without a build."""
    return f'[project]\nname = "{name}"\nversion = "1"\ndependencies = {list(needs)!r}\n{more}{BUILD}'


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The machine's own package index, with demo and other."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with package_index(tmp_path / "index") as own:
        own.add("demo", "1.0")
        own.add("other", "2.0")
        monkeypatch.setenv("UV_DEFAULT_INDEX", own.url)
        yield own


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def lock(folder: Path) -> None:
    settings = {**os.environ, "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    subprocess.run([uv.program(), "lock", "--quiet"], cwd=folder, env=settings, check=True, timeout=60)


def resolve(top: Path, environments: Path, folder: str = ".", **settings: tuple[str, ...]) -> str:
    return resolution.resolve(EnvironmentDefinition(top, folder, PackageSettings(**settings)), environments)


def paths(text: str) -> list[str]:
    return [each.path for each in local_project.listed_in(text) if each.required]


def names(text: str) -> list[str]:
    return [line for line in text.splitlines() if line[0] not in " #-"]


def names_only(text: str) -> list[str]:
    return [name.partition("==")[0] for name in names(text)]


MEMBER = library(
    "train",
    "common",
    "ext",
    more='[project.optional-dependencies]\nplot = ["other"]\n[tool.uv.sources]\ncommon = { workspace = true }\next = { path = "../../ext", editable = true }\n',
)
WORKSPACE = {
    "pyproject.toml": '[project]\nname = "top"\nversion = "1"\nrequires-python = ">=3.10"\n[tool.uv.workspace]\nmembers = ["services/*", "libs/*"]\n',
    "services/train/pyproject.toml": MEMBER,
    "libs/common/pyproject.toml": library("common", "demo"),
    "ext/pyproject.toml": library("ext"),
}


@pytest.mark.parametrize("locked", [True, False], ids=["uv.lock", "no lock"])
def test_a_member_of_a_uv_workspace_brings_the_packages_of_the_checkout_that_it_needs(
    tmp_path: Path,
    locked: bool,
) -> None:
    top = write(tmp_path / "release", WORKSPACE)
    if locked:
        lock(top)
    text = resolve(top, tmp_path / "environments", "services/train")
    assert paths(text) == ["ext", "libs/common", "services/train"]
    assert names_only(text) == ["demo"]
    more = resolve(top, tmp_path / "environments", "services/train", extras=("plot",))
    assert names_only(more) == ["demo", "other"]


@pytest.mark.parametrize(
    ("files", "folder", "found"),
    [
        pytest.param({"requirements.txt": "-e .\n"}, ".", ["."], id="-e ."),
        pytest.param({"requirements.txt": "-e .[plot]\n"}, ".", ["."], id="-e with an extra"),
        pytest.param({"requirements.txt": "libs/common[plot]\n"}, ".", ["libs/common"], id="a folder with an extra"),
        pytest.param({"requirements.txt": "-e file:libs/common\n"}, ".", ["libs/common"], id="file:"),
        pytest.param({"needs/base.txt": "-e .\n"}, "needs", ["."], id="-e . in a folder of requirements"),
        pytest.param({"ml/requirements.txt": "../libs/common\n"}, "ml", ["libs/common"], id="above the folder"),
        pytest.param({}, ".", ["."], id="pyproject.toml"),
    ],
)
def test_a_package_of_the_checkout_is_listed_and_its_dependencies_are_frozen(
    tmp_path: Path,
    files: dict[str, str],
    folder: str,
    found: list[str],
) -> None:
    plot = '[project.optional-dependencies]\nplot = ["other"]\n'
    projects = {
        "pyproject.toml": library("own", "demo", more=plot),
        "libs/common/pyproject.toml": library("common", "demo", more=plot),
    }
    text = resolve(write(tmp_path / "release", {**projects, **files}), tmp_path / "environments", folder)
    assert paths(text) == found
    assert names_only(text) == ["demo", *(["other"] if "[plot]" in str(files) else [])]
    assert str(tmp_path) not in text


def test_a_project_that_no_line_asks_for_is_listed_as_one_that_need_not_be_built(tmp_path: Path) -> None:
    files = {"requirements.txt": "demo\n", "setup.py": "from setuptools import setup\nsetup(name='own')\n"}
    text = resolve(write(tmp_path / "release", files), tmp_path / "environments")
    assert local_project.listed_in(text) == (LocalProject(".", required=False),)
    assert names(text) == ["demo==1.0 \\"]


def test_wheels_of_the_repository_are_listed_and_those_of_the_index_frozen(tmp_path: Path) -> None:
    top = write(
        tmp_path / "release", {"ml/requirements.txt": "--find-links ../wheels/\nmine\nother\n", "wheels/README": ""}
    )
    for tag in ("py3-none-any", "cp399-cp399-any"):
        write_wheel(top / "wheels" / f"mine-1.0-{tag}.whl", "mine", "1.0", ("demo",))
    text = resolve(top, tmp_path / "environments", "ml")
    assert paths(text) == ["wheels/mine-1.0-py3-none-any.whl"]
    assert names(text) == ["demo==1.0 \\", "other==2.0 \\"]
    assert "find-links" not in text


def test_the_metadata_of_a_project_is_built_beside_no_code_of_the_release(tmp_path: Path) -> None:
    top = write(tmp_path / "release", {"requirements.txt": "-e .\n", "pyproject.toml": BUILT, "backend.py": BACKEND})
    assert names(resolve(top, tmp_path / "environments")) == ["demo==1.0 \\"]
    assert sorted(path.name for path in top.iterdir()) == ["backend.py", "pyproject.toml", "requirements.txt"]


def points_at(built: Environment) -> list[str]:
    """The places outside an environment that its .pth files and records name."""
    files = [*built.path.rglob("*.pth"), *built.path.rglob("direct_url.json"), *built.path.rglob("__editable__*")]
    return [line for file in files for line in file.read_text().splitlines() if "/" in line]


@pytest.mark.parametrize("form", ["uv.lock", "requirements.txt"])
def test_the_environment_of_the_first_day_serves_the_second_when_the_first_workspace_is_gone(
    tmp_path: Path,
    form: str,
) -> None:
    files = {
        "pyproject.toml": library(
            "own", "common", more='[tool.uv.sources]\ncommon = { path = "libs/common", editable = true }\n'
        ),
        "libs/common/pyproject.toml": library("common", "demo"),
    }
    release = write(
        tmp_path / "release",
        {**files, **({"requirements.txt": "-e ./libs/common\n"} if form == "requirements.txt" else {})},
    )
    if form == "uv.lock":
        lock(release)
    days = [Path(shutil.copytree(release, tmp_path / day / "checkout")) for day in ("first", "second")]
    first = environment.of_definition(EnvironmentDefinition(days[0]), tmp_path / "environments")
    shutil.rmtree(tmp_path / "first")
    second = environment.of_definition(EnvironmentDefinition(days[1]), tmp_path / "environments")
    assert first == second
    assert "libs/common" in {each.path for each in second.local}
    assert points_at(second) == []
    done = subprocess.run(
        [second.python, "-c", "import demo; print(demo.VERSION)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "1.0\n"


@pytest.mark.parametrize("kind", ["uv.lock", "requirements.txt", "a link"])
def test_a_package_outside_the_repository_is_refused_by_file_and_name(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "neighbour", {"pyproject.toml": library("neighbour")})
    release = tmp_path / "release"
    if kind == "uv.lock":
        source = '[tool.uv.sources]\nneighbour = { path = "../neighbour" }\n'
        write(
            release,
            {
                "pyproject.toml": library("own", "neighbour", more=source).replace(
                    '1"', '1"\nrequires-python = ">=3.10"', 1
                )
            },
        )
        lock(release)
    elif kind == "requirements.txt":
        write(release, {kind: "demo\n-e ../neighbour\n"})
    else:
        write(release, {"requirements.txt": "demo\n./lib\n"})
        (release / "lib").symlink_to("../neighbour")
    place = r"pyproject\.toml" if kind == "uv.lock" else r"requirements\.txt:2"
    with pytest.raises(
        LocalPathError, match=rf"{place}: '.*' leads out of the repository, to .*/neighbour\. .*packages: {{lock"
    ):
        resolve(release, tmp_path / "environments")


def test_a_supplied_lock_is_used_instead_of_the_repository_s_files(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = write(tmp_path / "release", {"environment.yml": "name: x\n", "setup.py": "setup()\n"})
    supplied = write(tmp_path / "pipelines", {"own.txt": "-e .\nother\n"}) / "own.txt"
    sha256 = hashlib.sha256(supplied.read_bytes()).hexdigest()
    definition = EnvironmentDefinition(
        release, settings=PackageSettings(lock=sha256), supplied=SuppliedLock(supplied, sha256)
    )
    (release / "setup.py").write_text("from setuptools import setup\n")
    (release / "pyproject.toml").write_text(library("own", "demo"))
    with caplog.at_level(logging.INFO):
        built = environment.of_definition(definition, tmp_path / "environments")
    assert paths(built.frozen.read_text()) == ["."]
    assert names_only(built.frozen.read_text()) == ["demo", "other"]
    assert "come from own.txt beside the pipeline's file; ignored: " in caplog.text
    assert "environment.yml (a conda environment)" in caplog.text
    recorded = built.frozen.read_text()
    shutil.rmtree(tmp_path / "environments")
    supplied.unlink()
    assert environment.install(recorded, tmp_path / "environments").identity == built.identity


def test_a_lock_without_an_asked_extra_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(
        EnvironmentDefinitionError,
        match=r"packages\.extras of the pipeline's file names plot, and requirements\.txt has no",
    ):
        resolve(
            write(tmp_path / "release", {"requirements.txt": "demo\n"}), tmp_path / "environments", extras=("plot",)
        )
