"""Celery's results in Redis, at an address where nobody listens."""

from __future__ import annotations

import celery
import pytest
from celery.backends.redis import RedisBackend
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


def test_celery_itself_would_subscribe_which_is_why_the_class_exists() -> None:
    results = app(RedisBackend).backend
    with pytest.raises((RedisConnectionError, RuntimeError)):
        results.on_task_call(None, "task")
    assert results.result_consumer.subscribed_to
