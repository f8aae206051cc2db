"""The watch: the one process that talks to people, and the dead-man's switch. `python -m retrain.alerts.watch`.

It needs nothing of Airflow's but the address: it goes on with the scheduler, the workers or Airflow's database dead. It folds
signals into incidents, raises what nobody tells, and keeps Slack equal to the incidents. Each part has a thread of its own.
A second watch on the same folder waits until the first one is gone.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from retrain.alerts import silences
from retrain.alerts.incident import Incident, Situation
from retrain.alerts.message.digest import digest
from retrain.alerts.message.plain_text import Content
from retrain.alerts.outbox import Outbox
from retrain.alerts.signal import Signal
from retrain.alerts.watch import health, servers, situations
from retrain.alerts.watch.book import KEPT, Book, Heard, InSlack, Marks
from retrain.alerts.watch.configuration import Configuration
from retrain.alerts.watch.delivery import Delivery, Thread
from retrain.alerts.watch.editions import Editions
from retrain.alerts.watch.heartbeat import Heartbeat
from retrain.alerts.watch.intake import Intake
from retrain.alerts.watch.part import Part
from retrain.alerts.watch.rendering import Rendering
from retrain.alerts.watch.second_channel import News, SecondChannel
from retrain.alerts.watch.settings import WatchSettings
from retrain.deployment.pipeline_file import Deployment
from retrain.errors import RetrainError, SlackError
from retrain.work.file_lock import try_locked

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

_ENDS_WITHIN = 3.0


class Observes(Protocol):
    """`observe.Observer`, as the watch asks it."""

    deployments: Sequence[Deployment]

    @property
    def problems(self) -> Mapping[str, str]: ...
    @property
    def airflow_problem(self) -> str: ...
    def observe(self, now: datetime, incidents: Sequence[Incident]) -> list[Signal]: ...


@dataclass(frozen=True)
class Blind:
    """Since when (seconds of the monotonic clock) questions about a pipeline have no answer, and what was said."""

    since: float
    why: str


class Watch:
    """The state that the parts share.

    `now` is the clock (UTC). `observer` looks at S3 and Airflow, `ledger` reads what consumers of a pipeline are on; left out, both
    are made for the servers of the settings when they are first needed.
    """

    def __init__(
        self,
        settings: WatchSettings,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        observer: Observes | None = None,
        ledger: Callable[[Deployment, datetime], Situation] | None = None,
    ) -> None:
        self.settings = settings
        self.now = now
        folder, seconds = settings.folder, settings.seconds
        folder.mkdir(parents=True, exist_ok=True)
        self.outbox = Outbox(folder / "outbox")
        self.outbox_problem = ""
        self.book = Book(folder / "incidents")
        self.editions = Editions(folder / "digests", settings.digest_at)
        self.told = Marks(folder / "told" / "slack", InSlack)
        self.heard = Marks(folder / "told" / "second", Heard)
        self.delivery = Delivery(settings.slack, self.told, self.outbox.picture)
        self.second = SecondChannel(settings.second, self.heard)
        self.configuration = Configuration(settings)
        self.rendering = Rendering(settings.addresses)
        self.intake = Intake(
            self.outbox,
            self.book,
            self.configuration,
            ledger or self._read_ledger,
            now=now,
            changed=self._wake_channels,
        )
        self.heartbeat = Heartbeat(folder / "heartbeat", settings.heartbeat_url, seconds.undelivered)
        self.blind: dict[str, Blind] = {}
        self.airflow_problem = ""
        self.refusals: dict[str, str] = {}  # channel -> why Slack would refuse a message to it
        self._observer = observer
        self.parts = {
            part.name: part
            for part in (
                Part("configuration", seconds.configuration, self.read_configuration),
                Part("signals", seconds.signals, self.intake.of_tasks),
                Part("observe", seconds.observe, self.observe),
                Part("situation", seconds.situation, self.intake.complete),
                Part("slack", seconds.slack, self.tell_slack),
                Part("second channel", seconds.second_channel, self.tell_second_channel),
                Part("digest", seconds.digest, self.compose_digest),
                Part("check", seconds.check, self.check_channels),
                Part("heartbeat", seconds.heartbeat, self.beat),
            )
        }

    def start(self) -> None:
        """Start every part. What is told first must know the channels, so the configuration comes before all."""
        self.parts["configuration"].have_turn()
        for part in self.parts.values():
            part.start()

    def stop(self) -> None:
        """End within seconds; a part that hangs is left behind."""
        for part in self.parts.values():
            part.stop()
        for part in self.parts.values():
            part.join(_ENDS_WITHIN / len(self.parts))

    def observe(self) -> None:
        """Raise what nobody tells."""
        if self._observer is None:
            self._observer = servers.observer(self.settings, self.now())
        observer = self._observer
        observer.deployments = list(self.configuration.deployments.values())
        found = observer.observe(self.now(), self.book.incidents())
        now, known = time.monotonic(), self.blind
        self.blind = {p: Blind(known[p].since if p in known else now, why) for p, why in observer.problems.items()}
        self.airflow_problem = observer.airflow_problem
        self.intake.of_observer(found)

    def tell_slack(self) -> None:
        self.delivery.run(self.threads())

    def tell_second_channel(self) -> None:
        today = self.now().date()
        news = [
            News(i.id, i.opened_at, i.open, self.is_silenced(i, today), partial(self.rendering.top, i))
            for i in self.book.incidents()
        ]
        self.second.run(news, self.now().isoformat())

    def threads(self) -> list[Thread]:
        """What Slack should hold and was not told to its end."""
        today, channel = self.now().date(), self.configuration.channel
        threads = [
            self.rendering.thread(incident, to, self.told.of(incident.id), silenced=self.is_silenced(incident, today))
            for incident in self.book.incidents()
            if not self.told.of(incident.id).over and (to := channel(incident.key.pipeline))
        ]
        editions = [e for e in self.editions.all if not self.told.of(e.id).over]
        return threads + [Thread(e.id, e.channel, e.at, e.at, e, over=True) for e in editions]

    def compose_digest(self) -> None:
        """Write the day's digest when it is time."""
        window = self.editions.due(self.now())
        if window is None:
            return
        notes = self.book.notes(window.after, window.until)
        known = self.book.incidents()
        channel_of = self.configuration.channel

        def write(channel: str) -> Content | None:
            return digest(
                window.day,
                [note for note in notes if channel_of(note.pipeline) == channel],
                [i for i in known if i.open and channel_of(i.key.pipeline) == channel],
                [
                    i
                    for i in known
                    if i.resolved_at is not None
                    and window.after < i.resolved_at <= window.until
                    and channel_of(i.key.pipeline) == channel
                ],
                self.configuration.silences,
                self.settings.addresses,
            )

        self.editions.compose(window, write, self.configuration.channels())
        self.parts["slack"].wake()

    def check_channels(self) -> None:
        """Ask Slack whether it would take a message, before there is one."""
        refusals: dict[str, str] = {}
        channels: list[str | None] = [*self.configuration.channels()]
        for channel in channels or [None]:
            try:
                self.settings.slack.check(channel)
            except SlackError as error:
                refusals[channel or "no channel"] = str(error)
        self.refusals = refusals

    def read_configuration(self) -> None:
        """Read pipelines and silences again, and put away what is over 90 days old."""
        self.configuration.read()
        try:
            self.outbox.check()
            self.outbox_problem = ""
        except OSError as error:
            self.outbox_problem = f"Tasks cannot write signals below {self.outbox.folder}: {error}"
        for gone in self.book.prune(self.now()):
            self.told.forget(gone)
            self.heard.forget(gone)
            self.rendering.forget(gone)
        self.outbox.prune(self.now() - KEPT)
        self.outbox.keep_ballast()

    def beat(self) -> None:
        """Say outside that messages can be delivered: in a file, and once a minute to the service that misses it."""
        outside = self.parts["heartbeat"].turns % max(1, round(60 / self.settings.seconds.heartbeat)) == 0
        self.heartbeat.beat(health.of(self).problems, self.now(), outside=outside)

    def is_silenced(self, incident: Incident, today: date) -> bool:
        return silences.silenced(self.configuration.silences.entries, incident, today) is not None

    def _wake_channels(self) -> None:
        self.parts["slack"].wake()
        self.parts["second channel"].wake()

    def _read_ledger(self, deployment: Deployment, now: datetime) -> Situation:
        return situations.read(self._s3, deployment, now)

    @cached_property
    def _s3(self) -> S3Client:
        return servers.s3_client(connect=2, read=3, tries=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Watch until SIGTERM. With --test: say whether messages would arrive; 1 when not."""
    parser = argparse.ArgumentParser(prog="python -m retrain.alerts.watch", description=__doc__)
    parser.add_argument(
        "--test", action="store_true", help="post a test message through every channel, and say how it went"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for talkative in ("httpx", "botocore"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    try:
        settings = WatchSettings.of(os.environ)
    except RetrainError as error:
        print(error, file=sys.stderr)
        return 2
    if options.test:
        return _rehearse(settings)
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    return run(settings, ended)


def _rehearse(settings: WatchSettings) -> int:
    from retrain.alerts.watch.rehearsal import rehearse

    code = 0
    for outcome in rehearse(settings):
        print(f"{'ok' if outcome.well else 'NOT OK':7} {outcome.place}: {outcome.says}", flush=True)
        code = code if outcome.well else 1
    return code


def run(settings: WatchSettings, ended: threading.Event) -> int:
    """Watch until `ended` is set; while another watch has the folder, wait for its end."""
    lock = settings.folder / "watch.lock"
    told = False
    while not ended.is_set():
        with try_locked(lock) as ours:
            if ours:
                _serve(Watch(settings), ended)
                return 0
        if not told:
            log.warning("Another watch is at work on %s. This one waits to take over.", settings.folder)
            told = True
        ended.wait(1)
    return 0


def _serve(watch: Watch, ended: threading.Event) -> None:
    from retrain.alerts.watch.page import Page

    page = Page(watch)
    page.start()
    watch.start()
    log.info("Watching %s; page at http://127.0.0.1:%d/", Path(watch.settings.folder), watch.settings.port)
    ended.wait()
    watch.stop()
    page.stop()
