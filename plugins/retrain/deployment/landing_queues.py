"""Which pipelines read which SQS queue. A message is deleted when it is read, so a queue has one reader."""

from __future__ import annotations

import logging
from pathlib import Path

from retrain.deployment.pipeline_file import Deployment, load
from retrain.errors import ConfigurationError, SharedQueueError

log = logging.getLogger(__name__)


def shared(deployment: Deployment, pipelines: Path) -> SharedQueueError | None:
    """Return the error of a pipeline with `trigger: event` if another one in the folder reads the same queue."""
    files = [file for file in sorted(pipelines.glob("*.yaml")) if file.stem != deployment.pipeline]
    others = [file.name for file in files if _reads(file, deployment.raw.queue)]
    if not others:
        return None
    return SharedQueueError(
        f"{deployment.pipeline}.yaml: raw.queue {deployment.raw.queue} is the queue of {', '.join(others)} too. Each would take and "
        "delete the other's messages. Give each pipeline with `trigger: event` a queue of its own, such as "
        f"${{RETRAIN_LANDED_QUEUES}}{deployment.pipeline}. Until then the scheduled runs process the days."
    )


def _reads(file: Path, queue: str | None) -> bool:
    try:
        other = load(file, calendar=False)
    except ConfigurationError:
        # A broken file has no reader: its own DAG says what is wrong with it.
        log.info("%s is broken, so it reads no queue", file.name)
        return False
    return other.trigger == "event" and other.raw.queue == queue
