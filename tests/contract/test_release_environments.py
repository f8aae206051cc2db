"""A release's environment with the real uv: built from its lock once, shared, and named when it cannot be built."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest
from live_servers import ROOT, free_ports, together

from retrain import environment
from retrain.errors import DiskFullError, EnvironmentBuildError, EnvironmentLockError, RetrainError

PYPROJECT = """
[project]
name = "release"
version = "1"
requires-python = ">=3.11"
dependencies = ["iniconfig==2.1.0"]
[tool.uv]
package = false
"""


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Puts a recorder before uv, which does all the work; gives the subcommands so far."""
    log, program = tmp_path / "uv-calls", tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$1" >> "{log}"\nexec "{environment.uv()}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("RETRAIN_UV", str(program))
    return lambda: log.read_text().split() if log.exists() else []


@pytest.fixture(scope="session")
def locked_project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked") / "release"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    subprocess.run(
        [environment.uv(), "lock", "--quiet"],
        cwd=folder,
        env={**os.environ, "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"},
        check=True,
        timeout=60,
    )
    return folder


@pytest.fixture
def project(locked_project, tmp_path):
    """A release with iniconfig in its uv.lock."""
    return shutil.copytree(locked_project, tmp_path / "release")


def imports(built, module):
    done = subprocess.run(
        [built.bin / "python", "-c", f"import {module}"], capture_output=True, check=False, timeout=60, cwd=built.path
    )
    return done.returncode == 0


def test_a_locked_release_gets_what_its_lock_names_and_nothing_of_ours(project, tmp_path):
    built = environment.build(project, tmp_path / "environments")
    assert imports(built, "iniconfig")
    assert not imports(built, "airflow")
    assert built.lock.read_bytes() == (project / "uv.lock").read_bytes()


def test_a_second_run_of_the_release_uses_what_the_first_has_built(project, tmp_path, calls):
    first = environment.build(project, tmp_path / "environments")
    made = (first.path / ".complete").stat().st_mtime_ns
    assert environment.build(project, tmp_path / "environments") == first
    assert (first.path / ".complete").stat().st_mtime_ns == made
    assert calls() == ["sync"]


def test_an_environment_that_came_with_the_image_is_taken_and_nothing_is_built(project, tmp_path, monkeypatch, calls):
    shipped = environment.build(project, tmp_path / "image")
    monkeypatch.setenv("RETRAIN_ENVIRONMENTS", str(tmp_path / "image"))
    before = calls()
    assert environment.provide(project, tmp_path / "home") == shipped
    assert environment.known(tmp_path / "home", shipped.lock_hash) == shipped
    assert (calls(), (tmp_path / "home").exists()) == (before, False)


def test_a_release_with_another_lock_gets_an_environment_of_its_own(project, tmp_path):
    first = environment.build(project, tmp_path / "environments")
    with (project / "uv.lock").open("a") as lock:
        lock.write("# resolved again\n")
    assert environment.build(project, tmp_path / "environments").path != first.path


BUILD = """
import json, sys
from pathlib import Path
from retrain import environment
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(str(environment.build(Path(sys.argv[1]), Path(sys.argv[2])).path)))
"""


def test_two_workers_that_ask_at_once_build_once(project, tmp_path, calls):
    first, second = together(2, BUILD, os.environ, str(project), str(tmp_path / "environments"))
    assert first == second
    assert calls() == ["sync"]


def test_a_build_that_was_killed_half_way_is_done_again(project, tmp_path):
    killer = tmp_path / "killer"
    killer.write_text(f'#!/bin/sh\n"{environment.uv()}" "$@"\nkill -KILL $PPID\n')
    killer.chmod(0o755)
    half = subprocess.run(
        [sys.executable, "-c", BUILD, str(project), str(tmp_path / "environments")],
        env={**os.environ, "RETRAIN_UV": str(killer), "PYTHONPATH": str(ROOT / "plugins")},
        input="go\n",
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert half.returncode == -signal.SIGKILL
    (folder,) = (p for p in (tmp_path / "environments").iterdir() if p.is_dir())
    assert not (folder / ".complete").exists()
    (folder / "left-behind").touch()
    built = environment.build(project, tmp_path / "environments")
    assert imports(built, "iniconfig")
    assert not (built.path / "left-behind").exists()
    assert environment.known(tmp_path / "environments", built.lock_hash) == built


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(("requirements.txt", "six==1.17.0\n"), id="requirements.txt"),
        pytest.param(
            ("pyproject.toml", PYPROJECT.replace("iniconfig==2.1.0", "six==1.17.0")), id="pyproject.toml, no lock"
        ),
    ],
)
def test_a_release_without_a_lock_is_resolved_once_and_frozen_with_hashes(tmp_path, calls, file):
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / file[0]).write_text(file[1])
    built = environment.build(tmp_path / "release", tmp_path / "environments")
    frozen = built.lock.read_text()
    assert "six==1.17.0" in frozen
    assert "--hash=sha256:" in frozen
    assert imports(built, "six")
    assert not built.has_dvc_on_s3
    before = calls()
    assert environment.build(tmp_path / "release", tmp_path / "environments") == built
    assert calls() == before
    assert environment.known(tmp_path / "environments", built.lock_hash) == built


def test_a_lock_that_does_not_fit_its_pyproject_is_the_release_s_fault(project, tmp_path):
    (project / "pyproject.toml").write_text(PYPROJECT.replace("iniconfig==2.1.0", "six==1.17.0"))
    with pytest.raises(EnvironmentLockError, match=r"release/.*lock.*[Mm]end it in a new release"):
        environment.build(project, tmp_path / "environments")


def test_a_release_that_describes_no_environment_is_told_what_it_lacks(tmp_path):
    (tmp_path / "release").mkdir()
    with pytest.raises(
        EnvironmentLockError, match=r"release/ .*neither uv\.lock, requirements\.txt nor pyproject\.toml"
    ):
        environment.build(tmp_path / "release", tmp_path / "environments")


def test_a_package_that_does_not_exist_is_the_release_s_fault(tmp_path):
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "requirements.txt").write_text("six==0.0.0.0.1\n")
    with pytest.raises(EnvironmentLockError, match=r"six==0\.0\.0\.0\.1"):
        environment.build(tmp_path / "release", tmp_path / "environments")


@pytest.mark.parametrize("lock", [True, False], ids=["uv.lock", "requirements.txt"])
def test_an_index_that_cannot_be_reached_is_infrastructure_and_worth_a_retry(project, tmp_path, monkeypatch, lock):
    if not lock:
        for file in project.iterdir():
            file.unlink()
        (project / "requirements.txt").write_text("six==1.17.0\n")
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}/simple"
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.setenv(name, nowhere)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty-cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(EnvironmentBuildError, match="Check the package index, then clear the task"):
        environment.build(project, tmp_path / "environments")
    assert not list((tmp_path / "environments").glob("*/.complete"))


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        pytest.param("kill -KILL $$", EnvironmentBuildError, id="uv was killed"),
        pytest.param("dd if=/dev/zero of=/dev/full bs=1 count=1; exit 2", DiskFullError, id="the disk is full"),
    ],
)
def test_what_ends_uv_from_outside_is_not_blamed_on_the_lock(project, tmp_path, monkeypatch, end, kind):
    program = tmp_path / "uv"
    program.write_text(f"#!/bin/sh\n{end}\n")
    program.chmod(0o755)
    monkeypatch.setenv("RETRAIN_UV", str(program))
    with pytest.raises(RetrainError) as caught:
        environment.build(project, tmp_path / "environments")
    assert type(caught.value) is kind
