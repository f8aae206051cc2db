"""The events of a ledger in S3: small JSON documents that say what happened after a run was recorded, each created once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.errors import RecordError
from retrain.store import s3
from retrain.store.events import COUNTS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DATE = len("YYYY-MM-DD")
_NUMBER = 4  # digits
_END = "~"  # sorts after all that follows a partition in a name


@dataclass(frozen=True)
class EventLog:
    """`<url>/<pipeline>/<kind>/<name>.json`, one object per event.

    Raises:
        StoreError: every method, if S3 refuses a request or does not answer.
    """

    client: S3Client
    url: str

    def event(self, pipeline: str, kind: str, name: str, body: dict[str, Any]) -> bool:
        """Note that something happened, such as a promotion; returns False if this event is noted already."""
        return s3.create(
            self.client,
            self._event_url(pipeline, kind, name),
            (json.dumps(body, sort_keys=True, indent=1) + "\n").encode(),
        )

    def numbered_event(self, pipeline: str, folder: str, label: str, body: dict[str, Any]) -> str:
        """Note the next of a series of events, `<folder>/<number>-<label>`; returns its name.

        Two that are noted at the same moment get the same number; then the one whose label sorts last is the later one.
        """
        taken = [int(name[:_NUMBER]) for name in self.event_names(pipeline, folder)]
        name = f"{max(taken, default=0) + 1:0{_NUMBER}}-{label}"
        self.event(pipeline, folder, name, body)
        return name

    def event_body(self, pipeline: str, kind: str, name: str) -> dict[str, Any] | None:
        """The document of an event; None if it has not happened.

        Raises:
            RecordError: it is no JSON object.
        """
        url = self._event_url(pipeline, kind, name)
        body = s3.get(self.client, url)
        return None if body is None else _document(body, url)

    def event_names(self, pipeline: str, kind: str, *, after: str = "", until: str = "") -> list[str]:
        """The names of the events of a kind that sort after `after`, up to `until`; all by default."""
        listed = s3.list_objects(self.client, f"{self.url}/{pipeline}/{kind}", after, until)
        return [key.removesuffix(".json") for key in listed]

    def has_later_event(self, pipeline: str, kind: str, after: str) -> bool:
        """True if the name of an event of this kind sorts after `after`. Costs one request, however many events follow."""
        return bool(s3.page(self.client, f"{self.url}/{pipeline}/{kind}", after, 1)[0])

    def newest_daily_event(self, pipeline: str, kind: str, first: str = "") -> tuple[str, dict[str, Any]] | None:
        """Name and document of the event of the newest partition, among events named `<partition>-<run_key>`.

        None if there is none. With `first`, only events of partitions from it on are listed. The partition decides first, because a copied bucket loses the times of writing.

        Raises:
            RecordError: it is no JSON object.
        """
        folder = f"{self.url}/{pipeline}/{kind}"
        keys = s3.list_objects(self.client, folder, after=first)
        if not keys:
            return None
        newest = max(keys, key=lambda key: (key[:_DATE], keys[key][1], key))
        body = s3.get(self.client, f"{folder}/{newest}")
        return (newest.removesuffix(".json"), _document(body, f"{folder}/{newest}")) if body else None

    def daily_events(self, pipeline: str, kind: str, first: str = "", last: str = "9") -> dict[str, dict[str, Any]]:
        """The document of one event per partition from `first` to `last`, in order, among events named `<partition>-<run_key>`.

        It is the event of the run that counts, or else the one written last. Costs two requests per thousand events of these
        partitions and one per partition; events of other partitions cost nothing.

        Raises:
            RecordError: one is no JSON object.
        """
        folder = f"{self.url}/{pipeline}/{kind}"
        newest: dict[str, str] = {}
        listed = s3.list_objects(self.client, folder, first, f"{last}{_END}")
        for key in sorted(listed, key=lambda key: (key[:_DATE], listed[key][1], key)):
            newest[key[:_DATE]] = key
        for day, run_key in self.counts(pipeline, first=first, last=last).items():
            if day in newest and f"{day}-{run_key}.json" in listed:
                newest[day] = f"{day}-{run_key}.json"
        with ThreadPoolExecutor(s3.AT_ONCE) as pool:
            bodies = pool.map(lambda key: s3.get(self.client, f"{folder}/{key}"), newest.values())
            return {
                day: _document(body, f"{folder}/{newest[day]}")
                for day, body in zip(newest, bodies, strict=True)
                if body is not None
            }

    def counts(
        self, pipeline: str, partition: str | None = None, *, first: str = "", last: str = "9"
    ) -> dict[str, str]:
        """The run key that counts, by partition, for partitions with an event; `run_record.counting` covers the others.

        Args:
            pipeline: the pipeline.
            partition: only this partition.
            first: without `partition`, only partitions from this one on.
            last: without `partition`, only partitions up to this one.
        """
        below = f"{COUNTS}/dt={partition}" if partition else COUNTS
        found: dict[str, str] = {}
        bounds = ("", "") if partition else (f"dt={first}" if first else "", f"dt={last}{_END}")
        for name in sorted(self.event_names(pipeline, below, after=bounds[0], until=bounds[1])):
            day, _, event = name.rpartition("/") if partition is None else (f"dt={partition}", "", name)
            found[day.removeprefix("dt=")] = event.partition("-")[2]
        return found

    def _event_url(self, pipeline: str, kind: str, name: str) -> str:
        return f"{self.url}/{pipeline}/{kind}/{name}.json"


def _document(body: bytes, url: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise RecordError(
            f"{url} is not JSON ({error}). Another program wrote it: check who may write to the ledger."
        ) from error
    if not isinstance(document, dict):
        raise RecordError(
            f"{url} holds {type(document).__name__}, not an object. Another program wrote it: check who may write to the ledger."
        )
    return document
