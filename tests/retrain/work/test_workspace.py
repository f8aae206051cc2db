"""Workspaces of runs that share a volume."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest

from retrain.work import workspace

WEEKS_AGO = 1_500_000_000


@pytest.fixture
def abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that two runs left behind, attempts in them."""
    monkeypatch.setenv("RETRAIN_HOME", str(tmp_path))
    folders = [workspace.of_run("taxi", run) for run in ("first", "second")]
    for folder in folders:
        (folder / "attempt" / "checkout").mkdir(parents=True)
        (folder / "attempt" / "checkout" / "dvc.yaml").write_text("stages: {}")
        os.utime(folder, (WEEKS_AGO, WEEKS_AGO))
    return folders


class OtherRun(logging.Handler):
    """Sweeps a folder between the moment when a run says that it will remove it and the moment when it does."""

    def emit(self, record: logging.LogRecord) -> None:
        assert isinstance(record.args, tuple)
        shutil.rmtree(str(record.args[0]))


def test_of_two_runs_that_sweep_the_same_abandoned_folders_neither_fails(abandoned: list[Path]) -> None:
    other = OtherRun()
    logging.getLogger("retrain.work.workspace").addHandler(other)
    try:
        gone = workspace.remove("taxi", "today")
    finally:
        logging.getLogger("retrain.work.workspace").removeHandler(other)
    assert sorted(gone) == sorted(folder.name for folder in abandoned)
    assert not [folder for folder in abandoned if folder.exists()]


def test_a_workspace_that_cannot_be_removed_fails_the_removal(
    abandoned: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "unlink", refused)
    with pytest.raises(PermissionError):
        workspace.remove("taxi", "today")
    assert [folder for folder in abandoned if folder.exists()]
