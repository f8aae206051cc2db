"""The dvc.lock files of a recorded run: one for each dvc.yaml with a stage that the run reached."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from retrain.archive import entry
from retrain.run.run_record import RunRecord
from retrain.store import s3
from retrain.store.ledger import Ledger
from retrain.work.dvc.description import Description

TOP = "dvc.lock"
_OTHERS = "locks"  # the folder of an entry with all but the top one


def document_of(path: str) -> str:
    """The name, in an entry, of the dvc.lock at this path of the DVC project."""
    return path if path == TOP else f"{_OTHERS}/{path}"


def written(described: Description, project: Path) -> dict[str, str]:
    """The text of each dvc.lock that `dvc repro` has written for the reached stages of a project, by path."""
    paths = sorted(_paths(described))
    return {path: (project / path).read_text(encoding="utf-8") for path in paths if (project / path).is_file()}


def recorded(record: RunRecord, ledger: Ledger) -> dict[str, bytes]:
    """The recorded dvc.lock files by path. An entry from before all of them were recorded has only the top one.

    Raises:
        StoreError: one does not exist any more.
        RecordError: the entry's description cannot be read.
    """
    described = entry.description(record, ledger)
    if described is None:
        return {TOP: ledger.file(record, TOP)}
    wanted = _paths(described)
    if others := wanted - {TOP}:
        held = set(s3.list_objects(ledger.client, f"{ledger.folder(record.spec)}/{_OTHERS}"))
        # If some are there and one is not, it was removed: `Ledger.file` names it.
        wanted = (wanted & {TOP}) | (others if held else set())
    return {path: ledger.file(record, document_of(path)) for path in sorted(wanted)}


def write(locks: Mapping[str, bytes], project: Path) -> None:
    """Write dvc.lock files to their places in a DVC project."""
    for path, content in locks.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_bytes(content)


def _paths(described: Description) -> set[str]:
    return {str(PurePosixPath(stage.file).with_suffix(".lock")) for stage in described.stages if stage.reached}
