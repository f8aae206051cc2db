"""What the stages of one run have fetched, kept for its later attempts: documents in its ledger entry, objects on the remote."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from retrain.errors import GoneError
from retrain.inputs.fetched_stage import FetchedStage
from retrain.run.run_spec import RunSpec
from retrain.store import proving, s3
from retrain.store.cached_objects import objects_of, put_aside
from retrain.store.fetch import tampered
from retrain.store.ledger import FETCHED, Ledger
from retrain.store.receipt import names
from retrain.store.remote import Remote, md5_of
from retrain.work.dvc.outputs import CachedObject, Output

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FetchedOutputs:
    """The fetched outputs of the run `spec`.

    Raises:
        StoreError: every method, if S3 refuses a request or does not answer.
    """

    ledger: Ledger
    spec: RunSpec
    remote: Remote

    def known(self) -> dict[str, FetchedStage]:
        """What was fetched until now, by the stage's address.

        Raises:
            RecordError: a document cannot be read.
            RecordVersionError: a newer deployment wrote one.
        """
        read = (FetchedStage.from_json(body, url) for url, body in self.ledger.fetched(self.spec).items())
        return {fetched.stage: fetched for fetched in read}

    def keep(self, entries: dict[str, str], outputs: Iterable[Output], cache: Path) -> dict[str, FetchedStage]:
        """Upload the outputs that stages have fetched, prove them, and note them in the ledger; returns what the ledger has then.

        If another attempt was first, its document stays.

        Args:
            entries: the entries of the stages in dvc.lock, as YAML by address.
            outputs: the outputs of these stages.
            cache: the DVC cache that has them.

        Raises:
            RetrainError: as for `proving.push_and_prove`.
        """
        made = list(outputs)
        items = objects_of(made, cache)
        proofs = proving.push_and_prove(lambda: self._send(items, cache), self.remote, items, cache, {}).receipt.by_key
        now = datetime.now(UTC).isoformat(timespec="seconds")
        kept: dict[str, FetchedStage] = {}
        for stage, entry in entries.items():
            own = tuple(output for output in made if output.stage == stage)
            found = tuple(proofs[item.key] for item in objects_of(own, cache))
            ours = FetchedStage(stage, now, entry, own, found)
            body = self.ledger.keep_fetched(self.spec, ours.name, ours.to_json())
            url = f"{self.ledger.folder(self.spec)}/{FETCHED}/{ours.name}"
            kept[stage] = FetchedStage.from_json(body, url)
            log.info("stage %s has fetched %d objects, %d bytes", stage, len(found), sum(proof.size for proof in found))
        return kept

    def _send(self, items: Sequence[CachedObject], cache: Path) -> None:
        """Upload the objects that the remote lacks."""
        seen = self.remote.look_at_each(item.key for item in items)
        with ThreadPoolExecutor(s3.AT_ONCE) as pool:
            list(
                pool.map(lambda key: self.remote.upload(key, cache / key), [i.key for i in items if i.key not in seen])
            )

    def bring(self, fetched: Iterable[FetchedStage], cache: Path) -> None:
        """Make sure that the cache has all objects of these stages with their content; what it lacks comes from the remote.

        Raises:
            GoneError: an object is neither in the cache nor on the remote.
            TamperedError: an object on the remote has other content than was fetched.
        """
        needed = {key: _object(key, each) for each in fetched for key in each.keys}
        with ThreadPoolExecutor(s3.AT_ONCE) as pool:
            there = pool.map(lambda item: _is_intact(item, cache), needed.values())
            lacking = [item for item, intact in zip(needed.values(), there, strict=True) if not intact]
            seen = self.remote.look_at_each(item.key for item in lacking)
            gone = [item for item in lacking if item.key not in seen]
            if gone:
                raise GoneError(
                    f"{len(gone)} objects that were fetched for {self.spec.partition} are neither in the cache nor on {self.remote.url}: "
                    f"{names(gone)}. If the bucket keeps versions, restore them there. Else start the day again with a higher refetch."
                )
            list(pool.map(lambda item: self._download(item, cache), lacking))

    def _download(self, item: CachedObject, cache: Path) -> None:
        target = cache / item.key
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            if self.remote.download(item.key, part) != item.checksum:
                raise tampered(item, self.remote)
            part.chmod(0o444)  # as DVC keeps its objects
            part.rename(target)
        finally:
            part.unlink(missing_ok=True)


def same_outputs(one: FetchedStage, entries: dict[str, str], outputs: Sequence[Output]) -> bool:
    """True if a stage's document has the outputs and the entry that this attempt made."""
    own = {(output.path, output.md5) for output in outputs if output.stage == one.stage}
    return one.entry == entries[one.stage] and {(output.path, output.md5) for output in one.outputs} == own


def _object(key: str, fetched: FetchedStage) -> CachedObject:
    """An object of a stage, named by the first output: which file of a folder it is, only the folder's listing says."""
    md5 = "".join(key.split("/")[-2:])
    path = next((output.path for output in fetched.outputs if output.md5 == md5), fetched.outputs[0].path)
    return CachedObject(md5, fetched.stage, path)


def _is_intact(item: CachedObject, cache: Path) -> bool:
    """True if the cache has the object with its content. A corrupt one is put aside, because DVC would take it on trust."""
    path = cache / item.key
    if not path.is_file():
        return False
    if md5_of(path) != item.checksum:
        log.warning("%s in the cache is not what its name says: it is put aside and fetched from the remote", item.key)
        put_aside(path)
        return False
    return True
