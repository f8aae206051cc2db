"""Silences: alerts that are muted for a while, each with a reason, an issue, an end.

They are a list in `dags/silences.yaml`. An invalid entry silences nothing and is named in the digest; the tests refuse it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from retrain.alerts.incident import Incident
from retrain.alerts.kinds import QUIET, Kind

LONGEST = timedelta(days=92)


def _day(text: Any) -> Any:
    return date.fromisoformat(text) if isinstance(text, str) else text


Day = Annotated[date, BeforeValidator(_day)]


class Silence(BaseModel):
    """Mutes incidents of `kind`, and of exactly `subject` if it is given, from `since` to `expires`, both included."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    pipeline: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: Annotated[Kind, Field(strict=False)]
    subject: str | None = None
    reason: str = Field(min_length=1)
    issue: str = Field(pattern=r"^https://[^\s<>|]+$")
    since: Day
    expires: Day

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.kind in QUIET:
            raise ValueError(f"{self.kind} makes no message of its own, so there is nothing to silence")
        if not timedelta() <= self.expires - self.since <= LONGEST:
            raise ValueError(
                f"expires must be within {LONGEST.days} days after since ({self.since}): renew it then, with its reason"
            )
        return self

    def covers(self, incident: Incident) -> bool:
        """True if the incident is one that this silence mutes, on any day."""
        key = incident.key
        same = (key.pipeline, key.kind) == (self.pipeline, self.kind)
        return same and self.subject in (None, key.subject)

    def in_force(self, today: date) -> bool:
        return self.since <= today <= self.expires

    def expired(self, today: date) -> bool:
        return today > self.expires


@dataclass(frozen=True)
class Silences:
    """The silences of a file. `invalid` has a sentence for each entry that silences nothing."""

    entries: tuple[Silence, ...] = ()
    invalid: tuple[str, ...] = ()


def read(text: str, file: str = "silences.yaml") -> Silences:
    """Read the file's text. An invalid file or entry raises nothing: it is a sentence in `invalid`, and the watch continues."""
    try:
        # The base loader reads strings only: one impossible date must not cost the whole file.
        document = yaml.load(text, yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return Silences(invalid=(f"{file} is not YAML: {' '.join(str(error).split())}",))
    if document is None:
        return Silences()
    if not isinstance(document, list):
        return Silences(invalid=(f"{file} holds {type(document).__name__}, not a list.",))
    entries: list[Silence] = []
    invalid: list[str] = []
    for position, entry in enumerate(document, 1):
        try:
            entries.append(Silence.model_validate(entry))
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'entry'}: {e['msg']}" for e in error.errors(include_url=False)
            )
            invalid.append(f"{file}, entry {position}: {problems}")
    return Silences(tuple(entries), tuple(invalid))


def silenced(silences: Iterable[Silence], incident: Incident, today: date) -> Silence | None:
    """The silence that covers an incident today: of several, the one that expires last. None if none does."""
    covering = [silence for silence in silences if silence.in_force(today) and silence.covers(incident)]
    return max(covering, key=lambda silence: silence.expires, default=None)
