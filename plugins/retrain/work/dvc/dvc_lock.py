"""The format of dvc.lock, read without dvc.yaml, to check that DVC's description has every output."""

from __future__ import annotations

import yaml

from retrain.errors import DvcLockError


def dvc_lock_outputs(text: str) -> list[tuple[str, str, str]]:
    """Stage, path and MD5 of each output that has an MD5 in a dvc.lock. The path is relative to the stage's wdir, which is not there.

    Raises:
        DvcLockError: the text is not a dvc.lock.
    """
    try:
        stages = (yaml.safe_load(text) or {}).get("stages") or {}
        outs = [(str(stage), out) for stage, entry in stages.items() for out in entry.get("outs", ())]
        return [(stage, str(out["path"]), str(out["md5"])) for stage, out in outs if "md5" in out]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise DvcLockError(f"The dvc.lock cannot be read ({why}). Clear reproduce.") from error
