"""Committed dvc.lock files that do not fit: what is said of them, what is removed, and the frozen stage that stops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from retrain.work.dvc.committed_locks import CommittedLock
from retrain.work.dvc.declared import DeclaredOutput, Stage
from retrain.work.dvc.description import Description
from retrain.work.dvc.errors import FrozenLockError
from retrain.work.dvc.frozen_locks import require_readable
from retrain.work.dvc.locks_of_run import forget_committed

OUT = DeclaredOutput("raw.csv", "out", True, True, False, None, False, None, None, None, False)
STAGE = Stage("get", "dvc.yaml", ("x",), ".", True, False, True, (), {}, (OUT,))
PLAIN = CommittedLock("dvc.lock", None, False, (), (), ())
LOCK = {"schema": "2.0", "stages": {"get": {"cmd": "x"}, "train": {"cmd": "y"}, "gone": {"cmd": "z"}}}


def described(*stages: Stage, lock: CommittedLock = PLAIN, missing: tuple[str, ...] = ()) -> Description:
    return Description(stages, {}, (), (), (), missing, {}, (lock,))


def test_the_sentence_about_a_lock_names_entries_and_reasons() -> None:
    lock = replace(PLAIN, gone=("a", "b", "c", "d"), old=("train",))
    expected = "dvc.lock has entries that are ignored: a, b, c and 1 more (no such stage); train (MD5s of DVC 2)"
    assert lock.ignored == expected
    assert replace(PLAIN, alone=True).ignored == "dvc.lock is ignored: no stage is in the dvc.yaml beside it"
    assert replace(PLAIN, unreadable="broken").ignored == "dvc.lock is ignored: DVC cannot read it (broken)"


def test_only_frozen_stages_keep_their_entries(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump(LOCK))
    forget_committed(tmp_path, described(STAGE, replace(STAGE, name="train", frozen=False)))
    assert yaml.safe_load((tmp_path / "dvc.lock").read_text())["stages"] == {"get": {"cmd": "x"}}


def test_a_lock_without_frozen_stages_and_one_that_cannot_be_read_are_removed(tmp_path: Path) -> None:
    running = replace(STAGE, frozen=False)
    for text, lock in ((yaml.safe_dump(LOCK), PLAIN), ("stages: [", replace(PLAIN, unreadable="broken"))):
        (tmp_path / "dvc.lock").write_text(text)
        forget_committed(tmp_path, described(running, lock=lock))
        assert not (tmp_path / "dvc.lock").exists()


def test_a_frozen_stage_stops_only_if_its_output_is_known_from_an_unreadable_lock_alone() -> None:
    broken = replace(PLAIN, unreadable="broken")
    with pytest.raises(
        FrozenLockError, match=r"cannot read dvc\.lock \(broken\), and stage get is frozen: .* raw\.csv"
    ):
        require_readable(described(STAGE, lock=broken, missing=("raw.csv",)))
    require_readable(described(STAGE, lock=broken))
    require_readable(described(STAGE, missing=("raw.csv",)))
    require_readable(described(replace(STAGE, reached=False), lock=broken, missing=("raw.csv",)))
    require_readable(described(replace(STAGE, frozen=False), lock=broken, missing=("raw.csv",)))
