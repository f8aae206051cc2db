"""Packages resolved as of a day and for a Python of its own, with the real uv."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from package_index import Index, package_index

from retrain.errors import EnvironmentDefinitionError
from retrain.work import commit_date
from retrain.work.environments import environment, frozen, python_versions, pythons, resolution
from retrain.work.environments.definition import EnvironmentDefinition, PackageSettings
from retrain.work.environments.errors import PythonMissingError, RequiredPythonError

COMMITTED = datetime(2022, 1, 1, tzinfo=UTC)
OLD, NEW = "2021-05-05", "2023-05-05"


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The machine's own package index. Of demo and other it has a version from before the commit and one from after; undated has no dates."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with package_index(tmp_path / "index") as own:
        own.add_dated("demo", {"1.0": OLD, "2.0": NEW})
        own.add_dated("other", {"1.0": OLD, "2.0": NEW}, {"1.0": ("demo",), "2.0": ("demo>=2",)})
        own.add("undated", "1.0")
        own.add("undated", "2.0")
        monkeypatch.setenv("UV_DEFAULT_INDEX", own.url)
        yield own


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def resolved(folder: Path, requirements: str, as_of: str = "commit", python: str | None = None) -> list[str]:
    """The packages of a requirements.txt that was committed in 2022."""
    top = write(folder / "release", {"requirements.txt": requirements})
    definition = EnvironmentDefinition(top, settings=PackageSettings(as_of=as_of, python=python), committed=COMMITTED)
    return frozen.requirements(resolution.resolve(definition, folder / "environments"))


@pytest.mark.parametrize(
    ("as_of", "found"),
    [("commit", "demo==1.0"), ("today", "demo==2.0"), (NEW, "demo==2.0"), ("2023-05-04", "demo==1.0")],
)
def test_a_package_without_a_version_is_resolved_as_of_the_day(tmp_path: Path, as_of: str, found: str) -> None:
    assert resolved(tmp_path, "demo\n", as_of) == [found]


@pytest.mark.parametrize(
    ("requirements", "found"),
    [
        pytest.param("demo==2.0\n", ["demo==2.0"], id="pinned"),
        pytest.param("demo\n-c limits.txt\n", ["demo==2.0"], id="pinned by a constraint"),
        pytest.param("other==2.0\n", ["demo==2.0", "other==2.0"], id="what a pinned one needs"),
        pytest.param("undated==1.0\n", ["undated==1.0"], id="pinned, of an index without dates"),
        pytest.param("undated\ndemo\n", ["demo==1.0", "undated==2.0"], id="of an index without dates"),
    ],
)
@pytest.mark.parametrize("as_of", ["commit", "2022-01-01"])
def test_the_day_hinders_neither_a_pinned_version_nor_an_index_without_dates(
    tmp_path: Path,
    requirements: str,
    found: list[str],
    as_of: str,
) -> None:
    write(tmp_path / "release", {"limits.txt": "demo==2.0\n"})
    assert resolved(tmp_path, requirements, as_of) == found


def test_a_commit_that_is_older_than_its_packages_gets_newer_ones_and_the_log_says_so(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        assert resolved(tmp_path, "demo>1\n") == ["demo==2.0"]
    assert "as of 2022-01-01 00:00 UTC (packages.as_of: commit)" in caplog.text
    assert "Newer than 2022-01-01T00:00:00Z, because nothing older fits or the index has no dates: demo" in caplog.text


def test_a_day_of_the_pipeline_s_file_that_no_version_fits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        EnvironmentDefinitionError, match=r"No version from before 2022-01-02T00:00:00Z fits \(packages\.as_of\)"
    ):
        resolved(tmp_path, "demo>1\n", "2022-01-01")


def test_a_line_that_cannot_be_read_is_refused_with_the_name_of_its_file_alone(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentDefinitionError, match=r"in `requirements\.txt` at .* demo\[ x"):
        resolved(tmp_path, "other\ndemo[ x\n")


def test_the_day_is_that_on_which_the_commit_was_made_last(tmp_path: Path) -> None:
    dates = {"GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2022-01-01T02:00:00+02:00"}
    (tmp_path / "a").touch()
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "1"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, env={**os.environ, **dates})
    assert commit_date.committed_at(tmp_path) == COMMITTED


def test_hashes_that_a_file_gives_are_the_only_ones_and_must_fit(index: Index, tmp_path: Path) -> None:
    text = resolution.resolve(
        EnvironmentDefinition(write(tmp_path / "first", {"requirements.txt": "undated==1.0\n"})),
        tmp_path / "environments",
    )
    pinned = text.partition("\n")[2].replace("\\\n    ", " ")
    index.add("undated", "1.0", content="OTHER = True\n")
    with pytest.raises(
        EnvironmentDefinitionError, match=r"gives hashes of undated==1\.0 that no file of the package index has"
    ):
        resolved(tmp_path, pinned)


PYTHONS = [version for version in python_versions.KNOWN if version != frozen.RUNNING]


@pytest.fixture
def other_python(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Another minor version, of those that pyenv or a CI system keep beside each other; skipped if this machine has none."""
    kept = [os.environ.get("RETRAIN_PYTHONS"), f"{os.environ.get('PYENV_ROOT', '~/.pyenv')}/versions/*"]
    if cache := os.environ.get("RUNNER_TOOL_CACHE"):
        kept.append(f"{cache}/Python/*/*")
    monkeypatch.setenv("RETRAIN_PYTHONS", os.pathsep.join(filter(None, kept)))
    if pythons.find(request.param) is None:
        pytest.skip(f"this machine has no Python {request.param}")
    return str(request.param)


@pytest.mark.parametrize("other_python", PYTHONS, indirect=True)
def test_a_pipeline_has_a_python_of_its_own(tmp_path: Path, other_python: str) -> None:
    top = write(tmp_path / "release", {"requirements.txt": f"demo\nother; python_version == '{other_python}'\n"})
    built = environment.of_definition(
        EnvironmentDefinition(top, settings=PackageSettings(python=other_python)), tmp_path / "environments"
    )
    ours = environment.of_definition(EnvironmentDefinition(top), tmp_path / "environments")
    assert built.frozen.read_text().startswith(f"# python {other_python}\n")
    assert frozen.requirements(built.frozen.read_text()) == ["demo==2.0", "other==2.0"]
    assert frozen.requirements(ours.frozen.read_text()) == ["demo==2.0"]
    assert built.identity != ours.identity
    code = "import sys, other; print('%d.%d' % sys.version_info[:2])"
    path = f"{built.bin}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["python", "-c", code], env={"PATH": path}, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == other_python
    recorded = built.frozen.read_text()
    assert environment.install(recorded, tmp_path / "another-volume").identity == built.identity


@pytest.mark.parametrize("other_python", PYTHONS, indirect=True)
def test_a_lock_is_exported_for_the_python_of_the_pipeline(tmp_path: Path, other_python: str) -> None:
    wanted = (
        f'[project]\nname = "release"\nversion = "1"\nrequires-python = "=={other_python}.*"\ndependencies = ["demo"]\n'
    )
    top = write(tmp_path / "release", {"pyproject.toml": wanted})
    program = pythons.require(other_python).path
    command = [resolution.uv.program(), "lock", "--quiet", "--python", program]
    subprocess.run(command, cwd=top, env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"}, check=True, timeout=60)
    chosen = EnvironmentDefinition(top, settings=PackageSettings(python=other_python))
    assert resolution.resolve(chosen, tmp_path / "environments").startswith(f"# python {other_python}\ndemo==2.0")
    with pytest.raises(RequiredPythonError, match=rf'Write packages: {{python: "{other_python}"}} into the pipeline'):
        resolution.resolve(EnvironmentDefinition(top), tmp_path / "environments")


def test_a_python_that_no_machine_has_is_named_before_anything_is_resolved(tmp_path: Path) -> None:
    with pytest.raises(
        PythonMissingError, match=r"asks for Python 3\.99 \(packages\.python\), which this machine does not have"
    ):
        resolved(tmp_path, "demo\n", python="3.99")
