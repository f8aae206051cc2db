"""Is another release live? Asks Airflow for the pin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from retrain.alerts.facts import ReleaseFacts
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step
from retrain.alerts.watch.observe.inquiry import Inquiry, observed
from retrain.deployment.pipeline_file import Deployment
from retrain.run.release import Pin, variable


def live_release(inquiry: Inquiry, deployment: Deployment, now: datetime) -> Iterator[Signal]:
    """A note when the pin has moved since the last look: a release or a rollback, whichever command made it.

    Raises:
        NoPinError: the Variable cannot be read as a pin.
        AirflowApiError: Airflow refused the question, or did not answer it.
    """
    text = inquiry.fleet.pin_text(deployment.pipeline)
    live_now = None if text is None else Pin.from_json(text, variable(deployment.pipeline)).live
    news = inquiry.pins.news(deployment.pipeline, live_now)
    if news is None:
        return
    live, before = news
    key = Key(deployment.pipeline, Kind.RELEASED, live.tag)
    facts = ReleaseFacts(tag=live.tag, commit=live.commit, before=before.tag if before else None)
    yield observed(f"{deployment.pipeline}/released/{live.tag}/{now.isoformat()}", now, Step.NOTE, key, facts=facts)
