"""Recorded runs, checked against the bucket again."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from retrain.archive import entry
from retrain.store.fetch import list_files
from retrain.run.run_record import RunRecord
from retrain.store.ledger import Ledger
from retrain.store.proving import examine
from retrain.store.receipt import Proof
from retrain.store.remote import Remote
from retrain.work.dvc.description import CachedObject


@dataclass(frozen=True)
class Verified:
    """What a check of one or more runs found: objects proven, missing, and wrong, each with the path that needs it.

    `pruned` runs were left out: their objects were removed on purpose. `unproven` are the run keys of entries that prove none of
    their outputs, as version 1 could write them for a dvc.yaml whose paths are templates.
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
        return not self.missing and not self.wrong and not self.unproven


def verify(records: Iterable[RunRecord], ledger: Ledger, remote: Remote, pruned: Container[str] = ()) -> Verified:
    """Prove every object that these runs need, each once: present, and with its content.

    Args:
        pruned: the run keys whose objects were removed on purpose.

    Raises:
        TamperedError: the listing of a folder was changed.
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
            items.setdefault(item.key, item)  # the same content may stand in several places: the first names it
    proofs: dict[str, Proof] = {}
    items = {key: item for key, item in items.items() if key not in gone}
    missing, wrong = examine(remote, list(items.values()), remote.look(items), None, {}, proofs)
    return Verified(
        count, left_out, len(proofs), (*gone.values(), *missing), tuple(wrong), remote.requests, tuple(unproven)
    )
