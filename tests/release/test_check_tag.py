"""Tags that may be released, and tags that are refused."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from check_tag import TagError, check


class ReleaseRepository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=main", ".")
        self.commit("3.3.2")

    def git(self, *arguments: str) -> str:
        environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environment, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, airflow: str, mlflow: str = "3.17.2") -> str:
        locks = {"apache-airflow": (self.folder, airflow), "mlflow": (self.folder / "infra/docker/mlflow", mlflow)}
        for name, (folder, version) in locks.items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "uv.lock").write_text(f'[[package]]\nname = "{name}"\nversion = "{version}"\n')
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=x")
        return self.git("rev-parse", "HEAD")

    def check(self, tag: str, commit: str | None = None) -> list[str]:
        started_for = commit or self.git("rev-parse", f"{tag}^{{commit}}")
        return check({"GITHUB_REF": f"refs/tags/{tag}", "GITHUB_SHA": started_for}, self.folder, "main")


@pytest.fixture
def repository(tmp_path: Path) -> ReleaseRepository:
    found = ReleaseRepository(tmp_path)
    found.git("tag", "--annotate", "--message=x", "v1.0.0")
    found.commit("3.3.2")
    return found


def test_a_tag_on_main_may_be_released(repository: ReleaseRepository) -> None:
    repository.git("tag", "--annotate", "--message=x", "v1.1.0")
    assert repository.check("v1.1.0") == []


def test_a_release_that_changes_airflow_or_mlflow_warns_that_there_is_no_automatic_return(
    repository: ReleaseRepository,
) -> None:
    repository.commit("3.4.0", "3.19.0")
    repository.git("tag", "v1.1.0")
    warnings = repository.check("v1.1.0")
    assert [warning.split("Its")[0] for warning in warnings] == [
        "v1.1.0 changes apache-airflow from 3.3.2 to 3.4.0. ",
        "v1.1.0 changes mlflow from 3.17.2 to 3.19.0. ",
    ]
    assert all("the automatic return to v1.0.0 will not work" in warning for warning in warnings)


def test_a_tag_on_an_unmerged_commit_is_refused(repository: ReleaseRepository) -> None:
    repository.git("checkout", "--quiet", "-b", "mine")
    repository.commit("3.3.2")
    repository.git("tag", "v1.1.0")
    with pytest.raises(TagError, match="not on main"):
        repository.check("v1.1.0")


def test_a_tag_that_moved_while_the_release_waited_is_refused(repository: ReleaseRepository) -> None:
    repository.git("tag", "v1.1.0")
    with pytest.raises(TagError, match="has moved"):
        repository.check("v1.1.0", repository.git("rev-parse", "v1.0.0^{commit}"))


@pytest.mark.parametrize(
    "reference", ["refs/heads/main", "refs/tags/v1.1", "refs/tags/v1.1.0-rc1", "refs/pull/7/merge"]
)
def test_a_reference_that_is_no_release_tag_is_refused(repository: ReleaseRepository, reference: str) -> None:
    with pytest.raises(TagError, match="is no release"):
        check({"GITHUB_REF": reference, "GITHUB_SHA": "a" * 40}, repository.folder, "main")
