"""The next action after a trouble, with its commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from retrain.alerts.facts import PromotionFacts
from retrain.alerts.kinds import Kind
from retrain.alerts.message.mrkdwn import plain
from retrain.alerts.message.trouble import Trouble

_MOST_DAYS = 6
_LAST_MINUTE = time(23, 59)

_OF_KIND = {
    Kind.DRIFT_DETECTED: (
        "Look at the picture in the thread. If the world has changed: nothing to do, the model retrains daily. "
        "If the data is wrong: tell its owner."
    ),
    Kind.PERFORMANCE_DROPPED: (
        "If there was a release in the days before: `make rollback`. "
        "If not: `make explain PARTITION={day} WITH=<a good day>` says what else differs."
    ),
    Kind.PROMOTION_REFUSED: (
        "If it happens once: nothing to do. If it lasts for days: `make explain PARTITION={day} WITH={champion}` says what differs."
    ),
    Kind.BACKFILL: "Nothing while it runs. Failures are in the thread.",
}


def next_action(trouble: Trouble) -> str:
    """The facts' own next action, or the kind's: a sentence of ours with `code` in it."""
    if trouble.run.next:
        return trouble.run.next
    champion = trouble.facts.champion if isinstance(trouble.facts, PromotionFacts) else None
    day_of_champion = (champion and champion.partition) or "the champion's day"
    todo = _OF_KIND.get(trouble.kind, "Read the log, then the runbook.")
    return todo.format(day=trouble.day, champion=day_of_champion)


def listed(days: Sequence[str]) -> str:
    """Days in a sentence."""
    rest = len(days) - _MOST_DAYS
    return ", ".join(plain(day, 20) for day in days[:_MOST_DAYS]) + (f" and {rest} more" if rest > 0 else "")


def rerun(pipeline: str, days: Iterable[str], timezone: str = "UTC") -> list[str]:
    """The commands that run missing days again, one for each stretch of them. Days that are no dates are left out.

    Args:
        pipeline: its DAG's id.
        days: YYYY-MM-DD, in any order.
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
    """A moment as Airflow's command takes it: with its offset; without one for UTC, which the command assumes."""
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
