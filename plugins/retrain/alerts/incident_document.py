"""The JSON document that an incident is on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from retrain.alerts.incident import Entry, Incident, Situation
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Step

SCHEMA_VERSION = 2  # 2: `situation.unknown`


def to_json(incident: Incident) -> str:
    return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(incident)}, sort_keys=True, indent=1) + "\n"


def from_fields(
    *,
    key: Mapping[str, Any],
    entries: Iterable[Mapping[str, Any]],
    situation: Mapping[str, Any] | None,
    **others: Any,
) -> Incident:
    """The incident of a document's fields, except `schema_version`; all versions have these.

    Raises:
        ValueError, KeyError, TypeError: a field is missing or wrong.
    """
    return Incident(
        key=Key(key["pipeline"], Kind(key["kind"]), key["subject"]),
        entries=tuple(_entry(**entry) for entry in entries),
        situation=Situation(**situation) if situation else None,
        **others,
    )


def _entry(*, step: str, pictures: Iterable[tuple[str, str]], **others: Any) -> Entry:
    return Entry(step=Step(step), pictures=tuple((name, shows) for name, shows in pictures), **others)
