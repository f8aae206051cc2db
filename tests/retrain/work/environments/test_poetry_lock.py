"""The packages of a poetry.lock: those that the declared ones lead to, at the lock's versions."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from retrain.errors import EnvironmentDefinitionError
from retrain.work.environments import poetry_lock
from retrain.work.environments.errors import StaleLockError
from retrain.work.environments.pythons import Python

PYTHON = Python(Path("/python"), "3.11", "3.11.7")
OLDER = Python(Path("/python"), "3.10", "3.10.1")
PROJECT = """
[tool.poetry]
name = "proj"
[tool.poetry.dependencies]
python = "^3.10"
Web = { version = "^2.1", extras = ["socks"] }
backport = { version = "~2.0", python = "<3.11" }
code = { git = "https://git.example/code.git", tag = "v1" }
common = { path = "libs/common", develop = true }
nice = { version = "*", optional = true }
[tool.poetry.extras]
tables = ["nice"]
[tool.poetry.group.dev.dependencies]
lint = "*"
[[tool.poetry.source]]
name = "team"
url = "https://team.example/simple"
"""
LOCK = """
[[package]]
name = "web"
version = "2.3"
python-versions = ">=3.9"
files = [{file = "web.whl", hash = "sha256:aa"}, {file = "web.tar.gz", hash = "sha256:bb"}]
[package.dependencies]
base = ">=1,<3"
proxies = {version = ">=1.5", optional = true, markers = "extra == 'socks'"}
windows = {version = "*", markers = "sys_platform == 'win32'"}
[package.extras]
socks = ["proxies (>=1.5)"]

[[package]]
name = "base"
version = "1.0"
python-versions = ">=3.8"
markers = "python_version < '3.11'"

[[package]]
name = "base"
version = "2.0"
python-versions = ">=3.9"
markers = "python_version >= '3.11'"

[[package]]
name = "Proxies"
version = "1.7"
python-versions = "*"
[package.source]
type = "legacy"
url = "https://team.example/simple"
reference = "team"

[[package]]
name = "backport"
version = "2.0.1"
python-versions = "*"

[[package]]
name = "code"
version = "1"
python-versions = "*"
[package.dependencies]
deep = "*"
[package.source]
type = "git"
url = "https://git.example/code.git"
reference = "v1"
resolved_reference = "0123"
subdirectory = "python"

[[package]]
name = "deep"
version = "5"
python-versions = "*"

[[package]]
name = "common"
version = "1"
python-versions = "*"
[package.source]
type = "directory"
url = "libs/common"

[[package]]
name = "nice"
version = "3"
optional = true
python-versions = "*"

[[package]]
name = "lint"
version = "9"
python-versions = "*"

[metadata]
lock-version = "2.1"
"""


def read(
    python: Python = PYTHON,
    extras: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    lock: str = LOCK,
    project: str = PROJECT,
) -> poetry_lock.LockedRequirements:
    return poetry_lock.read(lock, tomllib.loads(project), extras, groups, python)


def test_the_main_group_gives_what_it_needs_at_the_versions_of_the_lock() -> None:
    found = read()
    assert found.lines == (
        "base==2.0",
        "code @ git+https://git.example/code.git@0123#subdirectory=python",
        "deep==5",
        "proxies==1.7",
        "web==2.3 --hash=sha256:aa --hash=sha256:bb",
    )
    assert (found.paths, found.indexes) == (("libs/common",), ("https://team.example/simple",))
    assert found.names == {"https://team.example/simple": "team"}


def test_markers_are_those_of_the_python_that_was_chosen() -> None:
    lines = read(OLDER).lines
    assert "backport==2.0.1" in lines
    assert "base==1.0" in lines


def test_extras_and_groups_come_only_when_they_are_asked_for() -> None:
    assert {"nice==3", "lint==9"} & set(read().lines) == set()
    assert {"nice==3", "lint==9"} <= set(read(extras=("tables",), groups=("dev",)).lines)


def test_the_hashes_of_a_lock_of_poetry_1_are_in_its_metadata() -> None:
    older = LOCK.replace(
        'files = [{file = "web.whl", hash = "sha256:aa"}, {file = "web.tar.gz", hash = "sha256:bb"}]', ""
    )
    older += '[metadata.files]\nweb = [{file = "web.whl", hash = "sha256:aa"}]\n'
    assert "web==2.3 --hash=sha256:aa" in read(lock=older).lines


def test_dependencies_of_project_tables_are_read_too() -> None:
    project = (
        '[project]\nname = "p"\ndependencies = ["web[socks]>=2,<3", "base; python_version < \'3\'"]\n[tool.poetry]\n'
    )
    assert [line.partition(" ")[0] for line in read(project=project).lines] == ["base==2.0", "proxies==1.7", "web==2.3"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            'version = "^2.1"',
            'version = "^3.0"',
            r"it has web 2\.3, and pyproject\.toml needs web \^3\.0\. Run poetry lock",
        ),
        (
            "[tool.poetry.extras]",
            'flask = "*"\n[tool.poetry.extras]',
            r"it has no flask, and pyproject\.toml needs flask",
        ),
    ],
)
def test_a_lock_that_does_not_fit_its_project_is_refused_by_name(before: str, after: str, words: str) -> None:
    with pytest.raises(StaleLockError, match=words):
        read(project=PROJECT.replace(before, after))


def test_a_lock_that_lacks_what_its_own_packages_need_is_refused_by_name() -> None:
    with pytest.raises(StaleLockError, match=r"it has no deep, and code needs deep"):
        read(lock=LOCK.replace('name = "deep"', 'name = "other"'))


def test_a_lock_with_marks_of_a_merge_is_refused() -> None:
    with pytest.raises(StaleLockError, match=r"poetry\.lock cannot be read: .*Run poetry lock"):
        read(lock="<<<<<<< HEAD\n")


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"extras": ("x",)}, "no extra x, which packages.extras"),
        ({"groups": ("x",)}, "no group x, which packages.groups"),
    ],
)
def test_an_extra_or_a_group_that_does_not_exist_is_named(chosen: dict[str, tuple[str, ...]], words: str) -> None:
    with pytest.raises(EnvironmentDefinitionError, match=words):
        read(**chosen)
