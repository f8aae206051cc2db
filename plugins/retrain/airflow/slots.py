"""How many tasks Airflow starts at once, and how many its workers run at once."""

from __future__ import annotations

import os
from dataclasses import dataclass

from airflow.configuration import conf

from retrain.errors import BrokerUnreachableError

_SECONDS = 5.0


@dataclass(frozen=True)
class Slots:
    """`parallelism` is Airflow's setting; `workers` has by worker the number of tasks that it runs at once."""

    parallelism: int
    workers: dict[str, int]


def slots() -> Slots | None:
    """The setting, and the answers of the Celery workers; None where another executor runs the tasks itself.

    Raises:
        BrokerUnreachableError: the broker does not answer, or refuses the password.
    """
    if "CeleryExecutor" not in conf.get_mandatory_value("core", "executor"):
        return None
    from celery import Celery
    from kombu.exceptions import KombuError

    app = Celery(broker=conf.get_mandatory_value("celery", "broker_url").strip())
    app.conf.broker_connection_timeout = _SECONDS
    with app.connection_for_read() as connection:
        errors = (*connection.connection_errors, *connection.channel_errors, KombuError, OSError)
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=_SECONDS)
            answers = app.control.inspect(timeout=_SECONDS, connection=connection).stats() or {}
        except errors as error:
            raise BrokerUnreachableError(
                f"The broker at {connection.as_uri()} cannot be asked ({type(error).__name__}: {error})."
            ) from error
    workers = {name: int(answer["pool"]["max-concurrency"]) for name, answer in answers.items()}
    return Slots(_parallelism(), workers)


def _parallelism() -> int:
    """Airflow's setting. A process beside the scheduler in its container lacks it: the scheduler's command makes it of two others."""
    workers = os.environ.get("RETRAIN_WORKERS")
    if workers and "AIRFLOW__CORE__PARALLELISM" not in os.environ:
        return int(workers) * int(conf.getint("celery", "worker_concurrency"))
    return int(conf.getint("core", "parallelism"))
