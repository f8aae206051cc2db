"""The manifest: the exact raw objects that a run reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from retrain.errors import NoRawDataError, RecordError
from retrain.run.schema_version import require_readable

SCHEMA_VERSION = 1


@dataclass(frozen=True, order=True)
class RawObject:
    """One object. `key` is relative to the manifest's root, `size` is in bytes, `version_id` is None in a bucket without versions."""

    key: str
    etag: str
    size: int
    version_id: str | None


@dataclass(frozen=True)
class Manifest:
    """All objects of the window that ends with `partition`, sorted by key. `root` is the S3 URL that the keys are relative to."""

    pipeline: str
    partition: str
    root: str
    objects: tuple[RawObject, ...]

    def to_json(self) -> str:
        """Canonical JSON: the same objects give the same text, whose hash identifies the run's data."""
        document = {
            "schema_version": SCHEMA_VERSION,
            **asdict(self),
            "objects": [asdict(o) for o in sorted(self.objects)],
        }
        return json.dumps(document, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: bytes, url: str) -> Manifest:
        """Read the document that `to_json` wrote. `url` names it in an error.

        Raises:
            RecordVersionError: a newer deployment wrote it.
            RecordError: it is not a manifest.
        """
        try:
            document = json.loads(text)
            require_readable(document["schema_version"], SCHEMA_VERSION, url)
            objects = tuple(RawObject(**entry) for entry in document["objects"])
            return cls(document["pipeline"], document["partition"], document["root"], objects)
        except (KeyError, TypeError, ValueError) as error:
            raise RecordError(f"{url} is not a manifest ({error!r}). Clear resolve_run to write it again.") from error

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical text, 64 hex digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def versioned(self) -> bool:
        """True if its bytes can still be read after an object is overwritten."""
        return all(o.version_id is not None for o in self.objects)

    def overwritten(self, present: Iterable[RawObject]) -> list[str]:
        """The keys without a version whose object is now gone or has another ETag, so that its bytes are lost. `present` are the objects now."""
        etags = {o.key: o.etag for o in present}
        return [o.key for o in self.objects if o.version_id is None and etags.get(o.key) != o.etag]

    @property
    def days(self) -> int:
        """The number of partitions with data."""
        return len({day_of(o.key) for o in self.objects})


def day_of(key: str) -> str:
    """The partition of a key `dt=YYYY-MM-DD/...`."""
    return key.split("/", 1)[0].removeprefix("dt=")


def of_listing(
    pipeline: str, partition: str, root: str, days: list[str], listing: list[RawObject], marker: str = "_SUCCESS"
) -> Manifest:
    """The manifest of the landed days among `days`.

    Args:
        days: the window, as partitions.
        listing: every object below `root`, with keys relative to it.
        marker: the name of the object that is written last. A day without it has not landed and is left out.

    Raises:
        NoRawDataError: the partition itself has no object but its marker.
    """
    wanted = set(days)
    landed = {day_of(o.key) for o in listing if o.key.endswith(f"/{marker}")} & wanted
    objects = tuple(sorted(o for o in listing if day_of(o.key) in landed and not o.key.endswith(f"/{marker}")))
    if not any(day_of(o.key) == partition for o in objects):
        raise NoRawDataError(
            f"{root}/dt={partition}/ has no data beside its marker. Write the day's data again, then clear resolve_run."
        )
    return Manifest(pipeline, partition, root, objects)
