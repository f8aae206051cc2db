"""Deleting objects of the DVC remote that no kept ledger entry needs. No other module deletes, and only a person starts it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from retrain.errors import LedgerUnreadableError, RetrainError
from retrain.run.run_record import RunRecord
from retrain.store import ledger_facts, s3
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
    first = (date.fromisoformat(known[-1].partition) - timedelta(days=keep_days - 1)).isoformat()
    return [r for r in known if r.partition >= first], [r for r in known if r.partition < first]


def plan(ledger: Ledger, remote: Remote, pipeline: str, keep_days: int, now: datetime | None = None) -> Plan:
    """Find the objects that can be deleted from the remote. Changes nothing.

    Args:
        ledger: the ledger of all pipelines that share the remote.
        remote: the remote.
        pipeline: the pipeline whose old entries may lose objects.
        keep_days: as for `kept_entries`.
        now: the time against which the age of objects is measured; the current time by default.

    Raises:
        LedgerUnreadableError: a record or a receipt cannot be read, or there is no entry, so it is not known which objects are needed.
    """
    try:
        kept, dropped = kept_entries(ledger.records(pipeline), keep_days)
        # Other pipelines may share the remote: their objects are all kept.
        others = [record for name in ledger.pipelines() if name != pipeline for record in ledger.records(name)]
        reachable = {key for record in [*kept, *others] for key in ledger.committed_receipt(record).by_key}
    except RetrainError as error:
        raise LedgerUnreadableError(
            f"The ledger of {pipeline} cannot be read whole: {error} Nothing was removed."
        ) from error
    if not kept:
        raise LedgerUnreadableError(
            f"The ledger of {pipeline} at {ledger.url} has no entry. Nothing was removed: check the address."
        )
    young = (now or datetime.now(UTC)) - GRACE
    stored = s3.list_objects(remote.client, f"{remote.url}/files")
    remove = {
        f"files/{key}": size for key, (size, at) in stored.items() if f"files/{key}" not in reachable and at < young
    }
    gone = ledger_facts.pruned(ledger, pipeline)
    losing = [
        record
        for record in dropped
        if record.run_key not in gone and not remove.keys().isdisjoint(ledger.committed_receipt(record).by_key)
    ]
    return Plan(remove, tuple(kept), tuple(losing))


def carry_out(chosen: Plan, ledger: Ledger, remote: Remote, keep_days: int) -> int:
    """Delete the objects of a plan; returns how many were deleted.

    The ledger notes the runs that lose objects before anything is deleted, so that `verify` and `rebuild` know of them even if
    this is interrupted.

    Raises:
        StoreError: S3 refused.
    """
    for record in chosen.losing:
        ledger_facts.note_removed(ledger, record, keep_days)
    return s3.delete(remote.client, remote.url, sorted(chosen.remove))
