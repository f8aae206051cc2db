"""Serve the alerts page of an example: a real watch that has worked through three days of March 2020 against a Slack stand-in.

alerts_preview.py PORT [full | empty | mute | odd]

`mute`: neither Slack nor the second channel takes a message any more. `odd`: names and reasons that look like HTML.

It prints the page's address and runs until it is interrupted. It needs Airflow's environment: `.venv/bin/python`.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from slack_standin.running import Standin

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "plugins"))

from example_signals import SIGNALS  # noqa: E402
from signal_templates import ADDRESSES, PIPELINE, failed  # noqa: E402
from signal_templates import signal as example_signal  # noqa: E402

from retrain.alerts.incident import Incident, Situation  # noqa: E402
from retrain.alerts.kinds import Kind  # noqa: E402
from retrain.alerts.signal import Signal, Step  # noqa: E402
from retrain.alerts.watch.page.server import Page  # noqa: E402
from retrain.alerts.watch.settings import WatchSettings  # noqa: E402
from retrain.alerts.watch.watch import Watch  # noqa: E402
from retrain.deployment.pipeline_file import Deployment  # noqa: E402
from retrain.errors import StageKilledError, UnprovenPushError  # noqa: E402

SHOWS = ("full", "empty", "mute", "odd")
NOW = datetime(2020, 3, 19, 8, 29, 40, tzinfo=UTC)
_VARIABLES = {
    "RETRAIN_REPOSITORY": "https://git.example.org/pipeline.git",
    "RETRAIN_RAW_BUCKET": "retrain-raw",
    "RETRAIN_STORE_BUCKET": "retrain-store",
    "RETRAIN_LEDGER_BUCKET": "retrain-ledger",
    "RETRAIN_SLACK_CHANNEL": '"#retrain-alerts"',
}
_OTHER = "bike_hires"  # a second pipeline, in another time zone
_SILENCES = f"""
- {{pipeline: {PIPELINE}, kind: promotion_refused, reason: The champion is kept until the new fare zones are labelled.,
   issue: "https://git.example.org/retrain/issues/31", since: 2020-03-10, expires: 2020-03-31}}
- {{pipeline: {_OTHER}, kind: data_late, reason: The feed lands after noon until its migration is over.,
   issue: "https://git.example.org/retrain/issues/12", since: 2020-02-01, expires: 2020-03-15}}
- {{pipeline: {PIPELINE}, kind: drift_detected, reason: Always drifts on holidays.,
   issue: "https://git.example.org/retrain/issues/27"}}
"""


_ODD_SILENCES = f"""
- {{pipeline: {PIPELINE}, kind: data_late, subject: "<img src=x>", reason: "<script>document.title = 'it ran'</script>",
   issue: 'https://git.example.org/"onclick="x' , since: 2020-03-10, expires: 2020-03-31}}
- {{pipeline: "<b>", kind: "<i>"}}
"""


def of_today() -> list[Signal]:
    """Signals of the last morning, whose incidents are open."""
    killed = StageKilledError(
        "Stage train was ended by signal 9 (often the kernel's, out of memory). Clear reproduce; finished stages come back."
    )
    late = example_signal(
        Step.TROUBLE,
        Kind.DATA_LATE,
        "19T08:00:04",
        partition="2020-03-18",
        facts={
            "expected_at": "2020-03-19T08:00:00+00:00",
            "marker": "s3://retrain-raw/raw/bikes/dt=2020-03-18/_SUCCESS",
            "next": "Ask the data's owner. The run goes on by itself when the marker is there.",
        },
    )
    return [failed("19T06:19:44", "reproduce", 18, 3, killed, stage="train"), replace(late, pipeline=_OTHER)]


def muted() -> Signal:
    """A failure that no channel takes any more."""
    unproven = UnprovenPushError(
        "2 of 761 objects are not proven on s3://retrain-store/dvc, after an upload of their own. The run is not recorded."
    )
    return failed("19T08:21:07", "push", 18, 3, unproven)


def odd() -> Signal:
    """A failure whose every text looks like HTML."""
    script = "<script>document.title = 'it ran'</script>"
    killed = StageKilledError(f"{script} {'x' * 300}")
    known = failed("19T06:19:44", script, 18, 3, killed, stage=script, next=f"Remove `{script}` and {script}.")
    return replace(known, pipeline="<b>bold</b>", subject=script)


@dataclass
class PreviewClock:
    """The watch's clock, which the example moves."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at


class NothingObserved:
    """An observer that finds nothing: the example writes all signals itself."""

    deployments: Sequence[Deployment] = ()
    airflow_problem = ""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def note_recorded(self, _days: Mapping[str, Collection[str]]) -> None:
        """Nothing is asked for, so nothing has to be asked for again."""

    def observe(self, _now: datetime, _incidents: Sequence[Incident]) -> list[Signal]:
        """Find nothing."""
        return []


class Outside:
    """A second channel's address on the loopback; refuses everything once `ill` is set."""

    def __init__(self) -> None:
        self.ill = False
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(500 if outside.ill else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep the requests out of the output."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Yields its address, as apprise writes it."""
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        try:
            yield f"json://127.0.0.1:{self.server.server_address[1]}"
        finally:
            self.server.shutdown()
            thread.join()
            self.server.server_close()


def settings(folder: Path, slack: Standin, second: str, port: int) -> WatchSettings:
    """The watch's settings, with the files of two pipelines and the silences."""
    pipelines = folder / "pipelines"
    pipelines.mkdir()
    text = (ROOT / "dags" / "pipelines" / "trip_duration.yaml").read_text("utf-8")
    text = re.sub(r"\$\{(\w+)\}", lambda found: _VARIABLES.get(found[1], found[0]), text)
    (pipelines / f"{PIPELINE}.yaml").write_text(text, "utf-8")
    other = text.replace("timezone: UTC", "timezone: America/New_York").replace("#retrain-alerts", "#bike-alerts")
    (pipelines / f"{_OTHER}.yaml").write_text(other, "utf-8")
    (folder / "silences.yaml").write_text(_SILENCES, "utf-8")
    chosen = WatchSettings.of(
        {
            "RETRAIN_ALERTS": str(folder / "alerts"),
            "RETRAIN_PIPELINES": str(pipelines),
            "RETRAIN_SILENCES": str(folder / "silences.yaml"),
            "RETRAIN_SLACK_TOKEN": slack.token,
            "RETRAIN_SLACK_API_URL": f"{slack.url}/api/",
            "RETRAIN_APPRISE_URLS": second,
            "RETRAIN_ALERTS_PORT": str(port),
        }
    )
    return replace(chosen, addresses=ADDRESSES)


def situation(_: Deployment, now: datetime) -> Situation:
    """The same model for both pipelines: that of the day before the first failure."""
    return Situation(now.isoformat(), "9", "2020-03-17", "2020-03-17", "2020-03-18T08:53:51+00:00", "v1.2.0")


def play(watch: Watch, slack: Standin, clock: PreviewClock, signals: Sequence[Signal]) -> None:
    """Bring the signals to the watch, each at its time, and let the watch deliver."""
    for each in sorted(signals, key=lambda known: known.at):
        clock.at = datetime.fromisoformat(each.at)
        if clock.at > NOW:
            return
        slack.control("clock", {"at": (clock.at + timedelta(seconds=2)).timestamp()})
        watch.state.outbox.put(each)
        for part in ("signals", "slack", "second channel"):
            watch.parts[part].take_turn()


@contextmanager
def previewed(port: int, show: str, runbooks: Path) -> Iterator[str]:
    """Yields the address of the page while it is served."""
    outside, clock = Outside(), PreviewClock(datetime(2020, 3, 17, 5, tzinfo=UTC))
    with (
        tempfile.TemporaryDirectory() as folder,
        outside.serving() as second,
        Standin(channels=("retrain-alerts", "bike-alerts")) as slack,
    ):
        chosen = settings(Path(folder), slack, second, port)
        if show in ("empty", "odd"):
            chosen.silences.write_text(_ODD_SILENCES if show == "odd" else "[]", "utf-8")
        watch = Watch(chosen, now=clock, observer=NothingObserved(), ledger=situation)
        watch.parts["configuration"].take_turn()
        signals = [*(each for known in SIGNALS.values() for each in known), *of_today()]
        play(watch, slack, clock, {"empty": [], "odd": [odd()]}.get(show, signals))
        watch.check.take_turn()
        if show == "mute":
            slack.stop()
            outside.ill = True
            watch.state.outbox.put(muted())
        clock.at = NOW
        for part in watch.parts.values():
            part.take_turn()
        page = Page(watch, runbooks)
        page.start()
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            page.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until SIGTERM or Ctrl-C. Returns 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("show", nargs="?", choices=SHOWS, default="full")
    chosen = parser.parse_args(arguments)
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    with previewed(chosen.port, chosen.show, ROOT / "infra" / "runbooks") as url:
        print(url, flush=True)
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
