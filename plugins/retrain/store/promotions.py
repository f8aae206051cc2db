"""Promotions in the ledger: one event for each model version that became the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retrain.errors import RecordError
from retrain.store.ledger import Ledger

_KIND = "promotions"
_DATE = len("YYYY-MM-DD")


@dataclass(frozen=True)
class NotedPromotion:
    """A model version that became the champion. Versions are the numbers that MLflow gave at the time.

    `partition` and `run_key` are those of the run that made the version; `before` is the version that was the champion until
    then, None if there was none. `reason` is a sentence for people.
    """

    partition: str
    run_key: str
    version: str
    before: str | None
    reason: str

    @property
    def name(self) -> str:
        """The event's name in the ledger."""
        return f"{self.partition}-{self.run_key}"

    def to_json(self) -> dict[str, Any]:
        return {"from": self.before, "to": self.version, "reason": self.reason, "run_key": self.run_key}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], name: str) -> NotedPromotion:
        """Read what `to_json` wrote. `name` is the event's, which holds the partition.

        Raises:
            RecordError: a field is missing.
        """
        try:
            return cls(
                name[:_DATE],
                str(document["run_key"]),
                str(document["to"]),
                None if document["from"] is None else str(document["from"]),
                str(document["reason"]),
            )
        except KeyError as error:
            raise RecordError(
                f"The event {_KIND}/{name} has no {error}. Another program wrote it: check who may write to the ledger."
            ) from error


def note(ledger: Ledger, pipeline: str, promotion: NotedPromotion) -> bool:
    """Note a promotion; False if it is noted already.

    Raises:
        StoreError: the ledger does not answer.
    """
    return ledger.event(pipeline, _KIND, promotion.name, promotion.to_json())


def newest(ledger: Ledger, pipeline: str, first: str = "") -> NotedPromotion | None:
    """The promotion of the newest partition; None if there is none. With `first`, only partitions from it on are listed.

    Raises:
        RecordError: the event is not a promotion.
        StoreError: the ledger does not answer.
    """
    found = ledger.newest_daily_event(pipeline, _KIND, first)
    return None if found is None else NotedPromotion.from_json(found[1], found[0])


def partitions(ledger: Ledger, pipeline: str, first: str = "", last: str = "9") -> list[str]:
    """The partitions from `first` to `last` whose models became champion, oldest first; one that was promoted twice is there twice.

    Raises:
        StoreError: the ledger does not answer.
    """
    return [name[:_DATE] for name in ledger.event_names(pipeline, _KIND, after=first, until=f"{last}~")]
