"""The only thing of ours that deletes, on a person's word: objects that no kept ledger entry reaches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from retrain.errors import LedgerUnreadableError, RetrainError, StoreError
from retrain.run.run_record import RunRecord
from retrain.store import ledger_facts, s3
from retrain.store.ledger import Ledger
from retrain.store.remote import Remote

# A run that has pushed and is not recorded yet has objects that no entry reaches.
GRACE = timedelta(days=2)
_BATCH = 1000


@dataclass(frozen=True)
class Plan:
    """What would go: keys with their bytes; the entries that are kept, and those that lose objects."""

    remove: dict[str, int]
    kept: tuple[RunRecord, ...]
    losing: tuple[RunRecord, ...]

    @property
    def bytes(self) -> int:
        return sum(self.remove.values())


def kept_entries(records: Iterable[RunRecord], keep_days: int) -> tuple[list[RunRecord], list[RunRecord]]:
    """Entries of the newest `keep_days` days, counted back from the newest partition, and the others. Superseded ones of those days stay."""
    known = sorted(records, key=lambda record: record.partition)
    if not known:
        return [], []
    first = (date.fromisoformat(known[-1].partition) - timedelta(days=keep_days - 1)).isoformat()
    return [r for r in known if r.partition >= first], [r for r in known if r.partition < first]


def plan(ledger: Ledger, remote: Remote, pipeline: str, keep_days: int, now: datetime | None = None) -> Plan:
    """What may be removed from the remote.

    Raises:
        LedgerUnreadableError: a record or a receipt cannot be read: nothing can be said, nothing is removed.
    """
    try:
        kept, dropped = kept_entries(ledger.records(pipeline), keep_days)
        # Other pipelines may share the remote: all that theirs reach stays.
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
    """Remove what the plan says; returns how many objects went.

    That a run loses its objects is noted in the ledger first, so that `verify` and `rebuild` know it whatever happens next.
    """
    for record in chosen.losing:
        ledger_facts.note_removed(ledger, record, keep_days)
    bucket, prefix = s3.split(f"{remote.url}/")
    keys = sorted(chosen.remove)
    for start in range(0, len(keys), _BATCH):
        batch = [{"Key": prefix + key} for key in keys[start : start + _BATCH]]
        with s3.naming("DeleteObjects", remote.url):
            answer = remote.client.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})  # type: ignore[typeddict-item]
        refused = answer.get("Errors", [])
        if refused:
            raise StoreError(
                f"S3 refused to delete {refused[0].get('Key')}: {refused[0].get('Code')}, {len(refused)} of {len(batch)} in all; "
                f"{start + len(batch) - len(refused)} objects were removed. Give the role s3:DeleteObject, then run it again."
            )
    return len(keys)
