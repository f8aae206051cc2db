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
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from retrain.alerts import messages, silences
from retrain.alerts.backfills import into_thread
from retrain.alerts.book import KEPT, Book, Heard, Marks, Told
from retrain.alerts.delivery import Delivery, Line, Thread
from retrain.alerts.digest import digest
from retrain.alerts.editions import Editions
from retrain.alerts.incident import Incident, Situation
from retrain.alerts.outbox import Outbox
from retrain.alerts.part import Part
from retrain.alerts.plain_text import Content, Plain
from retrain.alerts.second_channel import News, SecondChannel
from retrain.alerts.settings import Settings
from retrain.alerts.signal import Signal
from retrain.alerts.silences import Silences
from retrain.deployment import Deployment, load
from retrain.errors import ConfigurationError, RetrainError, SlackError, WatchError
from retrain.files import write_whole
from retrain.locks import try_locked

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

_ENDS_WITHIN = 3.0


class Looks(Protocol):
    """`observe.Observer`, as the watch asks it."""

    deployments: Sequence[Deployment]
    problems: list[str]

    def look(self, now: datetime, incidents: Sequence[Incident]) -> list[Signal]: ...
    def situation(self, deployment: Deployment, now: datetime) -> Situation: ...


class Watch:
    """What the parts share. `now` is the clock (UTC); `looks` looks around, and is made when first needed."""

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        looks: Looks | None = None,
    ) -> None:
        self.settings = settings
        self.now = now
        folder = settings.folder
        folder.mkdir(parents=True, exist_ok=True)
        self.outbox = Outbox(folder / "outbox")
        self.book = Book(folder / "incidents")
        self.editions = Editions(folder / "digests", settings.digest_at)
        self.told = Marks(folder / "told" / "slack", Told)
        self.heard = Marks(folder / "told" / "second", Heard)
        self.delivery = Delivery(settings.slack, self.told, self.outbox.picture)
        self.second = SecondChannel(settings.second, self.heard)
        self.deployments: dict[str, Deployment] = {}
        self.broken: dict[str, str] = {}
        self.silences = Silences()
        self.situations: dict[str, Situation] = {}
        self.blind_since: float | None = None
        self.blind_to: tuple[str, ...] = ()
        self.unshown: dict[str, str] = {}
        self._looks = looks
        self._making = threading.Lock()
        seconds = settings.seconds
        self.parts = {
            part.name: part
            for part in (
                Part("configuration", seconds.configuration, self.read_configuration),
                Part("signals", seconds.signals, self.fold_signals),
                Part("observe", seconds.observe, self.observe),
                Part("situation", seconds.situation, self.take_situation),
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

    def fold_signals(self) -> None:
        """Take what the outbox holds into the book."""
        failure: OSError | None = None
        changed = False
        for path, found in self.outbox.take():
            try:
                told = into_thread(found, self.book.open(), self.now())
                if told is None:
                    continue  # its backfill is seen at the next look
                changed |= self.book.fold(told, self.situations.get(found.pipeline))
            except OSError as error:
                failure = error  # known, and not yet on disk: the file stays
                changed = True
                continue
            except Exception:
                log.exception("%s cannot be taken in and is put aside", path)
                self.outbox.put_aside(path)
                continue
            path.unlink(missing_ok=True)
        if changed:
            self._wake_channels()
        if failure is not None:
            raise failure

    def observe(self) -> None:
        """Raise what nobody tells."""
        looks = self._observer()
        looks.deployments = list(self.deployments.values())
        changed = False
        for found in looks.look(self.now(), self.book.incidents()):
            told = into_thread(found, self.book.open(), self.now())
            if told is not None:
                changed |= self.book.fold(told, self.situations.get(found.pipeline))
        self.blind_to = tuple(looks.problems)
        self.blind_since = (self.blind_since or time.monotonic()) if self.blind_to else None
        if changed:
            self._wake_channels()

    def take_situation(self) -> None:
        """Note what consumers are on, for the messages that come."""
        looks = self._observer()
        for pipeline, deployment in self.deployments.items():
            self.situations[pipeline] = looks.situation(deployment, self.now())

    def tell_slack(self) -> None:
        self.delivery.run(self.threads())

    def tell_second_channel(self) -> None:
        today = self.now().date()
        news = [
            News(i.id, i.opened_at, i.open, self.is_silenced(i, today), partial(self.top, i))
            for i in self.book.incidents()
        ]
        self.second.run(news, self.now().isoformat())

    def threads(self) -> list[Thread]:
        """What Slack should hold and was not told to its end."""
        today = self.now().date()
        unfinished = [i for i in self.book.incidents() if not self.told.of(i.id).over]
        editions = [e for e in self.editions.all if not self.told.of(e.id).over]
        threads = [self._thread(i, channel, today) for i in unfinished if (channel := self.channel(i.key.pipeline))]
        return threads + [Thread(e.id, e.channel, e.at, e.at, e, over=True) for e in editions]

    def channel(self, pipeline: str) -> str | None:
        """Where a pipeline's incidents go. What belongs to no pipeline goes to the default, or to the first one's channel."""
        deployment = self.deployments.get(pipeline)
        if deployment is not None:
            return deployment.slack.channel
        return self.settings.channel or next((d.slack.channel for d in self.deployments.values()), None)

    def channels(self) -> list[str]:
        return sorted({d.slack.channel for d in self.deployments.values()} or {self.settings.channel or ""} - {""})

    def compose_digest(self) -> None:
        """Write the day's digest when it is time."""
        window = self.editions.due(self.now())
        if window is None:
            return
        notes = self.book.notes(window.after, window.until)
        known = self.book.incidents()

        def write(channel: str) -> Content | None:
            return digest(
                window.day,
                [note for note in notes if self.channel(note.pipeline) == channel],
                [i for i in known if i.open and self.channel(i.key.pipeline) == channel],
                [
                    i
                    for i in known
                    if i.resolved_at is not None
                    and window.after < i.resolved_at <= window.until
                    and self.channel(i.key.pipeline) == channel
                ],
                self.silences,
                self.settings.addresses,
            )

        self.editions.compose(window, write, self.channels())
        self.parts["slack"].wake()

    def check_channels(self) -> None:
        """Ask Slack whether it would take a message, before there is one."""
        refusals: list[str] = []
        channels: list[str | None] = [*self.channels()]
        for channel in channels or [None]:
            try:
                self.settings.slack.check(channel)
            except SlackError as error:
                refusals.append(str(error))
        if refusals:
            raise WatchError(" ".join(dict.fromkeys(refusals)))

    def read_configuration(self) -> None:
        """Read pipelines and silences again, and put away what is over 90 days old."""
        found: dict[str, Deployment] = {}
        broken: dict[str, str] = {}
        for path in sorted(self.settings.pipelines.glob("*.yaml")):
            try:
                found[path.stem] = load(path)
            except ConfigurationError as error:
                broken[path.stem] = str(error)
                if path.stem in self.deployments:
                    found[path.stem] = self.deployments[path.stem]  # as it was when it could be read
        self.deployments, self.broken = found, broken
        try:
            text = self.settings.silences.read_text("utf-8")
        except FileNotFoundError:
            text = ""
        self.silences = silences.read(text, self.settings.silences.name)
        for gone in self.book.prune(self.now()):
            self.told.forget(gone)
            self.heard.forget(gone)
            self.unshown = {name: why for name, why in self.unshown.items() if name.split(" ")[0] != gone}
        self.outbox.prune(self.now() - KEPT)
        self.outbox.keep_ballast()

    def beat(self) -> None:
        """Say that all parts have their turns: in a file, and to whoever is to notice the silence."""
        hanging = [part.name for part in self.parts.values() if part.hangs]
        if hanging:
            raise WatchError(f"No heartbeat: {', '.join(hanging)} does not come to an end.")
        now = self.now()
        path = self.settings.folder / "heartbeat"
        write_whole(path, f"{now.isoformat()}\n".encode())
        url = self.settings.heartbeat_url
        if url and self.parts["heartbeat"].turns % max(1, round(60 / self.settings.seconds.heartbeat)) == 0:
            import httpx

            try:
                httpx.get(url, timeout=10).raise_for_status()
            except httpx.HTTPError as error:
                raise WatchError(f"RETRAIN_HEARTBEAT_URL did not take the beat: {type(error).__name__}") from error

    def _thread(self, incident: Incident, channel: str, today: date) -> Thread:
        lines = tuple(
            Line(
                entry.id,
                entry.at,
                self._shown(
                    f"{incident.id} {entry.id}",
                    partial(messages.reply, incident, entry, self.settings.addresses),
                ),
                entry.loud and incident.open,
                entry.pictures,
            )
            for entry in incident.entries
        )
        changed_at = max([incident.opened_at, *(entry.at for entry in incident.entries)])
        top = self.top(incident)
        quiet = self.is_silenced(incident, today)
        # What had ended before it was told is told once, and is no matter any more.
        over = not incident.open and (messages.is_final(incident) or not self.told.of(incident.id).ts)
        return Thread(incident.id, channel, incident.opened_at, changed_at, top, lines, quiet, over)

    def top(self, incident: Incident) -> Content:
        return self._shown(incident.id, partial(messages.top, incident, self.settings.addresses))

    def _shown(self, identifier: str, render: Callable[[], Content]) -> Content:
        """A message; its bare id where it cannot be written, for one message must not hold up the others."""
        try:
            shown = render()
        except Exception as error:
            if identifier not in self.unshown:
                log.exception("the message of %s cannot be written", identifier)
            self.unshown[identifier] = f"cannot be written: {error!r}"
            return Plain(f"{identifier}: see the watch's page, the message could not be written.")
        self.unshown.pop(identifier, None)
        return shown

    def is_silenced(self, incident: Incident, today: date) -> bool:
        return silences.silenced(self.silences.entries, incident, today) is not None

    def _wake_channels(self) -> None:
        self.parts["slack"].wake()
        self.parts["second channel"].wake()

    def _observer(self) -> Looks:
        with self._making:
            if self._looks is None:
                self._looks = observer(self.settings, self.now())
            return self._looks


def observer(settings: Settings, now: datetime) -> Looks:
    """The one that looks at the ledger and at Airflow. Nothing is owed from before the watch's very first start."""
    from retrain.airflow_api import AirflowApi
    from retrain.alerts.observe import Observer

    path = settings.folder / "since"
    if not path.exists():
        write_whole(path, now.isoformat().encode())
    since = datetime.fromisoformat(path.read_text("utf-8"))
    return Observer([], s3_client(), AirflowApi(settings.airflow_api or settings.addresses.airflow), since)


def s3_client() -> S3Client:
    """S3 from the AWS_… variables, or what the machine's role gives: Airflow's connections may be what is broken."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 3})
    client: S3Client = boto3.client("s3", config=config)
    return client


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
        settings = Settings.of(os.environ)
    except RetrainError as error:
        print(error, file=sys.stderr)
        return 2
    if options.test:
        return _rehearse(settings)
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    return run(settings, ended)


def _rehearse(settings: Settings) -> int:
    from retrain.alerts.rehearsal import rehearse

    code = 0
    for outcome in rehearse(settings):
        print(f"{'ok' if outcome.well else 'NOT OK':7} {outcome.place}: {outcome.says}", flush=True)
        code = code if outcome.well else 1
    return code


def run(settings: Settings, ended: threading.Event) -> int:
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
    from retrain.alerts.page import Page

    page = Page(watch)
    page.start()
    watch.start()
    log.info("Watching %s; page at http://127.0.0.1:%d/", Path(watch.settings.folder), watch.settings.port)
    ended.wait()
    watch.stop()
    page.stop()


if __name__ == "__main__":
    sys.exit(main())
