"""A release's environment with the real uv: what was installed is its identity, and can be installed again."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys

import pytest
from live_servers import ROOT, free_ports, together
from package_index import package_index, write_wheel

from retrain.errors import (
    Cause,
    DiskFullError,
    EnvironmentBuildError,
    EnvironmentDefinitionError,
    EnvironmentGoneError,
    RetrainError,
)
from retrain.work.environments import compiled, definition, environment, frozen, local_project, resolution, uv

PYPROJECT = """
[project]
name = "release"
version = "1"
requires-python = ">=3.11"
dependencies = ["demo"]
[tool.uv]
package = false
"""
OFFER = """
[[tool.uv.index]]
name = "team"
url = "{url}"
explicit = true
[tool.uv.sources]
demo = {{ index = "team" }}
"""


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The machine's own package index. It offers demo 1.0, and uv has seen nothing of it yet."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with package_index(tmp_path / "index") as own:
        own.add("demo", "1.0")
        monkeypatch.setenv("UV_DEFAULT_INDEX", own.url)
        yield own


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Puts a recorder before uv, which does all the work; gives the subcommands so far."""
    log, program = tmp_path / "uv-calls", tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$1 $2" >> "{log}"\nexec "{uv.program()}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("RETRAIN_UV", str(program))
    return lambda: log.read_text().splitlines() if log.exists() else []


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def resolve(folder, environments):
    """The frozen text of a folder that is no release."""
    return resolution.resolve(definition.of_folder(folder), environments)


def lock(folder):
    done = subprocess.run(
        [uv.program(), "lock", "--quiet"],
        cwd=folder,
        env={**os.environ, "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def project(index, tmp_path):  # noqa: ARG001 - its lock is made from it
    """A release with demo in its uv.lock."""
    return lock(write(tmp_path / "release", {"pyproject.toml": PYPROJECT}))


@pytest.fixture
def requiring(index, tmp_path):  # noqa: ARG001 - what it requires is there
    """Writes a release with a requirements.txt, and other files."""
    return lambda text, **files: write(tmp_path / "release", {"requirements.txt": text, **files})


def version(built, module="demo"):
    """The version of a module in an environment; None if it cannot be imported."""
    done = subprocess.run(
        [built.python, "-c", f"import {module}; print({module}.VERSION)"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=built.path,
    )
    return done.stdout.strip() if done.returncode == 0 else None


def test_a_locked_release_gets_the_packages_of_its_lock_and_nothing_of_ours(project, index, tmp_path):
    index.add("demo", "1.1")
    built = environment.provide(project, tmp_path / "environments")
    assert version(built) == "1.0"
    assert version(built, "airflow") is None
    assert any((built.path / "lib").rglob("demo.*.pyc"))


def test_the_identity_of_an_environment_is_the_hash_of_its_frozen_text(project, index, tmp_path):
    wheel = index.folder / "simple" / "demo" / "demo-1.0-py3-none-any.whl"
    built = environment.provide(project, tmp_path / "environments")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert built.frozen.read_text() == f"# python {python}\ndemo==1.0 \\\n    --hash=sha256:{sha256}\n"
    assert built.identity == hashlib.sha256(built.frozen.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"requirements.txt": "demo\n"}, id="requirements.txt"),
        pytest.param({"pyproject.toml": PYPROJECT}, id="pyproject.toml, no lock"),
    ],
)
def test_the_frozen_text_is_the_same_wherever_the_packages_were_named(project, tmp_path, files):
    locked = resolve(project, tmp_path / "environments")
    other = write(tmp_path / "other", files)
    assert resolve(other, tmp_path / "environments") == locked


def test_a_second_run_of_the_release_starts_no_uv(project, tmp_path, calls):
    first = environment.provide(project, tmp_path / "environments")
    before = calls()
    assert environment.provide(project, tmp_path / "environments") == first
    assert calls() == before


def test_an_environment_that_came_with_the_image_is_taken_and_nothing_is_built(project, tmp_path, monkeypatch, calls):
    shipped = environment.provide(project, tmp_path / "image")
    monkeypatch.setenv("RETRAIN_ENVIRONMENTS", str(tmp_path / "image"))
    before = calls()
    assert environment.provide(project, tmp_path / "home") == shipped
    assert environment.known(tmp_path / "home", shipped.identity) == shipped
    assert (calls(), (tmp_path / "home").exists()) == (before, False)


def test_a_release_that_changes_an_included_file_gets_another_environment(requiring, index, tmp_path):
    index.add("demo", "1.1")
    layers = {"requirements/base.txt": "-c limits.txt\ndemo\n", "requirements/limits.txt": "demo==1.0\n"}
    first = environment.provide(requiring("-r requirements/base.txt\n", **layers), tmp_path / "environments")
    layers["requirements/limits.txt"] = "demo==1.1\n"
    second = environment.provide(requiring("-r requirements/base.txt\n", **layers), tmp_path / "environments")
    assert (version(first), version(second)) == ("1.0", "1.1")
    assert first.identity != second.identity


def test_volumes_that_resolve_at_different_times_do_not_share_an_identity(requiring, index, tmp_path):
    release = requiring("demo\n")
    first = environment.provide(release, tmp_path / "one")
    index.add("demo", "1.1")
    second = environment.provide(release, tmp_path / "two")
    assert (version(first), version(second)) == ("1.0", "1.1")
    assert first.identity != second.identity
    assert environment.provide(release, tmp_path / "one") == first


def test_a_recorded_environment_is_installed_again_after_a_clean_up(requiring, index, tmp_path):
    first = environment.provide(requiring("demo\n"), tmp_path / "environments")
    recorded = first.frozen.read_text()
    index.add("demo", "1.1")
    shutil.rmtree(tmp_path / "environments")
    again = environment.install(recorded, tmp_path / "environments")
    assert (again, version(again)) == (first, "1.0")


BUILD = """
import json, sys
from pathlib import Path
from retrain.work.environments import environment
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(str(environment.provide(Path(sys.argv[1]), Path(sys.argv[2])).path)))
"""


def test_two_workers_that_ask_at_once_build_once(project, tmp_path, calls):
    first, second = together(2, BUILD, os.environ, str(project), str(tmp_path / "environments"))
    assert first == second
    assert sorted(calls()) == ["export --locked", "pip compile", "pip sync", "venv --quiet"]


def test_a_build_that_was_killed_half_way_is_done_again(project, tmp_path):
    killer = tmp_path / "killer"
    killer.write_text(f'#!/bin/sh\n"{uv.program()}" "$@"\n[ "$2" != sync ] || kill -KILL $PPID\n')
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
    (folder,) = (path for path in (tmp_path / "environments").iterdir() if (path / "bin").is_dir())
    identity = hashlib.sha256((folder / "frozen.txt").read_bytes()).hexdigest()
    assert environment.known(tmp_path / "environments", identity) is None
    (folder / "left-behind").touch()
    built = environment.provide(project, tmp_path / "environments")
    assert (built.path, version(built)) == (folder, "1.0")
    assert not (built.path / "left-behind").exists()
    assert environment.known(tmp_path / "environments", identity) == built


def test_an_environment_whose_frozen_text_was_changed_does_not_count(project, tmp_path):
    built = environment.provide(project, tmp_path / "environments")
    text = built.frozen.read_text()
    built.frozen.write_text(text.replace("demo==1.0", "demo==1.1"))
    assert environment.known(tmp_path / "environments", built.identity) is None
    assert environment.provide(project, tmp_path / "environments").frozen.read_text() == text


def withdraw(index):
    (index.folder / "simple" / "demo" / "demo-1.0-py3-none-any.whl").unlink()
    index.list("demo")


def remove_the_package(index):
    shutil.rmtree(index.folder / "simple" / "demo")


def lose_the_file(index):
    (index.folder / "simple" / "demo" / "demo-1.0-py3-none-any.whl").unlink()


def replace(index):
    index.add("demo", "1.0", content="OTHER = True\n")


@pytest.mark.parametrize("happen", [withdraw, remove_the_package, lose_the_file, replace])
def test_a_recorded_package_that_is_gone_is_named_with_what_can_still_be_restored(
    requiring, index, tmp_path, monkeypatch, happen
):
    index.add("other", "2.0")
    recorded = resolve(requiring("demo==1.0\nother\n"), tmp_path / "environments")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another-cache"))
    index.add("demo", "1.1")
    happen(index)
    with pytest.raises(
        EnvironmentGoneError, match=r"needs demo==1\.0, .*\. Code, data, model .*NO_ENVIRONMENT=1"
    ) as it:
        environment.install(recorded, tmp_path / "environments")
    assert (it.value.package, it.value.cause) == ("demo==1.0", Cause.INFRA)
    assert not list((tmp_path / "environments").glob("*/.complete"))


def test_a_python_that_is_gone_is_named_with_what_can_still_be_restored(requiring, tmp_path):
    recorded = resolve(requiring("demo\n"), tmp_path / "environments")
    other = recorded.replace(recorded.splitlines()[0], "# python 3.99")
    with pytest.raises(EnvironmentGoneError, match=r"needs Python 3\.99, which this machine does not have") as caught:
        environment.install(other, tmp_path / "environments")
    assert caught.value.package == "python 3.99"


@pytest.mark.parametrize("kind", ["requirements.txt", "pyproject.toml", "uv.lock"])
def test_a_package_from_the_team_s_own_index_is_installed_without_the_release(index, tmp_path, kind):
    with package_index(tmp_path / "team") as team:
        team.add("demo", "3.0", ("other",))
        index.add("other", "2.0")
        if kind == "requirements.txt":
            files = {kind: f"--extra-index-url {team.url}\ndemo\n"}
        else:
            files = {"pyproject.toml": PYPROJECT + OFFER.format(url=team.url)}
        release = write(tmp_path / "release", files)
        if kind == "uv.lock":
            lock(release)
        text = resolve(release, tmp_path / "environments")
        shutil.rmtree(release)
        built = environment.install(text, tmp_path / "environments")
    assert (version(built), version(built, "other")) == ("3.0", "2.0")
    assert f"--extra-index-url {team.url}\n" in text
    assert index.url not in text


@pytest.mark.parametrize("kind", ["pyproject.toml", "uv.lock"])
def test_the_machine_s_login_for_a_named_index_serves_installing_too(index, tmp_path, monkeypatch, kind):  # noqa: ARG001 - the machine's index
    monkeypatch.setenv("UV_INDEX_TEAM_USERNAME", "bob")
    monkeypatch.setenv("UV_INDEX_TEAM_PASSWORD", "hunter2")
    with package_index(tmp_path / "team", login="bob:hunter2") as team:
        team.add("demo", "3.0")
        release = write(tmp_path / "release", {"pyproject.toml": PYPROJECT + OFFER.format(url=team.url)})
        if kind == "uv.lock":
            lock(release)
        text = resolve(release, tmp_path / "environments")
        assert version(environment.install(text, tmp_path / "environments")) == "3.0"
        assert "hunter2" not in text
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty-cache"))
        monkeypatch.delenv("UV_INDEX_TEAM_PASSWORD")
        with pytest.raises(EnvironmentBuildError, match=r"Check the package index"):
            environment.install(text, tmp_path / "another-volume")


def test_a_file_that_only_a_later_index_has_is_found_there(requiring, index, tmp_path):
    with package_index(tmp_path / "team") as team:
        team.add("demo", "0.9")
        index.add("demo", "1.1")
        text = resolve(requiring("demo\n"), tmp_path / "environments")
        both = text.replace("demo==", f"--extra-index-url {team.url}\ndemo==", 1)
        assert version(environment.install(both, tmp_path / "environments")) == "1.1"


def test_a_folder_of_wheels_on_the_machine_is_found_again(requiring, tmp_path):
    (tmp_path / "wheels").mkdir()
    write_wheel(tmp_path / "wheels" / "demo-4.0-py3-none-any.whl", "demo", "4.0")
    release = requiring(f"--no-index\n--find-links {tmp_path}/wheels\ndemo\n")
    text = resolve(release, tmp_path / "environments")
    assert text.splitlines()[1:3] == ["--no-index", f"--find-links {tmp_path}/wheels"]
    assert version(environment.install(text, tmp_path / "environments")) == "4.0"


def test_a_lock_of_an_index_without_hashes_is_frozen_with_hashes(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with package_index(tmp_path / "index", hashes=False) as bare:
        bare.add("demo", "1.0")
        monkeypatch.setenv("UV_DEFAULT_INDEX", bare.url)
        release = lock(write(tmp_path / "release", {"pyproject.toml": PYPROJECT}))
        assert "sha256" not in (release / "uv.lock").read_text()
        built = environment.provide(release, tmp_path / "environments")
    assert "--hash=sha256:" in built.frozen.read_text()
    assert version(built) == "1.0"


@pytest.mark.parametrize("kind", ["requirements.txt", "uv.lock"])
def test_a_git_requirement_is_frozen_at_its_commit(index, tmp_path, kind):  # noqa: ARG001 - the machine's index
    git = write(tmp_path / "lib", {"pyproject.toml": BUILDABLE, "backend.py": BACKEND})
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "1"]):
        subprocess.run(["git", *command], cwd=git, check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=git, check=True, capture_output=True, text=True).stdout
    if kind == "uv.lock":
        text = PYPROJECT + f'[tool.uv.sources]\ndemo = {{ git = "file://{git}" }}\n'
        release = lock(write(tmp_path / "release", {"pyproject.toml": text}))
    else:
        release = write(tmp_path / "release", {kind: f"demo @ git+file://{git}\n"})
    built = environment.provide(release, tmp_path / "environments")
    assert f"demo @ git+file://{git}@{commit}" in built.frozen.read_text()
    assert version(built) == "5.0"


BUILDABLE = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
BACKEND = f"""
import pathlib, sys
sys.path.insert(0, {str(ROOT / "tests" / "contract")!r})
from package_index import write_wheel
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "demo-5.0-py3-none-any.whl"
    write_wheel(pathlib.Path(folder) / name, "demo", "5.0")
    return name
"""


def test_a_password_in_a_release_is_refused_and_not_repeated(requiring, index, tmp_path):
    address = index.url.replace("http://", "http://bob:hunter2@")
    with pytest.raises(EnvironmentDefinitionError, match=r"http://\*\*\*\*@.* names a user or password") as caught:
        environment.provide(requiring(f"--extra-index-url {address}\ndemo\n"), tmp_path / "environments")
    assert "hunter2" not in str(caught.value)


def test_a_password_that_the_machine_holds_is_not_in_the_frozen_text(requiring, index, tmp_path, monkeypatch):
    monkeypatch.setenv("TEAM_PASSWORD", "hunter2")
    address = index.url.replace("http://", "http://bob:${TEAM_PASSWORD}@")
    built = environment.provide(requiring(f"--extra-index-url {address}\ndemo\n"), tmp_path / "environments")
    assert f"--extra-index-url {address}\n" in built.frozen.read_text()
    assert version(built) == "1.0"


def test_what_older_deployments_recorded_of_a_lock_becomes_the_frozen_text_of_today(project, tmp_path):
    today = resolve(project, tmp_path / "one")
    recorded = (project / "uv.lock").read_text()
    assert resolution.frozen_of_recorded(recorded, project, tmp_path / "two") == today
    (project / "uv.lock").unlink()
    assert resolution.frozen_of_recorded(recorded, project, tmp_path / "three") == today


def test_what_older_deployments_recorded_of_requirements_becomes_the_frozen_text_of_today(requiring, index, tmp_path):
    index.add("other", "2.0", ("demo",))
    release = requiring("other\n")
    today = resolve(release, tmp_path / "environments")
    older = subprocess.run(
        [uv.program(), "pip", "compile", "--generate-hashes", "--python", sys.executable, "requirements.txt"],
        cwd=release,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert "# via other" in older
    assert resolution.frozen_of_recorded(older, release, tmp_path / "environments") == today
    assert resolution.frozen_of_recorded(today, release, tmp_path / "environments") == today


def test_a_record_that_names_a_local_path_says_what_can_still_be_restored(requiring, tmp_path):
    with pytest.raises(
        EnvironmentDefinitionError, match=r"environment\.lock: '-e \./lib' is a local path.*NO_ENVIRONMENT=1"
    ):
        resolution.frozen_of_recorded("-e ./lib\n", requiring("demo\n"), tmp_path / "environments")


def test_a_lock_that_does_not_fit_its_pyproject_is_the_release_s_fault(project, index, tmp_path):
    index.add("other", "2.0")
    (project / "pyproject.toml").write_text(PYPROJECT.replace('"demo"', '"demo", "other"'))
    with pytest.raises(
        EnvironmentDefinitionError,
        match=r"release/: The lockfile at `uv\.lock` needs to be updated.* Run uv lock, and commit uv\.lock in a",
    ):
        environment.provide(project, tmp_path / "environments")


def test_a_release_that_describes_no_environment_is_told_what_it_lacks(tmp_path):
    (tmp_path / "release").mkdir()
    with pytest.raises(
        EnvironmentDefinitionError, match=r"release/ .*neither uv\.lock, poetry\.lock, .* nor setup\.cfg"
    ):
        environment.provide(tmp_path / "release", tmp_path / "environments")


def test_an_included_file_that_is_missing_is_named(requiring, tmp_path):
    with pytest.raises(
        EnvironmentDefinitionError, match=r"requirements\.txt:2 includes base\.txt, which the release does not"
    ):
        environment.provide(requiring("demo\n-r base.txt\n"), tmp_path / "environments")


def test_a_package_that_does_not_exist_is_the_release_s_fault(requiring, tmp_path):
    with pytest.raises(EnvironmentDefinitionError, match=r"there is no version of demo==9\.9") as caught:
        environment.provide(requiring("demo==9.9\n"), tmp_path / "environments")
    assert type(caught.value) is EnvironmentDefinitionError


def test_a_failed_build_of_a_package_is_told_by_its_exception(requiring, index, tmp_path):
    index.add_unbuildable("broken", "1.0", body="import no_such_compiler")
    with pytest.raises(EnvironmentDefinitionError) as caught:
        environment.provide(requiring("broken\n"), tmp_path / "environments")
    said = str(caught.value)
    assert "Failed to build `broken==1.0`" in said
    assert said.endswith(": ModuleNotFoundError: No module named 'no_such_compiler'. Fix it in a new release.")


@pytest.fixture
def unreachable(tmp_path, monkeypatch):
    """Lets the machine's index be at an address where nothing listens, and uv forget what it has fetched."""

    def cut_off():
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{free_ports(1)[0]}/simple")
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty-cache"))
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")

    return cut_off


def test_an_index_that_cannot_be_reached_while_resolving_is_worth_a_retry(requiring, tmp_path, unreachable):
    release = requiring("demo\n")
    unreachable()
    with pytest.raises(
        EnvironmentBuildError, match=r"Connection refused.* Check the package index, then clear the task"
    ):
        environment.provide(release, tmp_path / "environments")
    assert not list((tmp_path / "environments").rglob("*.txt"))


def test_an_index_that_cannot_be_reached_while_installing_is_worth_a_retry(requiring, tmp_path, unreachable):
    text = resolve(requiring("demo\n"), tmp_path / "environments")
    unreachable()
    with pytest.raises(
        EnvironmentBuildError, match=r"Connection refused.* Check the package index, then clear the task"
    ):
        environment.install(text, tmp_path / "environments")
    assert not list((tmp_path / "environments").glob("*/.complete"))


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        pytest.param("kill -KILL $$", EnvironmentBuildError, id="uv was killed"),
        pytest.param("dd if=/dev/zero of=/dev/full bs=1 count=1; exit 2", DiskFullError, id="the disk is full"),
    ],
)
def test_an_end_of_uv_from_outside_is_not_blamed_on_the_lock(project, tmp_path, monkeypatch, end, kind):
    program = tmp_path / "uv"
    program.write_text(f"#!/bin/sh\n{end}\n")
    program.chmod(0o755)
    monkeypatch.setenv("RETRAIN_UV", str(program))
    with pytest.raises(RetrainError) as caught:
        environment.provide(project, tmp_path / "environments")
    assert type(caught.value) is kind


def test_the_frozen_text_of_our_own_release_is_the_one_of_earlier_deployments(tmp_path):
    export = [
        "export",
        "--locked",
        "--no-default-groups",
        "--no-emit-project",
        *compiled.PLAIN,
        "--project",
        ROOT / "pipeline",
    ]
    done = uv.run(*export, cwd=ROOT / "pipeline")
    (tmp_path / "nothing.txt").touch()
    machine = uv.run("pip", "compile", *compiled.PLAIN, "nothing.txt", cwd=tmp_path)
    settings = definition.PackageSettings(as_of="2020-01-01")
    text = resolution.resolve(definition.EnvironmentDefinition(ROOT, "pipeline", settings), tmp_path / "environments")
    # The lines that uv prints are those that it writes; a process keeps the last 400 of them.
    assert text.endswith("\n".join(frozen.canonical(done.output, machine.output).splitlines()[-100:]) + "\n")
    assert local_project.listed_in(text) == ()
