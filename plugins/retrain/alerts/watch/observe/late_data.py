"""Is a day's data late, or has late data landed? Asks S3 for the marker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from retrain.alerts.facts import LateFacts
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step
from retrain.alerts.watch.observe import deadlines
from retrain.alerts.watch.observe.inquiry import Inquiry, observed
from retrain.deployment.pipeline_file import Deployment
from retrain.store import s3


def late_data(inquiry: Inquiry, deployment: Deployment, now: datetime) -> Iterator[Signal]:
    """Trouble for each partition whose marker is missing after its deadline, a good end once a late one is there.

    Raises:
        StoreError: S3 refused the question, or did not answer it.
    """
    if deployment.expected is None:
        return
    key = Key(deployment.pipeline, Kind.DATA_LATE, "")
    waiting = {day for incident in inquiry.incidents if incident.key == key for day in incident.missing}
    owed = dict(deadlines.owed(deployment, deployment.expected.landed, inquiry.since, now))
    for day in sorted({*owed, *waiting}):
        if (deployment.pipeline, day) in inquiry.answered.landed and day not in waiting:
            continue
        marker = f"{deployment.raw.url}/dt={day}/{deployment.raw.marker}"
        if s3.get(inquiry.client, marker) is not None:
            inquiry.answered.landed.add((deployment.pipeline, day))
            if day in waiting:
                yield observed(f"{deployment.pipeline}/landed/{day}", now, Step.GOOD, key, day)
        elif day in owed:
            facts = LateFacts(
                expected_at=owed[day].isoformat(),
                marker=marker,
                next="Ask the data's owner. The run goes on by itself when the marker is there.",
            )
            yield observed(f"{deployment.pipeline}/late/{day}", now, Step.TROUBLE, key, day, facts)
