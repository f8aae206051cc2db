"""Deleting objects of the DVC remote that no kept ledger entry needs. No other module deletes, and only a person starts it."""

from __future__ import annotations

from collections.abc import Container, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from retrain.archive import recorded_documents
from retrain.errors import LedgerUnreadableError, RetrainError, StoreError
from retrain.run.run_record import RunRecord
from retrain.store import ledger_facts, ledger_index, mutable_objects, s3
from retrain.store.fetch import Progress
from retrain.store.ledger import Ledger
from retrain.store.remote import Remote

# The objects of a run that has pushed and is not recorded yet are in no entry.
GRACE = timedelta(days=2)


@dataclass(frozen=True)
class Plan:
    """The effect of a prune.

    `remove`: the keys to delete, each with its size in bytes. `kept`: the entries of the days that are kept. `losing`: older
    entries that lose objects.
    """

    remove: dict[str, int]
    kept: tuple[RunRecord, ...]
    losing: tuple[RunRecord, ...]

    @property
    def bytes(self) -> int:
        return sum(self.remove.values())


def kept_entries(records: Iterable[RunRecord], keep_days: int) -> tuple[list[RunRecord], list[RunRecord]]:
    """The entries of the newest `keep_days` days, superseded ones included, and the older entries.

    Days are counted back from the newest partition.
    """
    known = sorted(records, key=lambda record: record.partition)
    if not known:
        return [], []
    first = _first_kept(known[-1].partition, keep_days)
    return [r for r in known if r.partition >= first], [r for r in known if r.partition < first]


def _first_kept(newest: str, keep_days: int) -> str:
    return (date.fromisoformat(newest) - timedelta(days=keep_days - 1)).isoformat()


def plan(
    ledger: Ledger,
    remote: Remote,
    pipeline: str,
    keep_days: int,
    now: datetime | None = None,
    *,
    indexes: Path | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Plan:
    """Find the objects that can be deleted from the remote. Changes nothing.

    Args:
        ledger: the ledger of all pipelines that share the remote.
        remote: the remote.
        pipeline: the pipeline whose old entries may lose objects.
        keep_days: as for `kept_entries`.
        now: the time against which the age of objects is measured; the current time by default.
        indexes: the folder of the ledgers' indexes. None reads every document from the ledger: a plan that will be carried out
            is made without an index.
        progress: called with the other pipelines read and all others.

    Raises:
        LedgerUnreadableError: a record or a receipt cannot be read, or there is no entry, so it is not known which objects are needed.
    """
    with ledger_index.opened(indexes, ledger.url, pipeline) as index:
        try:
            # Other pipelines may share the remote: their objects are all kept.
            reachable = _needed_by_others(ledger, pipeline, indexes, progress)
            documents = recorded_documents.of_all_days(ledger, pipeline, index)
            kept, dropped = kept_entries(documents.records(), keep_days)
            reachable.update(key for keys in documents.stored_keys(kept) for key in keys)
            if kept:  # a run that has fetched its data and is not recorded yet cannot fetch it again
                first = _first_kept(kept[-1].partition, keep_days)
                reachable.update(key for keys in documents.fetched_keys(first) for key in keys)
                reachable.update(key for keys in documents.attempted_keys(first) for key in keys)
        except RetrainError as error:
            raise LedgerUnreadableError(
                f"The ledger of {pipeline} cannot be read whole: {error} Nothing was removed."
            ) from error
        if not kept:
            raise LedgerUnreadableError(
                f"The ledger of {pipeline} at {ledger.url} has no entry. Nothing was removed: check the address."
            )
        remove = _unreachable(remote, reachable, (now or datetime.now(UTC)) - GRACE)
        gone = ledger_facts.pruned(ledger, pipeline)
        held = [record for record in dropped if record.run_key not in gone]
        stored = zip(held, documents.stored_keys(held), strict=True)
        losing = tuple(record for record, keys in stored if not remove.keys().isdisjoint(keys))
    return Plan(remove, tuple(kept), losing)


def _needed_by_others(ledger: Ledger, pipeline: str, indexes: Path | None, progress: Progress) -> set[str]:
    """The keys of all objects that entries of other pipelines need."""
    others = [name for name in ledger.pipelines() if name != pipeline]
    needed: set[str] = set()
    for done, name in enumerate(others, start=1):
        with ledger_index.opened(indexes, ledger.url, name) as index:
            documents = recorded_documents.of_all_days(ledger, name, index)
            needed.update(key for keys in documents.stored_keys(documents.records()) for key in keys)
            needed.update(key for keys in documents.fetched_keys() for key in keys)
            needed.update(key for keys in documents.attempted_keys() for key in keys)
        progress(done, len(others))
    return needed


def _unreachable(remote: Remote, reachable: Container[str], young: datetime) -> dict[str, int]:
    """The objects of the remote that no kept entry needs and that were written before `young`: size in bytes by key."""
    stored = s3.entries(remote.client, f"{remote.url}/files")
    return {key: each.size for each in stored if (key := f"files/{each.key}") not in reachable and each.at < young}


def carry_out(chosen: Plan, ledger: Ledger, remote: Remote, keep_days: int) -> int:
    """Delete the objects of a plan that was made without an index; returns how many were deleted.

    The ledger notes the runs that lose objects before anything is deleted, so that `verify` and `rebuild` know of them even if
    this is interrupted. If S3 refuses and nothing was deleted, it notes that the runs have their objects.

    Raises:
        StoreError: S3 refused.
    """
    with ThreadPoolExecutor(s3.AT_ONCE) as pool:
        list(pool.map(lambda record: ledger_facts.note_removed(ledger, record, keep_days), chosen.losing))
    try:
        return mutable_objects.delete(remote.client, remote.url, sorted(chosen.remove))
    except StoreError:
        if len(remote.look(chosen.remove)) == len(chosen.remove):
            for record in chosen.losing:
                ledger_facts.note_stored(ledger, record.spec)
        raise
