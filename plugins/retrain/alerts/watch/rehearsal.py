"""`make alerts-test`: sends test messages through every channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from retrain.alerts.message.plain_text import Plain
from retrain.alerts.watch import second_channel
from retrain.alerts.watch.settings import WatchSettings
from retrain.alerts.watch.slack.client import SlackClient
from retrain.alerts.watch.slack.posted import MessageLabel
from retrain.deployment.pipeline_file import load
from retrain.errors import ConfigurationError, RetrainError


@dataclass(frozen=True)
class RehearsalOutcome:
    """The result for one channel or address: `place` names it, `says` is for people."""

    place: str
    says: str
    well: bool = True


def rehearse(settings: WatchSettings) -> Iterator[RehearsalOutcome]:
    """Post, change and answer a test message in each channel, and send one to each address of the second channel."""
    channels: dict[str, list[str]] = {}
    for path in sorted(settings.pipelines.glob("*.yaml")):
        try:
            channels.setdefault(load(path).slack.channel, []).append(path.stem)
        except ConfigurationError as error:
            yield _failed(path.name, error)
    if not channels:
        if settings.channel is None:
            yield RehearsalOutcome(
                "Slack", "No pipeline names a channel, and RETRAIN_SLACK_CHANNEL is not set.", well=False
            )
        else:
            channels[settings.channel] = []
    for channel, pipelines in channels.items():
        place = f"{channel} ({', '.join(pipelines) or 'default'})"
        try:
            yield RehearsalOutcome(place, _post(settings.slack, channel))
        except RetrainError as error:
            yield _failed(place, error)
    yield from _second(settings)


def _post(slack: SlackClient, channel: str) -> str:
    label = MessageLabel(f"test/{datetime.now(UTC).isoformat()}")
    who = slack.check(channel)
    posted = slack.post(channel, Plain("🔔 Test of the alerts: posted. Nothing is to be done."), label)
    slack.update(posted, Plain("🔔 Test of the alerts: posted, changed and answered. Nothing is to be done."), label)
    slack.post(posted.channel, Plain("A reply in its thread."), MessageLabel(label.id, "reply"), thread=posted.ts)
    return f"as {who}: posted {posted.ts}, changed it, replied to it"


def _second(settings: WatchSettings) -> Iterator[RehearsalOutcome]:
    try:
        urls = settings.second.read()
    except RetrainError as error:
        yield _failed("second channel", error)
        return
    if not urls:
        yield RehearsalOutcome("second channel", "none is configured (RETRAIN_APPRISE_FILE)")
    for number, url in enumerate(urls, 1):
        place = f"second channel, address {number}"
        try:
            second_channel.send(url, Plain("Test of the alerts' second channel.\nNothing is to be done."))
            yield RehearsalOutcome(place, "took a test message")
        except RetrainError as error:
            yield _failed(place, error)


def _failed(place: str, error: RetrainError) -> RehearsalOutcome:
    return RehearsalOutcome(place, f"{type(error).__name__}: {error}", well=False)
