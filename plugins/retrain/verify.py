"""Recorded runs, checked against the bucket again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from retrain.description import CachedObject
from retrain.ledger import Ledger
from retrain.proving import examine
from retrain.receipt import Proof
from retrain.remote import Remote
from retrain.restore import list_files
from retrain.run_record import RunRecord


@dataclass(frozen=True)
class Verified:
    """What a check of one or more runs found: objects proven, missing, and wrong, each with the path that needs it."""

    runs: int
    proven: int
    missing: tuple[CachedObject, ...]
    wrong: tuple[CachedObject, ...]
    requests: int

    @property
    def sound(self) -> bool:
        return not self.missing and not self.wrong


def verify(records: Iterable[RunRecord], ledger: Ledger, remote: Remote) -> Verified:
    """Prove every object that these runs need, each once: present, and with its content. A listing that was changed raises TamperedError."""
    items: dict[str, CachedObject] = {}
    gone: dict[str, CachedObject] = {}
    count = 0
    for record in records:
        count += 1
        receipt = ledger.committed_receipt(record).by_key
        outputs = ledger.lock(record).outputs_in(receipt)
        files, absent = list_files(remote, outputs)
        gone |= {item.key: item for item in absent}
        for item in [*(output.item for output in outputs), *(file.item for file in files)]:
            items.setdefault(item.key, item)  # the same content may stand in several places: the first names it
    proofs: dict[str, Proof] = {}
    items = {key: item for key, item in items.items() if key not in gone}
    missing, wrong = examine(remote, list(items.values()), remote.look(items), None, {}, proofs)
    return Verified(count, len(proofs), (*gone.values(), *missing), tuple(wrong), remote.requests)
