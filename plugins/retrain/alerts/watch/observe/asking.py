"""When the watch asks S3 again for the days that it has not found there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from retrain.alerts.incident import Incident

EVERY_LOOK_FOR = timedelta(days=1)  # after a day's deadline
WHILE_OPEN = timedelta(hours=1)  # the pause afterwards, while the day's incident is open
AFTER_ITS_END = timedelta(days=1)  # the pause for a day that an ended incident left behind
APART = timedelta(minutes=5)  # between two requests for older days of one pipeline


@dataclass(frozen=True)
class AwaitedDay:
    """A day (YYYY-MM-DD) that one question looks for.

    `deadline` (UTC) is None if it has passed long ago. `known_missing`: an incident has the day. `open`: that incident has not ended.
    """

    day: str
    deadline: datetime | None
    known_missing: bool = False
    open: bool = False


def awaited(
    owed: Mapping[str, datetime], incidents: Collection[Incident], found: Collection[str]
) -> dict[str, AwaitedDay]:
    """The days that a question looks for: those owed, with their deadlines, and those that its incidents miss; without those `found`."""
    missing = {day for incident in incidents for day in incident.missing}
    waited = {day for incident in incidents if incident.open for day in incident.missing}
    return {
        day: AwaitedDay(day, owed.get(day), day in missing, day in waited)
        for day in sorted({*owed, *missing} - set(found))
    }


@dataclass
class Asking:
    """Chooses the days that one question asks for, over the looks. Kept in memory.

    Of the older days of a pipeline only one is asked for at a time, so that the number of requests does not grow with the number
    of missing days.
    """

    _asked: dict[tuple[str, str], datetime] = field(default_factory=dict)  # pipeline, day: the newest request
    _older: dict[str, datetime] = field(default_factory=dict)  # pipeline: the newest request for an older day
    _recorded: dict[str, set[str]] = field(default_factory=dict)  # pipeline: days whose run was reported as recorded

    def note(self, recorded: Mapping[str, Collection[str]]) -> None:
        """Ask for these days (by pipeline) in the next look: a task has reported that their run is recorded."""
        for pipeline, days in recorded.items():
            self._recorded.setdefault(pipeline, set()).update(days)

    def due(self, pipeline: str, awaited: Collection[AwaitedDay], now: datetime) -> list[str]:
        """The days to ask for now, oldest first."""
        reported = self._recorded.get(pipeline, set())
        reported &= {each.day for each in awaited}
        at_once = {each.day for each in awaited if each.day in reported or self._is_urgent(pipeline, each, now)}
        older = [each for each in awaited if each.day not in at_once and self._has_waited(pipeline, each, now)]
        if older and now - self._older.get(pipeline, datetime.min.replace(tzinfo=now.tzinfo)) >= APART:
            at_once.add(min(older, key=lambda each: (self._last(pipeline, each.day, now), each.day)).day)
        return sorted(at_once)

    def asked(self, pipeline: str, awaited: AwaitedDay, now: datetime) -> None:
        """Note that S3 has answered the request for a day."""
        if not self._is_urgent(pipeline, awaited, now):
            self._older[pipeline] = now
        self._asked[pipeline, awaited.day] = now
        self._recorded.get(pipeline, set()).discard(awaited.day)

    def is_new(self, pipeline: str, day: str) -> bool:
        """True if the day has not been asked for since the watch started."""
        return (pipeline, day) not in self._asked

    def _is_urgent(self, pipeline: str, each: AwaitedDay, now: datetime) -> bool:
        recent = each.deadline is not None and now - each.deadline < EVERY_LOOK_FOR
        return recent or (not each.known_missing and self.is_new(pipeline, each.day))

    def _has_waited(self, pipeline: str, each: AwaitedDay, now: datetime) -> bool:
        pause = WHILE_OPEN if each.open or not each.known_missing else AFTER_ITS_END
        return now - self._last(pipeline, each.day, now) >= pause

    def _last(self, pipeline: str, day: str, now: datetime) -> datetime:
        return self._asked.get((pipeline, day), datetime.min.replace(tzinfo=now.tzinfo))
