"""The Git origin of each pipeline: it answers with the deployment's credentials, and the live tag names the recorded commit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from retrain.airflow.api import AirflowApi
from retrain.deployment.pipeline_file import Deployment
from retrain.doctor.finding import Finding, ok, unknown, warning, wrong
from retrain.doctor.surroundings import Surroundings
from retrain.errors import OriginError, RetrainError, UnknownTagError
from retrain.inputs.named_release import live_commit
from retrain.run.errors import CommitGoneError
from retrain.run.release import Pin
from retrain.run.tag_pattern import TagPattern
from retrain.work import git
from retrain.work.errors import OriginConnectionError


def check(here: Surroundings) -> Iterator[Finding]:
    """Each pipeline's origin."""
    if here.is_watch and here.file("git_credentials") is None:
        yield unknown("origin", "this container has no credentials of the origin", "Run it in airflow-api-server.")
        return
    for deployment in here.deployments:
        yield _origin(deployment, here.airflow)


def _origin(deployment: Deployment, airflow: str) -> Finding:
    # Late: it imports Airflow, and no command but those that need Airflow should.
    from retrain.airflow import git_connection

    url, thing, pattern = deployment.repository.url, f"origin of {deployment.pipeline}", TagPattern.of(deployment)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="doctor-") as folder,
            git_connection.opened(deployment.repository) as own,
        ):
            tags = git.tags(own, cwd=Path(folder))
            pin = _pin(airflow, deployment.pipeline)
            now = live_commit(own, pattern, pin.live, Path(folder)) if isinstance(pin, Pin) else ""
    except (OriginConnectionError, OriginError, UnknownTagError, CommitGoneError) as error:
        return wrong(thing, str(error), _how(error, deployment.repository.connection))
    if isinstance(pin, str):
        return unknown(thing, f"{url} answers with {len(tags)} tags; the pin cannot be read: {pin}")
    if pin is None:
        return warning(thing, f"{url} answers with {len(tags)} tags; none is live", pattern.advice)
    if now != pin.live.commit:
        return wrong(
            thing,
            f"the tag {pin.live.tag} names {now}, and was released at {pin.live.commit}",
            "A tag must not move: put it back, or release a new tag.",
        )
    return ok(thing, f"{url} answers; {pin.live.tag} still names {now[:12]}")


def _how(error: RetrainError, connection: str | None) -> str:
    """How to correct what keeps the origin from being read."""
    if isinstance(error, UnknownTagError | CommitGoneError):
        return "Push it again at its commit, or release another one."
    if connection:
        return f"Correct repository.url or the connection {connection}: infra/docs/origins.md."
    return (
        "Correct RETRAIN_REPOSITORY, or give access: repository.connection in the pipeline's file (infra/docs/origins.md), or the "
        "secret git_credentials (https://user:token@host, with the right to read)."
    )


def _pin(airflow: str, pipeline: str) -> Pin | str | None:
    """The pin; None if there is none; a sentence if it cannot be read, which the check of Airflow reports."""
    try:
        return AirflowApi(airflow).pin(pipeline)
    except RetrainError as error:
        return str(error)
