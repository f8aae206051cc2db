"""The newest recorded days of a pipeline: what their entries in the ledger need in the caches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from retrain.archive import entry
from retrain.errors import LedgerUnreadableError, RetrainError
from retrain.run.manifest import Manifest
from retrain.run.run_record import RunRecord
from retrain.store import s3
from retrain.store.ledger import Ledger
from retrain.work.dvc.dvc_lock import dvc_lock_outputs

T = TypeVar("T")

_AT_ONCE = 8
_DAY = "dt="


def records(ledger: Ledger, pipeline: str, keep_days: int) -> list[RunRecord]:
    """All entries of the newest `keep_days` recorded days, superseded ones included; none if nothing is recorded.

    Raises:
        LedgerUnreadableError: one cannot be read, so it is not known what is needed.
    """
    try:
        folders = s3.list_folders(ledger.client, f"{ledger.url}/{pipeline}")
        days = sorted((name.removeprefix(_DAY) for name in folders if name.startswith(_DAY)), reverse=True)
        found: list[RunRecord] = []
        recorded = 0
        for day in days:
            entries = ledger.records(pipeline, day)
            found += entries
            recorded += bool(entries)
            if recorded == keep_days:
                break
    except RetrainError as error:
        raise _unreadable(pipeline, error) from error
    return found


def objects(kept: Sequence[RunRecord], ledger: Ledger) -> frozenset[str]:
    """The MD5s of all outputs of these runs, `cache: false` included, and of the files of those directories that were pushed.

    Raises:
        LedgerUnreadableError: a document cannot be read.
    """
    return frozenset().union(*_of_each(kept, partial(_outputs, ledger=ledger)))


def manifests(kept: Sequence[RunRecord], ledger: Ledger) -> list[Manifest]:
    """The manifests of these runs.

    Raises:
        LedgerUnreadableError: one cannot be read.
    """
    return _of_each(kept, lambda record: ledger.manifest(record.spec))


def _outputs(record: RunRecord, ledger: Ledger) -> set[str]:
    described = entry.description(record, ledger)
    if described is not None:
        outputs = {output.md5 for output in described.outputs}
    else:
        outputs = {md5 for _, _, md5 in dvc_lock_outputs(ledger.file(record, "dvc.lock").decode())}
    return outputs | {md5_of(key) for key in ledger.committed_receipt(record).by_key}


def md5_of(key: str) -> str:
    """The MD5 that an object's key `files/md5/ab/cdef...` names, with `.dir` for a directory."""
    return "".join(key.split("/")[-2:])


def _of_each(kept: Sequence[RunRecord], read: Callable[[RunRecord], T]) -> list[T]:
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(read, kept))
    except RetrainError as error:
        raise _unreadable(kept[0].pipeline, error) from error


def _unreadable(pipeline: str, error: RetrainError) -> LedgerUnreadableError:
    return LedgerUnreadableError(f"The ledger of {pipeline} cannot be read whole: {error} Nothing was removed.")
