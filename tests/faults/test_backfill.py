"""A backfill of fourteen days, three of which fail: one message with a counter, and three lines in its thread."""

from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from running_stack import Live, wait_until
from told import incidents, thread

# The killed worker of `lost_worker` is missed meanwhile.
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("lost_worker")]

DAYS = [(date(2020, 3, 2) + timedelta(days=back)).isoformat() for back in range(14)]
EMPTY = {"2020-03-05", "2020-03-06", "2020-03-12"}


def test_a_backfill_is_one_message_with_its_failures_in_its_thread(live: Live) -> None:
    raw = f"s3://{live.variables['RETRAIN_RAW_BUCKET']}/raw/small_days"
    for day in DAYS:
        if day not in EMPTY:
            live.put(f"{raw}/dt={day}/part-0.csv", day.encode())
        live.put(f"{raw}/dt={day}/_SUCCESS", b"")
    live.airflow.backfill("small_days", DAYS[0], DAYS[-1], at_once=4, reprocess="none")
    message = wait_until(lambda: next(iter(incidents(live, "small_days")), None), 60, "no message of the backfill")

    def finished() -> bool:
        [now] = incidents(live, "small_days")
        return "11 of 14" in json.dumps(now["blocks"]) and "finished" in json.dumps(now).lower()

    wait_until(finished, 480, "the counter does not reach its end")
    wait_until(lambda: len(thread(live, message)) >= 3, 60, "the failures are not in the thread")
    replies = thread(live, message)
    failed = [day for day in DAYS if any(f" {day}" in reply["text"] for reply in replies)]
    assert set(failed) == EMPTY
    assert len([reply for reply in replies if "DATA" in json.dumps(reply["blocks"])]) == 3
    assert len(incidents(live, "small_days")) == 1
