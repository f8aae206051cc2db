"""The manifest: the exact raw objects that a run reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from retrain.deployment.run_settings import RunSettings
from retrain.errors import NoRawDataError, NotLandedError, RecordError
from retrain.run.landed import LandingRule, landed
from retrain.run.raw_layout import RawLayout, filled
from retrain.run.schema_version import require_readable

SCHEMA_VERSION = 2
_WITHOUT_SETTINGS = 1  # the version of a manifest whose pipeline's file sets nothing that changes a run's bytes


@dataclass(frozen=True, order=True)
class RawObject:
    """One object. `key` is relative to the manifest's root, `size` is in bytes, `version_id` is None in a bucket without versions."""

    key: str
    etag: str
    size: int
    version_id: str | None


@dataclass(frozen=True)
class ListedRaw:
    """A raw object as a listing found it, and the time of its last write."""

    object: RawObject
    written: datetime

    @property
    def key(self) -> str:
        return self.object.key

    @property
    def size(self) -> int:
        return self.object.size


@dataclass(frozen=True)
class Manifest:
    """All objects of the window that ends with `partition`, sorted by key. `root` is the S3 URL that the keys are relative to.

    `settings` are the keys of the pipeline's file that can change the run's bytes.
    """

    pipeline: str
    partition: str
    root: str
    objects: tuple[RawObject, ...]
    settings: RunSettings = field(default_factory=RunSettings)

    def to_json(self) -> str:
        """Canonical JSON: the same objects and settings give the same text, whose hash identifies the run's data."""
        settings = self.settings.to_document()
        document = {
            "schema_version": SCHEMA_VERSION if settings else _WITHOUT_SETTINGS,
            "pipeline": self.pipeline,
            "partition": self.partition,
            "root": self.root,
            "objects": [asdict(o) for o in sorted(self.objects)],
            **({"settings": settings} if settings else {}),
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
            settings = RunSettings.from_document(document.get("settings", {}))
            return cls(document["pipeline"], document["partition"], document["root"], objects, settings)
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
        layout = RawLayout(self.settings.partition, marker=None)
        return len({layout.day_of(o.key) for o in self.objects} - {None})


def of_listing(
    pipeline: str,
    partition: str,
    root: str,
    days: Sequence[str],
    listing: Collection[ListedRaw],
    now: datetime,
    rule: LandingRule | None = None,
    settings: RunSettings | None = None,
) -> Manifest:
    """The manifest of the landed days among `days`.

    Args:
        pipeline: its name.
        partition: the day of the run, YYYY-MM-DD.
        root: `raw.url`.
        days: the window, as partitions.
        listing: the raw objects of the window and their markers.
        now: the time by S3's clock when it listed them, or before.
        rule: how a day is seen to have landed. A day that has not is left out.
        settings: the keys of the pipeline's file that can change the run's bytes.

    Raises:
        NotLandedError: the partition itself has not landed.
        NoRawDataError: the partition itself has no object but its marker.
    """
    rule = rule or LandingRule()
    by_day = landed(rule, listing, days, now)
    if partition not in by_day:
        raise NotLandedError(
            f"The data of {partition} has not landed. Awaited: {rule.awaited(root, partition)}. Clear wait_for_partition, which waits "
            "for it."
        )
    if not by_day[partition]:
        raise NoRawDataError(
            f"{root}/{filled(rule.layout.pattern, partition)} has no data beside its marker. Write the day's data again, then clear "
            "resolve_run."
        )
    objects = tuple(sorted(each.object for objects in by_day.values() for each in objects))
    return Manifest(pipeline, partition, root, objects, settings or RunSettings())
