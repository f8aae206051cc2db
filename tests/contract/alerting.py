"""A watch against a Slack stand-in of its own: signals for the one, the messages of the other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from live_servers import ROOT, free_ports, wait_until

sys.path.insert(0, str(ROOT / "infra" / "local"))

from slack_standin.running import Standin

from retrain.alerts.incident import Situation
from retrain.alerts.kinds import Kind
from retrain.alerts.message.messages import PageAddresses
from retrain.alerts.signal import Signal, Step
from retrain.alerts.watch.second_channel import SecondChannelAddresses
from retrain.alerts.watch.settings import Seconds, WatchSettings
from retrain.alerts.watch.slack.app_token import AppToken
from retrain.alerts.watch.slack.client import SlackClient
from retrain.alerts.watch.watch import Watch

QUICK = Seconds(
    signals=0.05, slack=0.05, second_channel=0.05, observe=0.2, situation=0.2, configuration=0.2, check=0.2, digest=0.2
)
BEGIN = datetime(2020, 3, 18, 6, 0, tzinfo=UTC)


class IdleObserver:
    """An observer that finds nothing: the tests write all signals themselves."""

    deployments: Any = ()
    airflow_problem = ""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def note_recorded(self, _days):
        """Take in nothing."""

    def observe(self, _now, _incidents):
        return []


def promoted_yesterday(_deployment, now):
    """The same situation for every pipeline, for tests that are not about the ledger."""
    return Situation(now.isoformat(), "8", "2020-03-16", "2020-03-16", "2020-03-17T06:13:51+00:00", "v1.2.0")


def settings(folder: Path, standin: Standin, **changes: Any) -> WatchSettings:
    """A watch's settings: two pipelines, `ours` and `theirs`, with a channel each, and short pauses."""
    pipelines = folder / "pipelines"
    pipelines.mkdir(parents=True, exist_ok=True)
    text = (ROOT / "dags" / "pipelines" / "trip_duration.yaml").read_text()
    (pipelines / "ours.yaml").write_text(text.replace("${RETRAIN_SLACK_CHANNEL}", '"#ours"'))
    (pipelines / "theirs.yaml").write_text(text.replace("${RETRAIN_SLACK_CHANNEL}", '"#theirs"'))
    return replace(
        WatchSettings(
            folder=folder / "alerts",
            pipelines=pipelines,
            silences=folder / "silences.yaml",
            slack=SlackClient(AppToken(standin.token), f"{standin.url}/api/", timeout=1, tries=1),
            second=SecondChannelAddresses(),
            addresses=PageAddresses("http://airflow.test", "http://mlflow.test", "http://runbooks.test"),
            channel=None,
            port=free_ports(1)[0],
            digest_at=time(7),
            heartbeat_url=None,
            seconds=QUICK,
        ),
        **changes,
    )


@contextmanager
def watching(chosen: WatchSettings, **options: Any) -> Iterator[Watch]:
    """A watch that runs in this process."""
    watch = Watch(chosen, **{"now": lambda: BEGIN, "observer": IdleObserver(), "ledger": promoted_yesterday, **options})
    watch.slack.delivery.patience = watch.second_channel.channel.patience = 0.05
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def trouble(number: int = 0, *, subject: str = "push", pipeline: str = "ours", **changes: Any) -> Signal:
    """A task that failed; the `number`-th minute of the day, and the day's partition."""
    return _signal(number, subject, pipeline, Step.TROUBLE, Kind.TASK_FAILED, **changes)


def good(number: int, *, subject: str = "push", pipeline: str = "ours", **changes: Any) -> Signal:
    """The task's next good run."""
    return _signal(number, subject, pipeline, Step.GOOD, None, **changes)


def _signal(number: int, subject: str, pipeline: str, step: Step, kind: Kind | None, **changes: Any) -> Signal:
    at = (BEGIN + timedelta(minutes=number)).isoformat(timespec="milliseconds")
    facts = {
        "cause": "INFRA",
        "evidence": f"S3 answered 503, said for the {number}th time",
        "task": subject,
        "tries": 3,
    }
    return replace(
        Signal(
            id=f"{pipeline}/{subject}/{number}/{step}",
            at=at,
            step=step,
            pipeline=pipeline,
            kind=kind,
            subject=subject if kind else "",
            partition="2020-03-17",
            task=subject,
            facts=facts,
        ),
        **changes,
    )


def tops(standin: Standin, channel: str = "ours") -> list[dict[str, Any]]:
    """The messages of a channel, oldest first, each with its `replies`."""
    channels = standin.control("messages")["channels"]
    return next(c["messages"] for c in channels if c["name"] == channel)


def subjects(standin: Standin, channel: str = "ours") -> list[str]:
    """The subject of each message of a channel, oldest first."""
    return [message["metadata"]["event_payload"]["id"].split("/")[2] for message in tops(standin, channel)]


def entries(message: dict[str, Any]) -> list[str]:
    """The entries of a message's thread, oldest first."""
    return [reply["metadata"]["event_payload"]["entry"] for reply in message["replies"] if "metadata" in reply]


def eventually(condition, what: str) -> None:
    wait_until(condition, what, 60)


def subprocess_environment() -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "RETRAIN_"))},
        "PYTHONPATH": f"{ROOT / 'plugins'}:{Path(__file__).parent}:{ROOT / 'infra' / 'local'}",
    }
