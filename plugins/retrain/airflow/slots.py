"""How many tasks Airflow starts at once, and how many its workers run at once."""

from __future__ import annotations

from dataclasses import dataclass

from airflow.configuration import conf

_SECONDS = 5.0


@dataclass(frozen=True)
class Slots:
    """`parallelism` is Airflow's setting; `workers` has by worker the number of tasks that it runs at once."""

    parallelism: int
    workers: dict[str, int]


def slots() -> Slots | None:
    """The setting, and the answers of the Celery workers; None where another executor runs the tasks itself."""
    if "CeleryExecutor" not in conf.get_mandatory_value("core", "executor"):
        return None
    from celery import Celery

    broker = conf.get_mandatory_value("celery", "broker_url").strip()
    app = Celery(broker=broker)
    app.conf.broker_connection_timeout = _SECONDS
    answers = app.control.inspect(timeout=_SECONDS).stats() or {}
    workers = {name: int(answer["pool"]["max-concurrency"]) for name, answer in answers.items()}
    return Slots(conf.getint("core", "parallelism"), workers)
