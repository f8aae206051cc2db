"""Pushing with `dvc push` and proving that every object is on the remote: look, check, push, look again, upload what is wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from retrain.errors import CorruptCacheError, LostObjectError, UnprovenPushError
from retrain.store import s3
from retrain.store.cached_objects import put_aside
from retrain.store.receipt import Look, Proof, ProvenBy, Receipt, Seen, look, names
from retrain.store.remote import Remote, checksums_of, md5_of, multipart_etag
from retrain.work.dvc.outputs import CachedObject

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proven:
    """The receipt of a push, and its cost.

    `sent`: objects that were sent as expected. `healed`: objects that were uploaded again, because they were wrong on the remote or left out by DVC.
    `requests`: requests sent to S3, without DVC's own. `seconds`: the duration.
    """

    receipt: Receipt
    sent: int
    healed: int
    requests: int
    seconds: float


def push_and_prove(
    push: Callable[[], None],
    remote: Remote,
    objects: Sequence[CachedObject],
    cache: Path,
    earlier: Mapping[str, Proof],
    *,
    left_out: Container[str] = (),
) -> Proven:
    """Push `objects` to the remote and prove that each one is there with its content.

    Args:
        push: runs `dvc push`.
        remote: the remote.
        objects: every object that dvc.lock needs.
        cache: the local DVC cache.
        earlier: proofs of earlier receipts by key. An object with the same ETag and size is not proven again.
        left_out: the keys of objects that `dvc push` does not send to our remote. They are uploaded without it.

    Raises:
        LostObjectError: an object is neither in the cache nor on the remote.
        CorruptCacheError: an object that has to be sent has wrong content in the cache. It is put aside, nothing is sent.
        UnprovenPushError: the remote still lacks an object, or holds wrong content, after it was uploaded again.
    """
    started = time.monotonic()
    proofs: dict[str, Proof] = {}
    missing, wrong = examine(remote, objects, remote.look_at_each(o.key for o in objects), cache, earlier, proofs)
    _check_local([*missing, *wrong], cache)
    # Before the push: DVC reads the listings of directories from the remote, and fails on a corrupt one.
    _heal(remote, wrong, cache)
    own = [item for item in missing if item.key in left_out]
    with ThreadPoolExecutor(s3.AT_ONCE) as pool:
        list(pool.map(lambda item: remote.upload(item.key, cache / item.key), own))
    push()
    sent = len(missing)
    if missing:
        still, bad = examine(remote, missing, remote.look_at_each(o.key for o in missing), cache, {}, proofs)
        _heal(remote, [*still, *bad], cache)
        wrong = [*wrong, *still, *bad]
        sent -= len(still)
    if wrong:
        after = remote.look_at_each(o.key for o in wrong)
        unhealed = [item for group in examine(remote, wrong, after, cache, {}, proofs) for item in group]
        if unhealed:
            raise UnprovenPushError(
                f"{len(unhealed)} of {len(objects)} objects are not proven on {remote.url}, after an upload of their own: {names(unhealed)}. "
                "The run is not recorded. Something else writes to this prefix, or the store is broken: find it, then clear push."
            )
    receipt = Receipt(remote.url, tuple(proofs[key] for key in sorted(proofs)))
    return Proven(receipt, sent, len(wrong), remote.requests, round(time.monotonic() - started, 2))


def _heal(remote: Remote, items: Sequence[CachedObject], cache: Path) -> None:
    for item in items:
        log.warning("healing %s: the remote does not hold its content", item.key)
        remote.upload(item.key, cache / item.key)


def examine(
    remote: Remote,
    objects: Sequence[CachedObject],
    seen: Mapping[str, Seen],
    cache: Path | None,
    earlier: Mapping[str, Proof],
    proofs: dict[str, Proof],
) -> tuple[list[CachedObject], list[CachedObject]]:
    """Find out which objects are on the remote with their content; returns the missing and the wrong ones.

    Args:
        remote: the remote.
        objects: the objects to examine.
        seen: what `Remote.look` or `Remote.look_at_each` returned for them, by key.
        cache: the local DVC cache to compare with. Without it, an object whose ETag proves nothing is read whole.
        earlier: proofs of earlier receipts by key.
        proofs: the proof of each proven object is added here, by key.
    """
    missing: list[CachedObject] = []
    wrong: list[CachedObject] = []

    def proof(item: CachedObject) -> tuple[Look, Proof | None]:
        return _proof(remote, item, seen.get(item.key), cache, earlier.get(item.key))

    undecided = [item for item in objects if look(item, seen.get(item.key), earlier.get(item.key))[0] is Look.UNDECIDED]
    with ThreadPoolExecutor(s3.AT_ONCE) as pool:  # what a listing does not decide costs a request or two
        deeper = dict(zip((item.key for item in undecided), pool.map(proof, undecided), strict=True))
    for item in objects:
        what, proven = deeper.get(item.key) or proof(item)
        if proven is not None:
            proofs[item.key] = proven
        elif what is Look.MISSING:
            missing.append(item)
        else:
            wrong.append(item)
    return missing, wrong


def _proof(
    remote: Remote, item: CachedObject, found: Seen | None, cache: Path | None, earlier: Proof | None
) -> tuple[Look, Proof | None]:
    """Examine one object; the proof is None unless it is PROVEN."""
    what, how = look(item, found, earlier)
    if what is Look.UNDECIDED and found is not None and found.details is None:
        found = remote.details(item.key)
        what, how = look(item, found, earlier)
    if what is Look.UNDECIDED and found is not None:
        how = _look_deeper(remote, item, found, cache / item.key if cache else None)
        what = Look.PROVEN if how else Look.WRONG
    if what is Look.PROVEN and how and found:
        return what, Proof(item.key, found.size, found.etag, how.value)
    return what, None


def _look_deeper(remote: Remote, item: CachedObject, seen: Seen, local: Path | None) -> ProvenBy | None:
    """Prove an object whose ETag is no MD5 in the cheapest way; None if its content is wrong.

    With an intact local copy, S3's checksum or the multipart ETag is computed from that; else the object is read.
    """
    if local is not None and local.is_file() and md5_of(local) == item.checksum:
        kept = seen.details.checksums if seen.details else {}
        if kept:
            own = checksums_of(local)
            return ProvenBy.CHECKSUM if all(own[kind] == value for kind, value in kept.items()) else None
        part_size = remote.part_size(item.key) if "-" in seen.etag else None
        if part_size:
            return ProvenBy.PARTS if multipart_etag(local, part_size) == seen.etag else None
    return ProvenBy.READ if remote.md5_of_content(item.key) == item.checksum else None


def _check_local(objects: Sequence[CachedObject], cache: Path) -> None:
    """Check that each object that has to be sent is in the cache with its content."""
    absent = [item for item in objects if not (cache / item.key).is_file()]
    if absent:
        raise LostObjectError(
            f"{len(absent)} objects are neither in the cache nor good on the remote: {names(absent)}. "
            "Nothing was sent. Clear reproduce: the stages that made them run again."
        )
    corrupt = [item for item in objects if md5_of(cache / item.key) != item.checksum]
    for item in corrupt:
        put_aside(cache / item.key)
    if corrupt:
        raise CorruptCacheError(
            f"{len(corrupt)} objects in the cache are not what their names say: {names(corrupt)}. They were put aside as *.corrupt-*, "
            "nothing was sent. Clear reproduce: the stages that made them run again. Check the disk."
        )
