"""The requirements file beside a pipeline's file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from retrain.deployment.pipeline_file import Deployment
from retrain.deployment.sections import Packages
from retrain.work.environments import release_packages, supplied_lock
from retrain.work.environments.definition import SuppliedLock
from retrain.work.environments.errors import SuppliedLockError


def deployed(folder: Path, lock: str | None) -> Deployment:
    """A deployment of which only the folder of its file and `packages.lock` are set."""
    return Deployment.model_construct(pipelines=folder, packages=Packages(lock=lock))


def test_without_the_key_there_is_none(tmp_path: Path) -> None:
    assert release_packages.supplied_sha256(deployed(tmp_path, None)) is None


def test_its_hash_is_that_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_bytes(b"six==1\n")
    assert release_packages.supplied_sha256(deployed(tmp_path, "lock.txt")) == hashlib.sha256(b"six==1\n").hexdigest()


def test_a_link_within_the_folder_is_followed_as_in_a_mounted_volume(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "lock.txt").write_text("six==1\n")
    (tmp_path / "lock.txt").symlink_to("..data/lock.txt")
    assert release_packages.supplied_sha256(deployed(tmp_path, "lock.txt"))


def test_a_missing_file_is_named_with_its_folder(tmp_path: Path) -> None:
    with pytest.raises(SuppliedLockError, match=rf"packages\.lock names lock\.txt, which is not in {tmp_path}"):
        release_packages.supplied_sha256(deployed(tmp_path, "lock.txt"))


def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "outside.txt").write_text("six==1\n")
    (tmp_path / "pipelines" / "lock.txt").symlink_to("../outside.txt")
    with pytest.raises(SuppliedLockError, match=r"lock\.txt, which leads out of the folder of the pipelines' files"):
        release_packages.supplied_sha256(deployed(tmp_path / "pipelines", "lock.txt"))


def test_a_file_that_changed_since_its_run_was_resolved_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text("six==1\n")
    with pytest.raises(SuppliedLockError, match=r"lock\.txt was changed after the run was resolved.*resolve_run"):
        supplied_lock.content(SuppliedLock(tmp_path / "lock.txt", "0" * 64))
