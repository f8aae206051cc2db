"""A watch whose parts take their turns on a simulated clock, against real servers that count its requests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from airflow_pages import AirflowPages, airflow_pages
from gate import Gate, gate_to
from live_servers import ROOT, running
from stack_model import Stack

sys.path[:0] = [str(ROOT / "infra" / "local"), str(ROOT / "tests" / "bench")]

from buckets import apply_buckets, s3_client  # noqa: E402
from generated_ledger import GeneratedLedger, generate, pipeline_files  # noqa: E402
from generated_run import LEDGER_URL, raw_of  # noqa: E402
from program_variables import s3_variables  # noqa: E402
from slack_standin.running import Standin  # noqa: E402

from retrain.alerts.message import messages  # noqa: E402
from retrain.alerts.message.messages import PageAddresses  # noqa: E402
from retrain.alerts.watch.second_channel import SecondChannelAddresses  # noqa: E402
from retrain.alerts.watch.settings import WatchSettings  # noqa: E402
from retrain.alerts.watch.slack.app_token import AppToken  # noqa: E402
from retrain.alerts.watch.slack.client import SlackClient  # noqa: E402
from retrain.alerts.watch.watch import Watch  # noqa: E402
from retrain.store import mutable_objects  # noqa: E402
from retrain.store import s3 as store  # noqa: E402

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TEN_MINUTES = 600


@dataclass(frozen=True)
class WatchRequests:
    """What the watch asked in a time: S3 (method, path), Airflow (path), Slack (method); and the messages that it wrote."""

    pipelines: int
    looks: int
    s3: list[tuple[str, str]]
    airflow: list[str]
    slack: list[str]
    written: int

    @property
    def s3_each(self) -> float:
        """Requests to S3 for each pipeline."""
        return len(self.s3) / self.pipelines

    @property
    def airflow_each(self) -> float:
        """Requests to Airflow for each look, for all pipelines together."""
        return len([path for path in self.airflow if path != "/auth/token"]) / self.looks


@dataclass
class CountedWatch:
    """`now` is the watch's clock (UTC). The pipelines' newest partition is `last`. Without a `standin` no message is sent."""

    settings: WatchSettings
    made: GeneratedLedger
    client: S3Client
    gate: Gate
    pages: AirflowPages
    standin: Standin | None
    now: datetime
    watch: Watch = field(init=False)
    _written: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start a watch, or another one on the same folder: as after a restart."""
        self.watch = Watch(self.settings, now=lambda: self.now)
        self.watch.parts["configuration"].take_turn()

    @property
    def last(self) -> date:
        return date.fromisoformat(self.made.last)

    def at(self, day: date, hour: int, minute: int = 0) -> None:
        """Set the clock."""
        self.now = datetime.combine(day, time(hour, minute), UTC)

    def remove(self, *days: date) -> dict[str, bytes]:
        """Remove the markers and the run records of these days, of all pipelines; returns what `put_back` needs."""
        removed: dict[str, bytes] = {}
        for pipeline in self.made.pipelines:
            for day in days:
                entry = f"{LEDGER_URL}/{pipeline}/dt={day}"
                urls = [f"{entry}/{key}" for key in store.list_objects(self.client, entry) if key.endswith("/run.json")]
                for url in (f"{raw_of(pipeline)}/dt={day}/_SUCCESS", *urls):
                    removed[url] = store.get(self.client, url) or b""
                    folder, _, key = url.rpartition("/")
                    mutable_objects.delete(self.client, folder, [key])
        return removed

    def put_back(self, removed: dict[str, bytes]) -> None:
        for url, body in removed.items():
            store.create(self.client, url, body)

    def look(self) -> None:
        """One look, some seconds later, and what follows from it in the incidents."""
        self.now += timedelta(seconds=15)
        for name in ("signals", "observe"):
            self.turn(name)

    def turn(self, name: str) -> None:
        part = self.watch.parts[name]
        part.take_turn()
        assert not part.error, part.error

    def ten_minutes(self, *only: str) -> WatchRequests:
        """Let every part, or `only` these, take the turns of ten minutes. Returns what was asked meanwhile."""
        passed, asked, written = len(self.gate.passed), len(self.pages.asked), self._written
        before = len(self._asked_of_slack())
        begin, looks = self.now, 0
        for second in range(_TEN_MINUTES):
            self.now = begin + timedelta(seconds=second)
            for name, part in self.watch.parts.items():
                if name != "heartbeat" and (not only or name in only) and second % part.every == 0:
                    self.turn(name)
                    looks += name == "observe"
        self.now = begin + timedelta(seconds=_TEN_MINUTES)
        return WatchRequests(
            len(self.made.pipelines),
            looks,
            self.gate.passed[passed:],
            self.pages.asked[asked:],
            self._asked_of_slack()[before:],
            self._written - written,
        )

    def _asked_of_slack(self) -> list[str]:
        return [request["method"] for request in self.standin.control("requests")] if self.standin else []

    def count_written(self, patch: pytest.MonkeyPatch) -> None:
        """Count each message that is written, tops and replies."""
        for name in ("top", "reply"):
            write = getattr(messages, name)

            def counting(*given: Any, write: Any = write) -> Any:
                self._written += 1
                return write(*given)

            patch.setattr(messages, name, counting)


@contextmanager
def generated_server(stack: Stack, pipelines: int, days: int) -> Iterator[GeneratedLedger]:
    """An S3 server with a generated ledger."""
    made = generate(stack.state / "s3" / "objects", pipelines, days, window=1, files=1)
    with running(stack, "s3"):
        apply_buckets(stack)
        yield made


@contextmanager
def counted_watch(stack: Stack, made: GeneratedLedger, folder: Path, *, slack: bool = False) -> Iterator[CountedWatch]:
    """A watch on the evening of the day on which the last partition was recorded. It has run for a long time, and restarts."""
    with ExitStack() as held:
        patch = held.enter_context(pytest.MonkeyPatch.context())
        gate, pages = held.enter_context(gate_to(stack.s3_url)), held.enter_context(airflow_pages())
        channels = tuple(name.replace("_", "-") for name in made.pipelines)
        standin = held.enter_context(Standin(channels=channels)) if slack else None
        for name, value in {**s3_variables(stack), "AWS_ENDPOINT_URL": gate.url}.items():
            patch.setenv(name, value)
        for name in ("AIRFLOW_API_TOKEN", "AIRFLOW_API_USER", "AIRFLOW_API_PASSWORD_FILE"):
            patch.delenv(name, raising=False)
        patch.setenv("RETRAIN_REPOSITORY", str(stack.origin))
        _write_files(folder / "pipelines", made)
        settings = WatchSettings(
            folder=folder / "alerts",
            pipelines=folder / "pipelines",
            silences=folder / "silences.yaml",
            slack=SlackClient(AppToken(standin.token if standin else ""), f"{standin.url}/api/" if standin else None),
            second=SecondChannelAddresses(),
            addresses=PageAddresses(pages.url, "http://mlflow.test", "http://runbooks.test"),
            channel=None,
            port=0,
            digest_at=time(7),
            heartbeat_url=None,
        )
        now = datetime.combine(date.fromisoformat(made.last) + timedelta(days=1), time(20), UTC)
        settings.folder.mkdir(parents=True)
        (settings.folder / "since").write_text((now - timedelta(days=365)).isoformat())
        counted = CountedWatch(settings, made, s3_client(stack), gate, pages, standin, now)
        counted.count_written(patch)
        yield counted


def _write_files(folder: Path, made: GeneratedLedger) -> None:
    """The pipelines' files, each with a channel of its own."""
    for path in pipeline_files(folder, made):
        document = yaml.safe_load(path.read_text("utf-8"))
        document["slack"]["channel"] = f"#{path.stem.replace('_', '-')}"
        path.write_text(yaml.safe_dump(document), "utf-8")


def pin_releases(pages: AirflowPages, pipelines: tuple[str, ...]) -> None:
    """Pin a release for each pipeline."""
    for name in pipelines:
        pages.variables[f"{name}_release"] = '{"live": {"tag": "v1.0.0", "commit": "%s"}, "previous": []}' % ("c" * 40)
