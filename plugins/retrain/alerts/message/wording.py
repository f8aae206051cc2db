"""What each kind of trouble is called, what it means for those who use the model, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from retrain.alerts.incident import Situation
from retrain.alerts.kinds import Kind
from retrain.alerts.message.clock import moment, shown
from retrain.alerts.message.facts import UNKNOWN, Facts
from retrain.alerts.message.mrkdwn import code, plain
from retrain.alerts.signal import Key
from retrain.errors import Cause
from retrain.results import Checked, Promoted, Recorded, Removed

# These tasks come after the day's model is stored and recorded.
AFTER_RECORD = {
    Checked.task: "only its drift was not checked",
    Promoted.task: "only whether it becomes the champion was not decided",
    Removed.task: "only its workspace still takes disk space",
}
# For these kinds the day was recorded: there is nothing to run again.
_RECORDED = frozenset({Kind.DRIFT_DETECTED, Kind.PERFORMANCE_DROPPED, Kind.PROMOTION_REFUSED})
_MOST_DAYS = 6
_LAST_MINUTE = time(23, 59)

_MARKS = {
    Kind.DATA_LATE: "🟠",
    Kind.PROMOTION_REFUSED: "🟡",
    Kind.BACKFILL: "🔄",
    Kind.PROMOTED: "🏆",
    Kind.RELEASED: "🚀",
}
_SEVERITY_MARKS = {"low": "🟡", "medium": "🟠", "high": "🔴"}
_CAUSES = {
    Cause.DATA: "the data, not the code",
    Cause.CODE: "the release's code",
    Cause.INFRA: "network, disk, memory",
    Cause.RELEASE: "the tag or its environment",
    Cause.UNKNOWN: "the evidence does not say",
}
_CAUSE_OF_KIND = {
    Kind.DATA_LATE: Cause.DATA,
    Kind.DATA_REJECTED: Cause.DATA,
    Kind.RELEASE_REFUSED: Cause.RELEASE,
}
_ENDS = {
    Kind.DATA_LATE: "The data of {day} landed",
    Kind.DRIFT_DETECTED: "{day} is within its limits",
    Kind.PERFORMANCE_DROPPED: "The error of {day} is within its limit",
    Kind.PIPELINE_SILENT: "{day} was recorded",
    Kind.BACKFILL: "The backfill has finished",
}
_FAILURES = frozenset({Kind.DATA_REJECTED, Kind.TASK_FAILED, Kind.PUSH_UNPROVEN, Kind.RELEASE_REFUSED})


@dataclass(frozen=True)
class Trouble:
    """What a message is about. `days` counts the partitions that it touches."""

    key: Key
    facts: Facts
    task: str | None
    partition: str | None
    days: int = 1

    @property
    def kind(self) -> Kind:
        return self.key.kind

    @property
    def failed(self) -> bool:
        """Whether a task failed, so that cause, evidence and tries are to be shown."""
        gave_up = self.kind is Kind.DATA_LATE and self.facts.has("dag_run")
        return self.kind in _FAILURES or gave_up

    @property
    def day(self) -> str:
        return plain(self.partition, 20) if self.partition else "a day not named"

    @property
    def task_id(self) -> str:
        return self.facts.text("task", self.task or "")

    @property
    def airflow_itself(self) -> bool:
        """Whether no day's run is missing, but what runs them all."""
        return self.kind is Kind.PIPELINE_SILENT and self.partition is None

    @property
    def cause(self) -> Cause:
        try:
            return Cause(self.facts.text("cause").upper())
        except ValueError:
            if self.airflow_itself:
                return Cause.INFRA
            return _CAUSE_OF_KIND.get(self.kind, Cause.UNKNOWN)

    @property
    def recorded(self) -> bool:
        """Whether the day's run is in the ledger all the same."""
        return self.kind in _RECORDED or self.task_id in AFTER_RECORD

    @property
    def mark(self) -> str:
        severity = _SEVERITY_MARKS.get(self.facts.text("severity").lower())
        if self.kind is Kind.BACKFILL and self.facts.text("state") == "paused":
            return "⏸️"
        return severity or _MARKS.get(self.kind, "🔴")


def headline(trouble: Trouble, *, of_pipeline: bool = True) -> str:
    """Line 1: what, which day, which pipeline. About 60 characters, so that a lock screen shows it whole."""
    days = f" ({trouble.days} days)" if trouble.days > 1 and trouble.kind is not Kind.BACKFILL else ""
    pipeline = "all pipelines" if trouble.airflow_itself else plain(trouble.key.pipeline, 24)
    return f"{_what(trouble)}{days}" + (f" · {pipeline}" if of_pipeline else "")


def _what(trouble: Trouble) -> str:
    return _WHAT[trouble.kind](trouble, trouble.facts, trouble.day)


def _drifted(_trouble: Trouble, facts: Facts, day: str) -> str:
    count = sum(1 for feature in facts.parts("features") if _over_its_limit(feature))
    return f"{count} feature{'s' * (count != 1)} drifted on {day}" if count else f"Drift on {day}"


def _over_its_limit(feature: Facts) -> bool:
    value, limit = feature.all.get("value"), feature.all.get("limit")
    return not isinstance(value, int | float) or not isinstance(limit, int | float) or value > limit


def _worse(_trouble: Trouble, facts: Facts, day: str) -> str:
    metric = plain(facts.text("metric", "error"), 12).upper()
    return f"{metric} {facts.number('value')} on {day}, limit {facts.number('limit')}"


def _counted(_trouble: Trouble, facts: Facts, _day: str) -> str:
    if not facts.has("total"):
        return "Runs of a backfill failed"
    failed = facts.number("failed")
    told = f", {failed} failed" if failed not in ("0", UNKNOWN) else ""
    return f"Backfill {_period(facts)}: {facts.number('done')} of {facts.number('total')}{told}"


_WHAT: Mapping[Kind, Callable[[Trouble, Facts, str], str]] = {
    Kind.DATA_LATE: lambda _trouble, _facts, day: f"{day} has not landed",
    Kind.DATA_REJECTED: lambda _trouble, _facts, day: f"Data of {day} refused",
    Kind.TASK_FAILED: lambda trouble, _facts, day: (
        f"{plain(trouble.task_id or trouble.key.subject or 'a task', 24)} failed for {day}"
    ),
    Kind.PUSH_UNPROVEN: lambda _trouble, _facts, day: f"{day} is not proven stored",
    Kind.RELEASE_REFUSED: lambda trouble, facts, day: (
        f"{plain(facts.text('release', trouble.key.subject or 'Release'), 18)} refused for {day}"
    ),
    Kind.DRIFT_DETECTED: _drifted,
    Kind.PERFORMANCE_DROPPED: _worse,
    Kind.PROMOTION_REFUSED: lambda _trouble, _facts, day: f"No new champion on {day}",
    Kind.PIPELINE_SILENT: lambda trouble, _facts, day: (
        "Airflow is not well" if trouble.airflow_itself else f"No run recorded for {day}"
    ),
    Kind.BACKFILL: _counted,
    Kind.PROMOTED: lambda _trouble, facts, _day: f"Version {plain(facts.text('version', UNKNOWN), 12)} is champion",
    Kind.RELEASED: lambda _trouble, facts, _day: f"{plain(facts.text('tag', 'a release'), 18)} is live",
}


def _period(facts: Facts) -> str:
    first, last = facts.text("from", UNKNOWN), facts.text("to", UNKNOWN)
    return f"{plain(first, 12)} to {plain(last.removeprefix(first[:5]) if first[:4] == last[:4] else last, 12)}"


def cause(trouble: Trouble) -> str:
    """Whose it is, with what the word stands for."""
    return f"*Cause: {trouble.cause}* ({_CAUSES[trouble.cause]})"


def impact(trouble: Trouble) -> str:
    """Line 2: what is missing now."""
    day, task = trouble.day, trouble.task_id
    if task in AFTER_RECORD and trouble.kind not in _RECORDED:
        return f"The model of {day} is trained, stored and recorded; {AFTER_RECORD[task]}."
    if trouble.kind is Kind.TASK_FAILED and task == Recorded.task:
        return f"The model of {day} is trained and stored, but not in MLflow: nobody can load it yet."
    if trouble.airflow_itself:
        return "No new model of any pipeline while this lasts. What is live stays live."
    return _IMPACTS.get(trouble.kind, "No new model of {day}.").format(day=day)


_IMPACTS = {
    Kind.DATA_LATE: "No new model until the data of {day} lands.",
    Kind.PUSH_UNPROVEN: "The model of {day} is trained, but not proven stored, so it was not recorded.",
    Kind.DRIFT_DETECTED: "The model of {day} was trained and recorded all the same.",
    Kind.PERFORMANCE_DROPPED: "The model of {day} was recorded; its predictions are farther off than they used to be.",
    Kind.PROMOTION_REFUSED: "The model of {day} was recorded; consumers do not get it.",
    Kind.PIPELINE_SILENT: "No new model since the last good run; whether {day} still comes is not known.",
    Kind.BACKFILL: "Consumers notice nothing: a backfill never promotes.",
}


def standing(trouble: Trouble, situation: Situation | None) -> str:
    """What consumers are on, that nothing is lost, and the last good run."""
    if trouble.airflow_itself:
        return "Nothing recorded is lost; what was running goes on or is tried again."
    if situation is None:
        return "What consumers are on and the last good run are not known."
    if situation.unknown:
        why = plain(situation.unknown, 200).rstrip(".")
        return f"What consumers are on and the last good run are not known yet: {why}."
    stay = "are" if trouble.recorded else "stay"
    of = f" of {plain(situation.champion_partition, 20)}" if situation.champion_partition else ""
    on = (
        f"Consumers {stay} on model version {plain(situation.champion, 20)}{of}."
        if situation.champion
        else "Which model consumers are on is not known."
    )
    # record_run writes the ledger before MLflow: the day that it failed for may be the newest one there.
    if trouble.recorded or (trouble.task_id == Recorded.task and situation.last_good == trouble.partition):
        return on
    at = f", recorded {shown(situation.last_good_at)}" if moment(situation.last_good_at) else ""
    good = f"{plain(situation.last_good, 20)}{at}" if situation.last_good else "not known"
    return f"{on} Nothing recorded is lost. Last good run: {good}."


def end(trouble: Trouble) -> str:
    """What ended it, without the full stop."""
    if trouble.airflow_itself:
        return "Airflow is well again"
    if trouble.kind is Kind.PROMOTION_REFUSED:
        return _end_of_refusals(trouble)
    if trouble.kind in _ENDS:
        return _ENDS[trouble.kind].format(day=trouble.day)
    return f"{code(trouble.task_id, 40) if trouble.task_id else 'The task'} succeeded for {trouble.day}"


def _end_of_refusals(trouble: Trouble) -> str:
    if trouble.facts.all.get("promoted") is True:
        return f"The model of {trouble.day} was promoted"
    reason = plain(trouble.facts.text("reason"), 300).rstrip(".")
    # An end that was written before ends said why has no reason.
    return f"The model of {trouble.day} was not promoted: {reason}" if reason else f"Nothing to report of {trouble.day}"


def next_action(trouble: Trouble) -> str:
    """What to do where the signal does not say it. Our own words, with `code`."""
    champion = trouble.facts.part("champion").text("partition", "the champion's day")
    return _NEXT.get(trouble.kind, "Read the log, then the runbook.").format(day=trouble.day, champion=champion)


_NEXT = {
    Kind.DRIFT_DETECTED: (
        "Look at the picture in the thread. The world has changed: nothing to do, the model retrains daily. "
        "The data is wrong: tell its owner."
    ),
    Kind.PERFORMANCE_DROPPED: (
        "A new release in the days before: `make rollback`. "
        "No new one: `make explain PARTITION={day} WITH=<a good day>` says what else differs."
    ),
    Kind.PROMOTION_REFUSED: (
        "Once: nothing. For days on end: `make explain PARTITION={day} WITH={champion}` says what differs."
    ),
    Kind.BACKFILL: "Nothing while it runs. Failures are in the thread.",
}


def listed(days: Sequence[str]) -> str:
    """Days in a sentence."""
    rest = len(days) - _MOST_DAYS
    return ", ".join(plain(day, 20) for day in days[:_MOST_DAYS]) + (f" and {rest} more" if rest > 0 else "")


def rerun(pipeline: str, days: Iterable[str], timezone: str = "UTC") -> list[str]:
    """The commands that run missing days again, one for each stretch of them. Days that are no dates are left out.

    Args:
        timezone: the schedule's, in which the days are days.

    `--to-date` ends within its day: a day's run starts after midnight, and midnight would leave it out.
    """
    zone = ZoneInfo(timezone)
    commands = [
        f"airflow backfill create --dag-id {pipeline} --from-date {_moment(first, time.min, zone)} "
        f"--to-date {_moment(last, _LAST_MINUTE, zone)} --reprocess-behavior failed"
        for first, last in _stretches(days)
    ]
    return commands if len(commands) <= _MOST_DAYS else [*commands[:_MOST_DAYS], "…"]


def _moment(day: str, at: time, zone: ZoneInfo) -> str:
    """A moment as Airflow's command takes it: with its offset, unless that is UTC's, which it assumes."""
    moment = datetime.combine(date.fromisoformat(day), at, zone)
    if moment.utcoffset():
        return moment.isoformat(timespec="minutes")
    return day if at == time.min else f"{day}T{at:%H:%M}"


def _stretches(days: Iterable[str]) -> list[tuple[str, str]]:
    found: list[tuple[date, date]] = []
    for text in sorted(set(days)):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            continue
        if found and day - found[-1][1] == timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return [(first.isoformat(), last.isoformat()) for first, last in found]
