"""The place of Celery's results: Redis, asked by the scheduler."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from celery.backends.redis import RedisBackend

log = logging.getLogger(__name__)


class PolledResults(RedisBackend):  # type: ignore[misc]
    """Celery's results in Redis, for a caller that asks for them.

    By default Celery also subscribes to each result when it sends the task. Airflow's scheduler never listens, and never
    unsubscribes: Redis would keep a channel for each task until the scheduler ends.
    """

    def on_task_call(self, producer: object, task_id: str) -> None:
        """Subscribe to nothing."""

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The results of these keys. While Redis does not answer there are none: an exception would end the scheduler."""
        try:
            found: list[bytes | None] = super().mget(keys)
        except self.connection_errors as error:
            log.warning("Redis does not answer, so no result is known yet: %s", error)
            return [None for _ in keys]
        return found
