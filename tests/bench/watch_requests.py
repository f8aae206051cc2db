"""Count what the watch asks, on a generated ledger: `.venv/bin/python tests/bench/watch_requests.py`.

The parts of the watch take their turns on a simulated clock against an S3 server, a stand-in of Slack, and the pages of Airflow's
API that the watch reads. Prints the requests of ten minutes for each situation. `--plugins` counts another version of the code.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("infra/local", "tests/contract", "tests/bench")]


if TYPE_CHECKING:
    from counted_watch import CountedWatch


def all_recorded(counted: CountedWatch) -> None:
    """All days are recorded, and the watch has seen them."""
    counted.look()


def restarted(counted: CountedWatch) -> None:
    """The same, just after a restart."""
    counted.look()
    counted.start()


def before_the_deadline(counted: CountedWatch) -> None:
    """The next day has not come, and is not late."""
    counted.look()
    counted.at(counted.last + timedelta(days=2), 9, 30)


def one_day_late(counted: CountedWatch) -> None:
    """The next day is late for every pipeline."""
    counted.look()
    counted.at(counted.last + timedelta(days=2), 11)
    counted.look()


def ten_days_never_came(counted: CountedWatch) -> None:
    """Ten days of each pipeline never came, and a later one did: their incidents have ended."""
    days = [counted.last - timedelta(days=number) for number in range(20, 9, -1)]
    removed = counted.remove(*days)
    for day in days:
        counted.at(day + timedelta(days=1), 15)
        counted.look()
    counted.put_back({url: body for url, body in removed.items() if f"dt={days[-1]}" in url})
    counted.look()
    counted.at(counted.last + timedelta(days=1), 20)
    counted.look()


# The last one removes days, so it comes last.
SITUATIONS = (all_recorded, restarted, before_the_deadline, one_day_late, ten_days_never_came)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="watch_requests.py", description="Count what the watch asks.")
    parser.add_argument("--pipelines", type=int, default=10, metavar="N")
    parser.add_argument("--days", type=int, default=1095, metavar="N", help="recorded days of each pipeline")
    parser.add_argument("--plugins", type=Path, default=ROOT / "plugins", metavar="DIR")
    options = parser.parse_args()
    sys.path.insert(0, str(options.plugins))
    for module in ("retrain.alerts.watch.watch", "retrain.alerts.watch.observe.observer"):
        importlib.import_module(module)  # the modules below put this checkout's plugins first
    from counted_watch import counted_watch, generated_server, pin_releases
    from live_servers import free_ports
    from stack_model import Ports, Secrets, Stack

    with tempfile.TemporaryDirectory(prefix="watch-requests-") as name:
        stack = Stack(ROOT, Path(name) / "state", Ports(*free_ports(6)), Secrets.generate())
        with generated_server(stack, options.pipelines, options.days) as made:
            sys.stdout.write(f"{'ten minutes':24}{'S3, a pipeline':>16}{'Airflow, a look':>17}{'Slack':>7}\n")
            for prepare in SITUATIONS:
                with (
                    tempfile.TemporaryDirectory(prefix="watch-") as folder,
                    counted_watch(stack, made, Path(folder), slack=True) as counted,
                ):
                    pin_releases(counted.pages, made.pipelines)
                    prepare(counted)
                    found = counted.ten_minutes("observe", "signals", "situation", "check")
                line = f"{prepare.__name__:24}{found.s3_each:16.1f}{found.airflow_each:17.1f}{len(found.slack):7}\n"
                sys.stdout.write(line)
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
