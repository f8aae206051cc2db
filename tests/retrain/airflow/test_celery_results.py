"""Celery's results in Redis, at an address where nobody listens."""

from __future__ import annotations

from collections.abc import Mapping

import celery
import pytest
from airflow.providers.celery.executors.celery_executor_utils import BulkStateFetcher
from celery.backends.redis import RedisBackend
from celery.result import AsyncResult
from redis.exceptions import ConnectionError as RedisConnectionError

from retrain.airflow.celery_results import PolledResults

NOBODY = "redis://127.0.0.1:9/0"


def app(kind: type[RedisBackend]) -> celery.Celery:
    """An app whose results have this class, named as the compose file names it."""
    made = celery.Celery(set_as_current=False, backend=f"{kind.__module__}.{kind.__qualname__}+{NOBODY}")
    made.conf.result_backend_transport_options = {"retry_policy": {"max_retries": 0}}
    return made


def test_a_task_that_is_sent_is_not_subscribed_to() -> None:
    results = app(PolledResults).backend
    assert type(results) is PolledResults
    results.on_task_call(None, "task")
    assert not results.result_consumer.subscribed_to


def states(kind: type[RedisBackend]) -> Mapping[str, tuple[str, object]]:
    """What Airflow's scheduler makes of the results of two tasks."""
    asked = app(kind)
    tasks = [AsyncResult(name, app=asked) for name in ("first", "second")]
    return BulkStateFetcher(1, asked).get_many(tasks)


def test_while_redis_is_down_the_scheduler_takes_the_tasks_for_unfinished_and_goes_on() -> None:
    assert states(PolledResults) == {"first": ("PENDING", None), "second": ("PENDING", None)}


def test_celery_itself_would_end_the_scheduler_while_redis_is_down() -> None:
    with pytest.raises(RedisConnectionError):
        states(RedisBackend)


def test_celery_itself_would_subscribe_which_is_why_the_class_exists() -> None:
    results = app(RedisBackend).backend
    with pytest.raises((RedisConnectionError, RuntimeError)):
        results.on_task_call(None, "task")
    assert results.result_consumer.subscribed_to
