"""Another team's pipeline, and one day of it."""

from __future__ import annotations

from typing import Any

from running_stack import Live

PIPELINE, RUN, DAY = "foreign", "visit", "2024-02-29"
SENT = {"2024-02-27": b"one", "2024-02-28": b"two visitors", DAY: b"and three"}


def release(live: Live, tag: str) -> Any:
    return live.retrain("--pipeline", PIPELINE, "release", tag)


def begin(live: Live) -> None:
    """Land the team's days, release its v0.1.0 and trigger DAY's run."""
    for day, body in SENT.items():
        folder = f"s3://{live.variables['RETRAIN_RAW_BUCKET']}/raw/foreign/dt={day}"
        live.put(f"{folder}/visits.txt", body)
        live.put(f"{folder}/_SUCCESS", b"")
    released = release(live, "v0.1.0")
    assert released.returncode == 0, released.stderr
    live.airflow.unpause(PIPELINE)
    live.airflow.trigger(PIPELINE, RUN, {"partition": DAY})
