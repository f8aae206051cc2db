"""An attempt that has something else than the ledger keeps for its run key."""

from __future__ import annotations

import hashlib

from retrain.errors import LedgerConflictError
from retrain.run.run_record import RunRecord
from retrain.store.errors import OtherOutputsError


def require_same_outputs(kept: RunRecord, record: RunRecord, folder: str) -> None:
    """Check that an attempt has the outputs of the record that the ledger keeps in `folder`.

    Raises:
        OtherOutputsError: it has others, made in the same environment.
        LedgerConflictError: it has others, made in another environment, or the kept record is of version 1.
    """
    # Version 1 recorded only the outputs of the dvc.yaml at the top of the repository.
    paths = kept.outputs if kept.version_1 else {*kept.outputs, *record.outputs}
    other = [path for path in paths if kept.outputs.get(path) != record.outputs.get(path)]
    if not other:
        return
    path = min(other)
    said = (
        f"{folder} is committed with other outputs, {path} among {len(other)}: recorded {kept.outputs.get(path)}, now "
        f"{record.outputs.get(path)}. The kept entry stands. "
    )
    if kept.environment != record.environment:
        raise LedgerConflictError(
            f"{said}It was made in the environment {kept.environment}, this attempt ran in {record.environment}: the release's "
            "packages were resolved anew. Pin them in a new release, and run the day with it."
        )
    if kept.version_1:
        raise LedgerConflictError(
            f"{said}An entry of version 1 does not describe its outputs, so they cannot be put in place of this attempt's. "
            "make restore brings them back; run the day with a new release."
        )
    raise OtherOutputsError(f"{said}A stage does not repeat itself.", kept)


def other_bytes(url: str, kept: bytes, own: bytes) -> LedgerConflictError:
    """The error for a document of an entry with the bytes `kept`, which has to have the bytes `own`."""
    return LedgerConflictError(
        f"{url} holds other bytes (SHA-256 {_sha256(kept)}) than this run would write ({_sha256(own)}). It stands. If no run.json is "
        "beside it, an attempt of an earlier deployment was killed here: move it away, then clear the task. Else check who may write to "
        "the ledger."
    )


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
