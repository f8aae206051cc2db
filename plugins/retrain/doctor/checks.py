"""The checks by name, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from retrain.doctor import (
    addresses,
    airflow_health,
    buckets,
    connections,
    origin,
    queues,
    raw_data,
    roles,
    secret_files,
    slack_app,
    volume,
    webhook,
)
from retrain.doctor.finding import Finding, ok, wrong
from retrain.doctor.rounds import Check
from retrain.doctor.surroundings import Surroundings


def pipelines(here: Surroundings) -> Iterator[Finding]:
    """The pipelines' files: a broken one is left out of all other checks."""
    for file, problem in here.broken.items():
        yield wrong(f"pipeline file {file}", problem, "infra/docs/pipeline-file.md has every key and default.")
    if here.deployments:
        yield ok("pipeline files", ", ".join(each.pipeline for each in here.deployments))
    elif not here.broken:
        yield wrong("pipeline files", "there is none", "Set RETRAIN_PIPELINES to their folder.")


CHECKS: Mapping[str, Check] = {
    "pipelines": pipelines,
    "secrets": secret_files.check,
    "aws": connections.check_aws,
    "mlflow": connections.check_mlflow,
    "stage_secrets": connections.check_stage_secrets,
    "buckets": buckets.check,
    "raw": raw_data.check,
    "roles": roles.check,
    "queues": queues.check,
    "origin": origin.check,
    "airflow": airflow_health.check,
    "slots": airflow_health.check_slots,
    "volume": volume.check,
    "slack": slack_app.check,
    "webhook": webhook.check,
    "addresses": addresses.check,
}
