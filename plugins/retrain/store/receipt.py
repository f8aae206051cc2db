"""The receipt of a push: for each object that dvc.lock needs, the proof that the remote holds it with its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from operator import index

from retrain.errors import RecordError, UnprovenPushError
from retrain.run.schema_version import require_readable
from retrain.work.dvc.outputs import CachedObject

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
    """An object on the remote: size in bytes and ETag. `details` is None if only a listing was read."""

    size: int
    etag: str
    details: Details | None = None


@dataclass(frozen=True)
class Details:
    """What HeadObject adds to a listing.

    `encryption`: by S3's name; with `aws:kms` the ETag is no MD5. `checksums`: of the full object, in base64, by S3's name.
    """

    encryption: str | None
    checksums: Mapping[str, str]


@dataclass(frozen=True)
class Proof:
    """A proven object: its key, size in bytes, ETag, and a value of ProvenBy."""

    key: str
    size: int
    etag: str
    proven_by: str


class Look(StrEnum):
    """What size and ETag say about an object."""

    PROVEN = "proven"
    MISSING = "missing"
    WRONG = "wrong"
    UNDECIDED = "undecided"  # neither proves nor refutes the content


def look(item: CachedObject, seen: Seen | None, earlier: Proof | None) -> tuple[Look, ProvenBy | None]:
    """What size and ETag prove about an object.

    Args:
        item: the object with its MD5.
        seen: what is on the remote; None if nothing is.
        earlier: the proof of an earlier receipt.

    Returns:
        The finding; with PROVEN also how it was proven.
    """
    if seen is None:
        return Look.MISSING, None
    if earlier is not None and (seen.etag, seen.size) == (earlier.etag, earlier.size):
        return Look.PROVEN, ProvenBy.EARLIER
    if seen.etag == item.checksum:
        return Look.PROVEN, ProvenBy.ETAG
    # Only the ETag of a single-part object without KMS encryption is an MD5, and a listing does not say which it is.
    if seen.details is None or "-" in seen.etag or seen.details.encryption in _NOT_MD5:
        return Look.UNDECIDED, None
    return Look.WRONG, None


_NOT_MD5 = ("aws:kms", "aws:kms:dsse")


@dataclass(frozen=True)
class Receipt:
    """The proofs of all objects of a run on the remote `remote`."""

    remote: str
    proofs: tuple[Proof, ...]

    @property
    def size(self) -> int:
        """The size of all objects in bytes."""
        return sum(proof.size for proof in self.proofs)

    @property
    def own_name(self) -> str:
        """Its name in an entry of the ledger, made from its content."""
        return f"receipts/{hashlib.sha256(self.to_json().encode()).hexdigest()[:16]}.json"

    @property
    def by_key(self) -> dict[str, Proof]:
        """The proofs by key."""
        return {proof.key: proof for proof in self.proofs}

    def to_json(self) -> str:
        """The document that `from_json` reads; equal receipts are equal bytes."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "remote": self.remote,
            "objects": [asdict(proof) for proof in self.proofs],
        }
        return json.dumps(document, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: bytes, url: str) -> Receipt:
        """Read the receipt at `url`, written by this version or an earlier one.

        Raises:
            RecordVersionError: a newer deployment wrote it.
            RecordError: it is not a receipt.
        """
        try:
            document = json.loads(text)
            require_readable(index(document["schema_version"]), SCHEMA_VERSION, url)
            return cls(document["remote"], tuple(Proof(**entry) for entry in document["objects"]))
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(
                f"{url} is not a receipt ({error!r}): another program wrote it. If the bucket keeps versions, restore the first one there."
            ) from error

    def require(self, objects: Sequence[CachedObject]) -> None:
        """Check that the receipt is that of these objects.

        Raises:
            UnprovenPushError: it does not prove all of them.
        """
        proven = self.by_key
        lacking = [item for item in objects if item.key not in proven]
        if lacking:
            raise UnprovenPushError(
                f"{name(lacking[0])} is not in the receipt on {self.remote}, nor are {len(lacking) - 1} others: "
                "the workspace has other outputs than the push. Clear push."
            )


def name(item: CachedObject) -> str:
    """An object in words: its path, its stage and its key."""
    return f"{item.path} (stage {item.stage}, {item.key})"


def names(items: Sequence[CachedObject], most: int | None = _NAMED) -> str:
    """The first `most` objects in words and the number of the others; None names all."""
    more = f" and {len(items) - most} more" if most is not None and len(items) > most else ""
    return "; ".join(name(item) for item in items[:most]) + more
