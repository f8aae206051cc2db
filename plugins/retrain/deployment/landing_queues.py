"""Which pipelines read which SQS queue. A message is deleted when it is read, so a queue has one reader."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from retrain.deployment.pipeline_file import Deployment, load
from retrain.errors import SharedQueueError

log = logging.getLogger(__name__)


def readers(pipelines: Path) -> dict[str, list[str]]:
    """Queue -> the names of the files in the folder whose pipelines read it. Each file is read once."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(pipelines.glob("*.yaml")):
        try:
            deployment = load(file, calendar=False)
        except Exception:  # noqa: BLE001 - as for its own DAG, which says what is wrong with it: a broken file has no reader
            log.info("%s is broken, so it reads no queue", file.name)
            continue
        if deployment.trigger == "event" and deployment.raw and deployment.raw.queue:
            found[deployment.raw.queue].append(file.name)
    return dict(found)


def shared(deployment: Deployment, known: Mapping[str, Sequence[str]]) -> SharedQueueError | None:
    """Return the error of a pipeline with `trigger: event` if `known`, the readers of each queue, has another one for its queue."""
    own = f"{deployment.pipeline}.yaml"
    queue = deployment.raw.queue if deployment.raw else None
    others = [name for name in known.get(queue or "", ()) if name != own]
    if not others:
        return None
    return SharedQueueError(
        f"{own}: raw.queue {queue} is the queue of {', '.join(others)} too. Each would take and "
        "delete the other's messages. Give each pipeline with `trigger: event` a queue of its own, such as "
        f"${{RETRAIN_LANDED_QUEUES}}{deployment.pipeline}. Until then the scheduled runs process the days."
    )
