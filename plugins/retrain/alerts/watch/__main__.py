"""The command line of the watch, the process that sends the alerts: `python -m retrain.alerts.watch`.

The watch runs apart from Airflow, so it still works while the scheduler, the workers or Airflow's database are dead. A second
watch on the same folder waits until the first one has ended.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

from retrain.alerts.watch.settings import WatchSettings
from retrain.alerts.watch.watch import Watch
from retrain.errors import RetrainError
from retrain.work.file_lock import try_locked

log = logging.getLogger("retrain.alerts.watch")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the watch until SIGTERM. Returns 0; 1 if a test message did not arrive, 2 if the settings are wrong."""
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
        return send_test_messages(settings)
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    run(settings, ended)
    return 0


def send_test_messages(settings: WatchSettings) -> int:
    """Print how each test message went. Returns 1 if one did not arrive."""
    from retrain.alerts.watch.rehearsal import rehearse

    code = 0
    for outcome in rehearse(settings):
        print(f"{'ok' if outcome.well else 'NOT OK':7} {outcome.place}: {outcome.says}", flush=True)
        code = code if outcome.well else 1
    return code


def run(settings: WatchSettings, ended: threading.Event) -> None:
    """Run until `ended` is set. While another watch holds the folder's lock, wait to take over."""
    waiting = False
    while not ended.is_set():
        with try_locked(settings.folder / "watch.lock") as acquired:
            if acquired:
                _serve(Watch(settings), ended)
                return
        if not waiting:
            log.warning("Another watch is at work on %s. This one waits to take over.", settings.folder)
            waiting = True
        ended.wait(1)


def _serve(watch: Watch, ended: threading.Event) -> None:
    from retrain.alerts.watch.page.server import Page

    settings = watch.state.settings
    page = Page(watch)
    page.start()
    watch.start()
    log.info("Watching %s; page at http://127.0.0.1:%d/", settings.folder, settings.port)
    ended.wait()
    watch.stop()
    page.stop()


if __name__ == "__main__":
    sys.exit(main())
