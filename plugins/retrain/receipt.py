"""The receipt: proof that what dvc.lock names is on the remote. `dvc push` alone proves nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from retrain.dvc import CachedObject
from retrain.errors import UnprovenPushError

SCHEMA_VERSION = 1
_NAMED = 5


@dataclass(frozen=True)
class Proof:
    """One object on the remote: size in bytes, and how its content was proven (`etag`: the store's MD5 is the name)."""

    key: str
    size: int
    proven_by: str


@dataclass(frozen=True)
class Receipt:
    """Every object of a run, each with its proof."""

    remote: str
    proofs: tuple[Proof, ...]

    @property
    def size(self) -> int:
        return sum(proof.size for proof in self.proofs)

    def to_json(self) -> str:
        document = {
            "schema_version": SCHEMA_VERSION,
            "remote": self.remote,
            "objects": [asdict(proof) for proof in self.proofs],
        }
        return json.dumps(document, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: bytes) -> Receipt:
        document = json.loads(text)
        return cls(document["remote"], tuple(Proof(**entry) for entry in document["objects"]))

    def require(self, objects: Sequence[CachedObject]) -> None:
        """UnprovenPushError unless each of `objects` is proven here: the receipt must be of this very outcome."""
        proven = {proof.key for proof in self.proofs}
        lacking = [item for item in objects if item.key not in proven]
        if lacking:
            raise UnprovenPushError(
                f"{lacking[0].path} (stage {lacking[0].stage}, {lacking[0].key}) is not in the receipt on {self.remote}, "
                f"nor are {len(lacking) - 1} others: what was pushed is not what is here. Clear push."
            )


def prove(remote: str, objects: Sequence[CachedObject], stored: Mapping[str, tuple[int, str]]) -> Receipt:
    """Compare what must be there with what the remote lists.

    Args:
        objects: everything reachable from dvc.lock.
        stored: the remote's listing, key -> (size in bytes, ETag).

    Raises:
        UnprovenPushError: an object is missing, or its ETag is not the MD5 that DVC named it by. An object stored in
            several parts has another kind of ETag; it is not taken for proven.
    """
    wrong: list[str] = []
    proofs: list[Proof] = []
    for item in objects:
        size, etag = stored.get(item.key, (-1, ""))
        if size < 0:
            wrong.append(f"{item.path} (stage {item.stage}, {item.key}) is missing")
        elif etag != item.md5.removesuffix(".dir"):
            wrong.append(f"{item.path} (stage {item.stage}, {item.key}) has ETag {etag}, {size} bytes: not its content")
        else:
            proofs.append(Proof(item.key, size, "etag"))
    if wrong:
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise UnprovenPushError(
            f"{len(wrong)} of {len(objects)} objects are not proven on {remote}: {'; '.join(wrong[:_NAMED])}{more}. "
            "The run is not recorded. Clear push; a wrong object on the remote must be removed first."
        )
    return Receipt(remote, tuple(proofs))
