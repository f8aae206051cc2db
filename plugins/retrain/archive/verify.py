"""Verifying recorded runs: every object that they need is on the remote and has the recorded content."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from retrain.archive import entry
from retrain.run.run_record import RunRecord
from retrain.store.fetch import list_files
from retrain.store.ledger import Ledger
from retrain.store.proving import examine
from retrain.store.receipt import Proof
from retrain.store.remote import Remote
from retrain.work.dvc.outputs import CachedObject


@dataclass(frozen=True)
class Verified:
    """The result of a check.

    `runs`: runs checked. `pruned`: runs left out, because their objects were removed on purpose. `proven`: objects with the recorded
    content. `missing`, `wrong`: the other objects, each with a path that needs it. `requests`: requests sent to S3. `unproven`: run
    keys of entries whose receipt proves none of their outputs; version 1 wrote such receipts for a dvc.yaml with templated paths.
    """

    runs: int
    pruned: int
    proven: int
    missing: tuple[CachedObject, ...]
    wrong: tuple[CachedObject, ...]
    requests: int
    unproven: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """True if nothing is missing, wrong or unproven."""
        return not self.missing and not self.wrong and not self.unproven


def verify(records: Iterable[RunRecord], ledger: Ledger, remote: Remote, pruned: Container[str] = ()) -> Verified:
    """Check every object that these runs need, each once.

    Args:
        records: the runs.
        ledger: the ledger that holds their entries.
        remote: the remote that holds their outputs.
        pruned: the run keys whose objects were removed on purpose; these runs are left out.

    Raises:
        TamperedError: the listing of a directory has other content than was recorded.
        RecordError: a document of an entry cannot be read.
    """
    items: dict[str, CachedObject] = {}
    gone: dict[str, CachedObject] = {}
    count = left_out = 0
    unproven: list[str] = []
    for record in records:
        if record.run_key in pruned:
            left_out += 1
            continue
        count += 1
        outputs = entry.outputs(record, ledger)
        if record.version_1 and record.outputs and not outputs:
            unproven.append(record.run_key)
        files, absent = list_files(remote, outputs)
        gone |= {item.key: item for item in absent}
        for item in [*(output.item for output in outputs), *(file.item for file in files)]:
            items.setdefault(item.key, item)  # several paths may have the same content: the first names it
    proofs: dict[str, Proof] = {}
    items = {key: item for key, item in items.items() if key not in gone}
    missing, wrong = examine(remote, list(items.values()), remote.look(items), None, {}, proofs)
    return Verified(
        count, left_out, len(proofs), (*gone.values(), *missing), tuple(wrong), remote.requests, tuple(unproven)
    )
