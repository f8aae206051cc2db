"""Which messages each channel holds, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from retrain.alerts.incident import Incident
from retrain.alerts.watch.page.view import ChannelLine, SignalsWaiting, Whereabouts
from retrain.alerts.watch.slack.delivery import WORKSPACE
from retrain.alerts.watch.slack.plan import TOP, SlackMark
from retrain.alerts.watch.slack.posted import PostedMessage
from retrain.alerts.watch.watch import Watch


def whereabouts(watch: Watch, incident: Incident, *, silenced: bool) -> Whereabouts:
    """Where an incident's message is."""
    state, mark = watch.state, watch.state.slack_marks.of(incident.id)
    second = watch.second_channel.channel
    got = second.marks.of(incident.id).by
    took = sum(key in got for key in second.known.values())
    if mark.ts:
        url = state.settings.slack.permalink(PostedMessage(mark.channel, mark.ts))
        return Whereabouts(slack_moment(mark.ts), url, "", took, len(second.known))
    return Whereabouts(None, "", _lacks(watch, incident, mark, silenced=silenced), took, len(second.known))


def _lacks(watch: Watch, incident: Incident, mark: SlackMark, *, silenced: bool) -> str:
    """Why Slack does not hold an incident's message."""
    if TOP in mark.refused:
        return mark.refused[TOP]
    if silenced:
        return "it is silenced."
    if not incident.open and mark.over:
        return "it was silenced until its end."
    channel = watch.state.configuration.channel(incident.key.pipeline)
    if channel is None:
        return "it has no channel: no pipeline's file can be read."
    return _trouble(watch, channel, channel) or "it is sent within seconds."


def channel_lines(watch: Watch) -> list[ChannelLine]:
    """Slack's channels: those that the pipelines' files name, and those that hold a message."""
    held: dict[str, list[str]] = {name: [] for name in watch.state.configuration.channels()}
    ids: dict[str, str] = {}
    for mark in watch.state.slack_marks.all():
        if mark.ts:
            held.setdefault(mark.named, []).extend([mark.ts, *filter(None, mark.replies.values())])
            ids[mark.named] = mark.channel
    tally = watch.slack.delivery.tally
    return [
        ChannelLine(
            name,
            len(times),
            slack_moment(max(times, key=float)) if times else None,
            tally.delivered[name],
            tally.refused[name],
            tally.failed[name],
            _trouble(watch, name, ids.get(name, name)),
            watch.check.turns > 0,
        )
        for name, times in sorted(held.items())
    ]


def second_lines(watch: Watch) -> list[ChannelLine]:
    """The addresses of the second channel, which hold passwords and are therefore shown as numbers."""
    channel = watch.second_channel.channel
    last, troubles, tally = channel.last_deliveries(), dict(channel.troubles), channel.tally
    lines = [
        ChannelLine(
            f"second channel, {label}",
            None,
            last.get(key),
            tally.delivered[label],
            tally.refused[label],
            tally.failed[label],
            troubles.pop(label, ""),
        )
        for label, key in dict(channel.known).items()
    ]
    return [*lines, *(ChannelLine("second channel", None, None, 0, 0, 0, why) for why in troubles.values())]


def signals_waiting(watch: Watch) -> SignalsWaiting:
    """The signals that wait in the outbox; none if it cannot be read, which the health then says."""
    try:
        return SignalsWaiting(*watch.state.outbox.waiting())
    except OSError:
        return SignalsWaiting(0, 0.0)


def slack_moment(ts: str) -> str:
    """The moment that a message's `ts` is: UTC, ISO 8601."""
    return datetime.fromtimestamp(float(ts), UTC).isoformat(timespec="seconds")


def _trouble(watch: Watch, channel: str, identifier: str) -> str:
    """Why a channel of Slack takes nothing now: its own pause, the workspace's, or what the last check found."""
    pauses = {name: pause.why for name, pause in dict(watch.slack.delivery.pauses).items()}
    checked: Mapping[str, str] = watch.check.findings().slack
    paused = pauses.get(channel) or pauses.get(identifier) or pauses.get(WORKSPACE)
    return paused or checked.get(f"slack, {channel}", "")
