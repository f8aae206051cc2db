"""The place of Celery's results: Redis, asked by the scheduler."""

from __future__ import annotations

from celery.backends.redis import RedisBackend


class PolledResults(RedisBackend):  # type: ignore[misc]
    """Celery's results in Redis, for a caller that asks for them.

    By default Celery also subscribes to each result when it sends the task. Airflow's scheduler never listens, and never
    unsubscribes: Redis would keep a channel for each task until the scheduler ends.
    """

    def on_task_call(self, producer: object, task_id: str) -> None:
        """Subscribe to nothing."""
