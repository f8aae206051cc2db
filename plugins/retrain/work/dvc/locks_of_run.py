"""Makes the dvc.lock files of a checkout those of its run: what the release has committed is removed before the stages run."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from retrain.work.dvc.description import Description


def forget_committed(checkout: Path, described: Description) -> None:
    """Remove from each dvc.lock all stages that DVC may run. Frozen stages and `datasets` stay; a file that DVC cannot read goes.

    Args:
        checkout: the top of the DVC project.
        described: the checkout with its committed files.
    """
    unreadable = {lock.file for lock in described.locks if lock.unreadable is not None}
    for file in {stage.file for stage in described.stages}:
        name = PurePosixPath(file).with_suffix(".lock")
        path = checkout / name
        if not path.is_file():
            continue
        if str(name) in unreadable:
            path.unlink()
            continue
        frozen = {s.name.rpartition(":")[2] for s in described.stages if s.file == file and s.frozen}
        lock: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        lock["stages"] = {name: entry for name, entry in (lock.get("stages") or {}).items() if name in frozen}
        if lock["stages"] or "datasets" in lock:
            path.write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
        else:
            path.unlink()
