"""Whether messages can be delivered, and apart from that what a person should look at when there is time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrain.alerts.watch.watch import Watch

_WAITS_TOO_LONG = 60.0  # seconds of a signal in the outbox
_BLIND_TOO_LONG = 60.0  # seconds of questions without an answer


@dataclass(frozen=True)
class Health:
    """What is not as it should be, by where; each says why.

    `problems`: messages cannot be delivered, so silence proves nothing. A periodic task fails or hangs; Slack takes nothing and no
    second channel does; the outbox cannot be read or written; signals wait too long; no pipeline's questions are answered.
    `attention`: messages are delivered, and something is worth a look, such as a refused block, a missing picture, a file that
    was put aside, a pipeline's broken file, an invalid silence.
    """

    problems: dict[str, str]
    attention: dict[str, str]


def of(watch: Watch) -> Health:
    """The watch's health now."""
    problems, attention = _parts(watch)
    mute = _slack(watch)
    second = {f"second channel, {name}": why for name, why in dict(watch.second.troubles).items()}
    # One channel that delivers is enough to be heard; the other one is then only worth a look.
    (attention if watch.second.delivers else problems).update(mute)
    attention |= second
    attention |= {f"pipeline {name}": why for name, why in watch.configuration.broken.items()}
    attention |= {f"silence {number}": why for number, why in enumerate(watch.configuration.silences.invalid, 1)}
    attention |= {f"message {name}": why for name, why in dict(watch.rendering.unwritten).items()}
    _sight(watch, problems, attention)
    _incidents(watch, attention)
    _files(watch, problems, attention)
    return Health(problems, attention)


def _parts(watch: Watch) -> tuple[dict[str, str], dict[str, str]]:
    """A heartbeat that fails delivers nothing less; it says itself why it was withheld."""
    troubles = {part.name: part.trouble for part in watch.parts.values() if part.trouble}
    heartbeat = {"heartbeat": troubles.pop("heartbeat")} if "heartbeat" in troubles else {}
    return troubles, heartbeat


def _slack(watch: Watch) -> dict[str, str]:
    """Why Slack, or one of its channels, takes no messages."""
    found = {f"slack, {channel}": why for channel, why in watch.refusals.items()}
    found |= {f"slack, {name}": pause.trouble for name, pause in dict(watch.delivery.pauses).items()}
    for pipeline in {known.key.pipeline for known in watch.book.open()}:
        if watch.configuration.channel(pipeline) is None:
            found[f"channel of {pipeline}"] = "Its incidents have no channel: no pipeline's file can be read."
    return found


def _sight(watch: Watch, problems: dict[str, str], attention: dict[str, str]) -> None:
    """Questions to S3 and Airflow that are not answered. An Airflow that does not answer at all has an incident of its own."""
    now = time.monotonic()
    blind = {name: b.why for name, b in watch.blind.items() if now - b.since > _BLIND_TOO_LONG}
    if blind and set(watch.configuration.deployments) <= set(blind):
        problems["observe"] = " ".join(dict.fromkeys(blind.values()))
    else:
        attention |= {f"observe {name}": why for name, why in blind.items()}
    if watch.airflow_problem:
        attention["observe Airflow"] = watch.airflow_problem


def _incidents(watch: Watch, attention: dict[str, str]) -> None:
    for known in watch.book.open():
        for item, why in watch.told.of(known.id).refused.items():
            attention[f"refused {known.id} {item}".strip()] = why
        if known.situation and known.situation.unknown:
            attention[f"situation of {known.key.pipeline}"] = known.situation.unknown


def _files(watch: Watch, problems: dict[str, str], attention: dict[str, str]) -> None:
    try:
        count, age = watch.outbox.waiting()
        if age > _WAITS_TOO_LONG:
            problems["outbox"] = f"{count} signals wait, the oldest for {age:.0f} s."
    except OSError as error:
        problems["outbox"] = f"The outbox cannot be read: {error}"
    if watch.outbox_problem:
        problems["outbox"] = watch.outbox_problem
    attention |= {f"signal {name}": why for name, why in dict(watch.outbox.unreadable).items()}
    garbage = [*watch.outbox.garbage(), *(path.name for path in watch.settings.folder.rglob("*.broken"))]
    if garbage:
        attention["garbage"] = (
            f"{len(garbage)} files are none of the watch's: {', '.join(garbage[:5])}. Look, then remove them."
        )
