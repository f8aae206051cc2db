"""Workspaces of runs that share a volume."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import pytest

from retrain.errors import ConfigurationError
from retrain.work import workspace

WEEKS_AGO = 1_500_000_000


@pytest.fixture
def left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that two runs left behind, attempts in them."""
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path))
    folders = [workspace.of_run("taxi", run) for run in ("first", "second")]
    for folder in folders:
        (folder / "attempt" / "checkout").mkdir(parents=True)
        (folder / "attempt" / "checkout" / "dvc.yaml").write_text("stages: {}")
        for path in (folder / "attempt" / "checkout", folder / "attempt", folder):
            os.utime(path, (WEEKS_AGO, WEEKS_AGO))
    return folders


@pytest.mark.parametrize("value", [None, "", "retrain"])
def test_a_volume_that_is_not_named_is_never_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("RETRAIN_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("RETRAIN_HOME", value)
    with pytest.raises(ConfigurationError, match=f"RETRAIN_HOME is {value!r}"):
        workspace.home()


def test_a_run_removes_its_own_workspaces_and_no_others(left_behind: list[Path]) -> None:
    first, second = left_behind
    assert workspace.remove("taxi", "first") == [first.name]
    assert (first.exists(), second.exists()) == (False, True)
    assert workspace.remove("taxi", "first") == []


def test_a_workspace_in_which_nothing_changed_for_long_is_abandoned(left_behind: list[Path]) -> None:
    first, second = left_behind
    (second / "attempt" / "checkout" / "dvc.lock").write_text("stages: {}")  # a task of it works on
    assert workspace.abandoned(first.parent, WEEKS_AGO + 1) == [first]
    assert workspace.abandoned(first.parent, WEEKS_AGO) == []


def test_a_folder_that_its_run_removes_at_the_same_moment_fails_neither(
    left_behind: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = left_behind[0]
    unlink = os.unlink

    def the_other_is_faster(path: str, **where: object) -> None:
        monkeypatch.setattr(os, "unlink", unlink)
        shutil.rmtree(folder)
        unlink(path, **where)

    monkeypatch.setattr(os, "unlink", the_other_is_faster)
    assert workspace.remove_folder(folder)
    assert not folder.exists()
    assert workspace.abandoned(folder.parent, math.inf) == [left_behind[1]]


def test_a_workspace_that_cannot_be_removed_fails_the_removal(
    left_behind: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "unlink", refused)
    with pytest.raises(PermissionError):
        workspace.remove("taxi", "first")
    assert left_behind[0].exists()
