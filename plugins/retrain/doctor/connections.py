"""The connections that the pipelines' files name: Airflow knows them, and the server behind each accepts us."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from retrain.doctor.finding import Finding, ok, unknown, wrong
from retrain.doctor.surroundings import Surroundings
from retrain.errors import StoreError, TrackingError
from retrain.store import s3
from retrain.tracking.server import MlflowServer
from retrain.work.errors import StageSecretError

if TYPE_CHECKING:
    from retrain.airflow.connections import Aws

_SECONDS = 5.0
_HOW = (
    "Locally connections.json defines it, on AWS the secret airflow/connections/{0} (and airflow_connections in "
    "terraform.tfvars): infra/docs/first-deployment.md, Secrets."
)
_ROLE = "Correct the connection in connections.json or, if it is not defined, the role of AWS_PROFILE: infra/aws/modules/roles."


def check_aws(here: Surroundings) -> Iterator[Finding]:
    """The AWS connections. One that is not defined is the machine's or the profile's own role."""
    if here.is_watch:
        yield unknown("connections", "the watch has none of Airflow's", "Run it in airflow-api-server.")
        return
    from retrain.airflow.connections import Aws, is_defined

    for conn_id in sorted({each.aws_conn_id for each in here.deployments}):
        yield _identity(conn_id, Aws(conn_id), is_defined(conn_id))


def _identity(conn_id: str, aws: Aws, defined: bool) -> Finding:
    source = "defined in Airflow" if defined else "not defined in Airflow: the machine's or the profile's role"
    try:
        with s3.naming("GetCallerIdentity", conn_id, "STS"):
            arn = aws.asking("sts").get_caller_identity()["Arn"]
    except StoreError as error:
        return wrong(f"connection {conn_id}", f"{source}; {error}", _ROLE)
    return ok(f"connection {conn_id}", f"{source}; AWS knows it as {arn}")


def check_mlflow(here: Surroundings) -> Iterator[Finding]:
    """The MLflow connections: the server's health and version, and one request with the connection's user."""
    if here.is_watch:
        return
    from retrain.airflow.connections import connect_mlflow, is_defined

    for conn_id in sorted({each.mlflow_conn_id for each in here.deployments}):
        thing = f"connection {conn_id}"
        if not is_defined(conn_id):
            yield wrong(thing, "Airflow does not know it: record_run would fail", _HOW.format(conn_id))
            continue
        uri = connect_mlflow(conn_id)
        try:
            _get(f"{uri}/health")
            version = _get(f"{uri}/version")
            MlflowServer(uri, Path("unused")).accepts()
        except (OSError, ValueError) as error:
            yield wrong(thing, f"MLflow at {uri} did not answer ({error})", _HOW.format(conn_id))
        except TrackingError as error:
            yield wrong(thing, str(error), _HOW.format(conn_id))
        else:
            yield ok(thing, f"MLflow {version} answers at {uri}")


def check_stage_secrets(here: Surroundings) -> Iterator[Finding]:
    """The secrets of the pipelines' stages: Airflow has each of them. No value is shown."""
    from retrain.airflow.stage_secrets import secret_values

    for each in (deployment for deployment in here.deployments if deployment.secrets):
        thing = f"secrets of {each.pipeline}'s stages"
        if here.is_watch:
            yield unknown(thing, "the watch has none of Airflow's connections", "Run it in airflow-api-server.")
            continue
        try:
            secret_values(each.secrets)
        except StageSecretError as error:
            yield wrong(
                thing, str(error), "infra/docs/bring-your-own-pipeline.md, Variables and secrets of the stages."
            )
        else:
            yield ok(thing, f"Airflow has {', '.join(each.secrets)}")


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - the scheme is the connection's
        text: str = answer.read(100).decode("utf-8", "replace").strip()
    return text
