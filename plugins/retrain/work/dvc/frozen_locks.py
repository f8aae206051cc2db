"""Frozen stages whose dvc.lock DVC cannot read. DVC does not run them, and only dvc.lock says what their outputs are."""

from __future__ import annotations

from retrain.work.dvc.description import Description
from retrain.work.dvc.errors import FrozenLockError


def require_readable(described: Description) -> None:
    """Make sure that no frozen stage of a run needs a dvc.lock that DVC cannot read. A stage whose outputs are in the commit does not.

    Raises:
        FrozenLockError: one does. The message names stage, file and DVC's reason.
    """
    unreadable = {lock.file: lock.unreadable for lock in described.locks if lock.unreadable is not None}
    for stage in described.stages:
        file = f"{stage.file.removesuffix('.yaml')}.lock"
        missing = [out.path for out in stage.outs if out.path in described.missing]
        if stage.frozen and stage.reached and missing and file in unreadable:
            raise FrozenLockError(
                f"DVC cannot read {file} ({unreadable[file]}), and stage {stage.name} is frozen: only that file says what its output "
                f"{missing[0]} is. Repair {file} with dvc commit, or remove frozen from the stage, in a new release."
            )
