"""Airflow: its api-server answers, its parts are healthy, its DAG files import, its setting fits its workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from retrain.airflow.api import AirflowApi
from retrain.doctor.finding import Finding, ok, unknown, warning, wrong
from retrain.doctor.surroundings import Surroundings
from retrain.errors import AirflowApiError, AirflowUnreachableError, BrokerUnreachableError

_SLOTS = "Make Airflow's parallelism the number of workers times their concurrency: infra/docs/scaling.md."
_PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


def check(here: Surroundings) -> Iterator[Finding]:
    """Ask the api-server."""
    api = AirflowApi(here.airflow)
    try:
        yield parts(api.health())
    except AirflowUnreachableError as error:
        yield wrong(
            "Airflow",
            str(error),
            "Look at `docker ps` and the logs of airflow-api-server (locally: make status). If it runs elsewhere, name its "
            "address: --airflow.",
        )
        return
    try:
        yield imports(api.import_errors())
    except AirflowApiError as error:
        yield wrong(
            "Airflow's login",
            str(error),
            "The user watch of airflow_passwords needs the password in the file watch_password: infra/docs/secrets.md.",
        )


def parts(health: Mapping[str, Any]) -> Finding:
    """The state of Airflow's parts, as Airflow reports it."""
    states = {name: (health.get(name) or {}).get("status") or "missing" for name in _PARTS}
    ill = [f"{name} is {state}" for name, state in states.items() if state != "healthy"]
    if ill:
        return wrong("Airflow", "; ".join(ill), "Look at the logs of these services; a restart of the service is safe.")
    return ok("Airflow", f"{', '.join(_PARTS)} are healthy")


def imports(errors: Mapping[str, str]) -> Finding:
    """The DAG files that cannot be imported."""
    if not errors:
        return ok("DAG files", "all are imported")
    said = "; ".join(f"{file}: {line}" for file, line in errors.items())
    return wrong("DAG files", said, "Correct the file, and release it; infra/docs/pipeline-file.md has every key.")


def check_slots(here: Surroundings) -> Iterator[Finding]:
    """The setting of parallelism beside the workers that answer."""
    from retrain.airflow.slots import slots

    in_container = any(here.secrets.glob("*"))
    if in_container and not (here.file("broker_url") and here.environment.get("RETRAIN_WORKERS")):
        seen = "this container does not know both the broker and the scheduler's parallelism"
        yield unknown("slots", seen, "Run it in airflow-scheduler.")
        return
    try:
        found = slots()
    except BrokerUnreachableError as error:
        yield wrong("slots", str(error), "Look at the logs of redis; the secret broker_url must name its password.")
        return
    yield (
        ok("slots", "tasks run in the scheduler's own processes")
        if found is None
        else fit(found.parallelism, found.workers)
    )


def fit(parallelism: int, workers: Mapping[str, int]) -> Finding:
    """Compare the setting with the workers' slots."""
    total = sum(workers.values())
    seen = f"parallelism is {parallelism}, and {len(workers)} workers have {total} slots"
    if not workers:
        return wrong("slots", f"{seen}: no worker answers", "Look at the logs of airflow-worker and of redis.")
    if parallelism > total:
        return warning(
            "slots",
            f"{seen}: tasks beyond the slots wait in Celery, where Airflow counts them as started",
            _SLOTS,
        )
    if parallelism < total:
        return warning("slots", f"{seen}: some are never used", _SLOTS)
    return ok("slots", seen)
