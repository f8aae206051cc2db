"""The receipt: proof, object by object, that what dvc.lock names is on the remote. Pure: what is seen there comes in as values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from operator import index

from retrain.errors import RecordError, UnprovenPushError
from retrain.run.schema_version import require_readable
from retrain.work.dvc.description import CachedObject

SCHEMA_VERSION = 1
_NAMED = 5


class ProvenBy(StrEnum):
    """How an object's content was proven.

    ETAG: the store's MD5 is the name. PARTS: the ETag of a multipart upload, computed again from the local object. CHECKSUM: another
    checksum that the store keeps, computed again from the local object. READ: every byte was read. EARLIER: proven by an earlier
    receipt, and still the same ETag and size.
    """

    ETAG = "etag"
    PARTS = "parts"
    CHECKSUM = "checksum"
    READ = "read"
    EARLIER = "earlier"


@dataclass(frozen=True)
class Seen:
    """What one look at the remote tells of an object: size in bytes and ETag.

    `details` is None after a listing. After a look at the object itself it says what else the store knows.
    """

    size: int
    etag: str
    details: Details | None = None


@dataclass(frozen=True)
class Details:
    """`encryption` as S3 names it; an ETag under `aws:kms` is no MD5. `checksums` of the full object, by algorithm, in base64."""

    encryption: str | None
    checksums: Mapping[str, str]


@dataclass(frozen=True)
class Proof:
    """One object on the remote, as it was when it was proven."""

    key: str
    size: int
    etag: str
    proven_by: str


class Look(StrEnum):
    """What a look at an object says."""

    PROVEN = "proven"
    MISSING = "missing"
    WRONG = "wrong"
    UNDECIDED = "undecided"  # the ETag alone cannot tell: look deeper


def look(item: CachedObject, seen: Seen | None, earlier: Proof | None) -> tuple[Look, ProvenBy | None]:
    """What one cheap look says about an object, given what an earlier receipt proved of it."""
    if seen is None:
        return Look.MISSING, None
    if earlier is not None and (seen.etag, seen.size) == (earlier.etag, earlier.size):
        return Look.PROVEN, ProvenBy.EARLIER
    if seen.etag == item.checksum:
        return Look.PROVEN, ProvenBy.ETAG
    # A listing does not say whether the ETag is an MD5 at all; only an unencrypted single-part object's is.
    if seen.details is None or "-" in seen.etag or seen.details.encryption in _NOT_MD5:
        return Look.UNDECIDED, None
    return Look.WRONG, None


_NOT_MD5 = ("aws:kms", "aws:kms:dsse")


@dataclass(frozen=True)
class Receipt:
    """Every object of a run, each with its proof."""

    remote: str
    proofs: tuple[Proof, ...]

    @property
    def size(self) -> int:
        """Bytes of all objects together."""
        return sum(proof.size for proof in self.proofs)

    @property
    def by_key(self) -> dict[str, Proof]:
        return {proof.key: proof for proof in self.proofs}

    def to_json(self) -> str:
        document = {
            "schema_version": SCHEMA_VERSION,
            "remote": self.remote,
            "objects": [asdict(proof) for proof in self.proofs],
        }
        return json.dumps(document, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: bytes, url: str) -> Receipt:
        """A receipt as `to_json` wrote it, of this version or an earlier one.

        Raises:
            RecordVersionError: a newer deployment wrote it.
            RecordError: it is no receipt.
        """
        try:
            document = json.loads(text)
            require_readable(index(document["schema_version"]), SCHEMA_VERSION, url)
            return cls(document["remote"], tuple(Proof(**entry) for entry in document["objects"]))
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(
                f"{url} is no receipt ({error!r}): something else wrote it. If the bucket keeps versions, bring the first one back there."
            ) from error

    def require(self, objects: Sequence[CachedObject]) -> None:
        """UnprovenPushError unless each of `objects` is proven here: the receipt must be of this very outcome."""
        proven = self.by_key
        lacking = [item for item in objects if item.key not in proven]
        if lacking:
            raise UnprovenPushError(
                f"{name(lacking[0])} is not in the receipt on {self.remote}, nor are {len(lacking) - 1} others: "
                "what was pushed is not what is here. Clear push."
            )


def name(item: CachedObject) -> str:
    """An object as people know it: its path and stage, then its key."""
    return f"{item.path} (stage {item.stage}, {item.key})"


def names(items: Sequence[CachedObject], most: int | None = _NAMED) -> str:
    """The first `most` by name, the others by count; None names all."""
    more = f" and {len(items) - most} more" if most is not None and len(items) > most else ""
    return "; ".join(name(item) for item in items[:most]) + more
