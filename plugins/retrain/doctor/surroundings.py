"""The place in which the doctor runs: the local stack, or one of the containers, which have different secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from retrain.deployment.pipeline_file import Deployment, load
from retrain.errors import ConfigurationError

SECRETS = Path("/run/secrets")


@dataclass(frozen=True)
class Surroundings:
    """The environment's variables, the folder of the secrets, Airflow's address, and the deployed pipelines.

    `broken` says by file why a pipeline's file cannot be read.
    """

    environment: Mapping[str, str]
    secrets: Path
    airflow: str
    deployments: tuple[Deployment, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_watch(self) -> bool:
        """True in the watch's container: it has Slack's token, and none of Airflow's connections."""
        return bool(self.environment.get("RETRAIN_SLACK_TOKEN_FILE"))

    def file(self, name: str) -> Path | None:
        """The file of a secret; None if this container does not have it."""
        path = self.secrets / name
        return path if path.exists() else None


def look_around(
    environment: Mapping[str, str], pipelines: Path, airflow: str, secrets: Path | None = None
) -> Surroundings:
    """Read the pipelines' files. RETRAIN_AIRFLOW_API_URL, which the watch has, comes before `airflow`."""
    deployments, broken = [], {}
    for path in sorted(pipelines.glob("*.yaml")):
        try:
            deployments.append(load(path, environment))
        except ConfigurationError as error:
            broken[path.name] = str(error)
    address = environment.get("RETRAIN_AIRFLOW_API_URL") or airflow
    return Surroundings(environment, secrets or SECRETS, address.rstrip("/"), tuple(deployments), broken)
