"""The packages of a Pipfile.lock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from retrain.errors import EnvironmentDefinitionError
from retrain.work.environments import pipfile_lock
from retrain.work.environments.errors import StaleLockError
from retrain.work.environments.locked import LockedRequirements
from retrain.work.environments.pythons import Python

PYTHON = Python(Path("/python"), "3.11", "3.11.7")
LOCK: dict[str, Any] = {
    "_meta": {
        "sources": [
            {"name": "pypi", "url": "https://pypi.org/simple", "verify_ssl": True},
            {"name": "team", "url": "https://$TEAM_USER:${TEAM_PASSWORD}@team.example/simple", "verify_ssl": True},
        ]
    },
    "default": {
        "Web": {"version": "==2.3", "hashes": ["sha256:bb", "sha256:aa"], "extras": ["socks"], "index": "pypi"},
        "windows": {"version": "==1", "markers": "sys_platform == 'win32'"},
        "older": {"version": "==1", "markers": "python_version < '3.11'"},
        "code": {"git": "https://git.example/code.git", "ref": "0123", "subdirectory": "python"},
        "own": {"editable": True, "path": "."},
        "loose": {"version": "*"},
    },
    "develop": {"lint": {"version": "==9", "hashes": ["sha256:cc"]}},
}


def read(lock: str = json.dumps(LOCK), pipfile: str | None = None, **chosen: tuple[str, ...]) -> LockedRequirements:
    return pipfile_lock.read(lock, pipfile, chosen.get("extras", ()), chosen.get("groups", ()), PYTHON)


def test_the_default_section_gives_versions_hashes_git_commits_and_paths() -> None:
    found = read()
    assert found.lines == (
        "code @ git+https://git.example/code.git@0123#subdirectory=python",
        "loose",
        "web[socks]==2.3 --hash=sha256:aa --hash=sha256:bb",
    )
    assert found.paths == (".",)


def test_variables_of_a_source_are_left_to_the_worker() -> None:
    url = "https://${TEAM_USER}:${TEAM_PASSWORD}@team.example/simple"
    assert (read().indexes, read().names) == ((url,), {})


def test_the_developers_packages_come_only_when_they_are_asked_for() -> None:
    assert not [line for line in read().lines if "lint" in line]
    assert "lint==9 --hash=sha256:cc" in read(groups=("dev",)).lines


@pytest.mark.parametrize(
    ("pipfile", "words"),
    [
        ('[packages]\nflask = "*"\n', "it has no flask, which the Pipfile names"),
        ('[packages]\nweb = ">=3"\n', r"it has web 2\.3, and the Pipfile needs >=3"),
        ("[packages\n", "The Pipfile beside Pipfile.lock cannot be read"),
    ],
)
def test_a_lock_that_does_not_fit_its_pipfile_is_refused_by_name(pipfile: str, words: str) -> None:
    with pytest.raises(StaleLockError, match=words):
        read(pipfile=pipfile)


def test_a_lock_that_fits_its_pipfile_is_taken() -> None:
    assert read(pipfile='[packages]\nweb = {version = "~=2.1", extras = ["socks"]}\ncode = {git = "x"}\n') == read()


@pytest.mark.parametrize("lock", ["<<<<<<< HEAD", "[]", "{}"])
def test_a_lock_that_cannot_be_read_is_refused(lock: str) -> None:
    with pytest.raises(StaleLockError, match=r"Pipfile\.lock cannot be read: .*Run pipenv lock"):
        read(lock)


def test_an_extra_or_a_section_that_does_not_exist_is_named() -> None:
    with pytest.raises(EnvironmentDefinitionError, match=r"no section train, which packages\.groups"):
        read(groups=("train",))
    with pytest.raises(EnvironmentDefinitionError, match=r"no extras, and packages\.extras"):
        read(extras=("plot",))
