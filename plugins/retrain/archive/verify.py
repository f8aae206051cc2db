"""Verifying recorded runs: every object that they need is on the remote and has the recorded content."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import islice

from retrain.archive.folder_members import folder_members, forget_others
from retrain.archive.recorded_documents import RecordedDocuments
from retrain.run.run_record import RunRecord
from retrain.store.fetch import Progress, tampered
from retrain.store.proving import examine
from retrain.store.receipt import Proof
from retrain.store.remote import Remote
from retrain.work.dvc.outputs import CachedObject

_AT_A_TIME = 64  # runs whose folders are read together


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


def verify(
    records: Sequence[RunRecord],
    documents: RecordedDocuments,
    remote: Remote,
    pruned: Container[str] = (),
    progress: Progress = lambda _done, _total: None,
) -> Verified:
    """Check every object that these runs need, each once.

    Args:
        records: the runs.
        documents: the documents of their entries.
        remote: the remote that holds their outputs.
        pruned: the run keys whose objects were removed on purpose; these runs are left out.
        progress: called with the runs read and all runs.

    Raises:
        TamperedError: the listing of a directory has other content than was recorded.
        RecordError: a document of an entry cannot be read.
    """
    checked = [record for record in records if record.run_key not in pruned]
    # Several paths may have the same content: the first names it. Objects are in memory once, however many runs need them.
    items: dict[str, CachedObject] = {}
    members: dict[str, list[str]] = {}
    own: dict[str, None] = {}
    unproven: list[str] = []
    read = zip(checked, documents.outputs(checked, progress), strict=True)
    while some := list(islice(read, _AT_A_TIME)):
        folders: dict[str, CachedObject] = {}
        for record, outputs in some:
            if record.version_1 and record.outputs and not outputs:
                unproven.append(record.run_key)
            for item in (output.item for output in outputs):
                own[items.setdefault(item.key, item).key] = None
                if item.md5.endswith(".dir") and item.key not in members:
                    folders.setdefault(item.key, item)
        for folder, found in folder_members(remote, list(folders.values()), documents.index):
            members[folder.key] = [items.setdefault(item.key, item).key for item in found]
    if documents.listed:  # of all days: the directories of pruned runs are not read again
        forget_others(members, documents.index)
    seen = remote.look(items)
    # Only a folder whose listing is there needs its files: without the listing they cannot be found.
    needed = {**own, **dict.fromkeys(key for folder, keys in members.items() if folder in seen for key in keys)}
    proofs: dict[str, Proof] = {}
    missing, wrong = examine(remote, [items[key] for key in needed], seen, None, {}, proofs)
    spoilt = [item for item in wrong if item.key in members]
    if spoilt:
        raise tampered(spoilt[0], remote)
    return Verified(
        len(checked),
        len(records) - len(checked),
        len(proofs),
        tuple(missing),
        tuple(wrong),
        remote.requests,
        tuple(unproven),
    )
