"""A host's own programs, `retrain-release` and `retrain-deploy`, on the running containers: one release goes live, an unhealthy one is rolled back.

The registry, the engine, compose, Airflow, the watch and the AWS command line are real; the account is moto's. Nobody signs here:
signatures are in tests/release.
The tests build on each other, and on a stack that is up.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import images
import pytest
from account import account, registry
from base_images import base_images
from conftest import STATE
from containers import Containers
from days import DAY, built_at_run_time, docker, ended, left_behind, retrain, trigger
from running_stack import ROOT
from standin_images import IMAGES

pytestmark = pytest.mark.timeout(1500)
_TOOLS = ROOT / ".local" / "envs" / "release" / "bin"
# The secrets that Secrets Manager keeps for the host; it makes the others itself (variable `host_secrets` of infra/aws/example).
_KEPT = ("admin_password", "api_secret_key", "fernet_key", "jwt_secret", "postgres_password", "slack_token")


@dataclass(frozen=True)
class ReleaseHost:
    """The files and programs of the machine of infra/aws, below a folder."""

    folder: Path
    registry: str
    variables: dict[str, str]

    def ask(self, tag: str) -> dict[str, Any]:
        """Run `retrain-release TAG`; returns its outcome, its exit code and its output."""
        done = subprocess.run(
            [sys.executable, ROOT / "infra/release/retrain_release.py", tag],
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=1400,
        )
        said = done.stdout + done.stderr
        assert done.stdout, said
        return json.loads(done.stdout.splitlines()[-1]) | {"code": done.returncode, "said": said}


@pytest.fixture(scope="module")
def host(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReleaseHost]:
    """The host on which the containers run, with two releases in its registry. v1.2.0 has a worker that ends at once."""
    folder = tmp_path_factory.mktemp("host")
    with registry(STATE, folder) as images_at, account(folder) as account_at:
        for tag in ("v1.1.0", "v1.2.0"):
            for target in ("airflow", "worker", "mlflow"):
                name = f"{images_at}/retrain/{target}:{tag}"
                if (target, tag) == ("worker", "v1.2.0"):
                    build = f"FROM retrain/worker:local\nENTRYPOINT {json.dumps(['false'])}\n"
                    subprocess.run(
                        [images.docker(), "build", "--quiet", f"--tag={name}", "-"], input=build, text=True, check=True
                    )
                else:
                    docker("tag", f"retrain/{target}:local", name)
                docker("push", "--quiet", name)
                docker("image", "rm", name)
        yield _host(containers, folder, images_at, account_at)
        docker("logout", images_at)


def _host(containers: Containers, folder: Path, images_at: str, account_at: str) -> ReleaseHost:
    (folder / "etc").mkdir()
    (folder / "bin").mkdir()
    for name, program in {"aws": _TOOLS / "aws", "docker": Path(images.docker())}.items():
        (folder / "bin" / name).symlink_to(program)
    given = dict(line.split("=", 1) for line in (STATE / "compose" / "settings.env").read_text().splitlines())
    given |= {name: os.environ[name] for name in IMAGES if name in os.environ}
    given |= {
        "COMPOSE_PROFILES": "local",
        "AWS_REGION": "us-east-1",
        "RETRAIN_PROJECT": containers.project,
        "RETRAIN_REGISTRY": images_at,
        "RETRAIN_IMAGE_PREFIX": f"{images_at}/retrain",
        "RETRAIN_HOST_SECRETS": " ".join(_KEPT),
        "RETRAIN_SECRETS_FOLDER": "retrain/host",
        "RETRAIN_SIGNER": "none",
        "RETRAIN_THIRD_PARTY_IMAGES": " ".join(image.name for image in base_images()),
        "RETRAIN_HOST_VIEWS": "node-exporter:/usr/share",
        "RETRAIN_LOCAL_IMAGE": "retrain/local:local",
        "RETRAIN_AIRFLOW_HEALTH_URL": containers.stack.airflow_url,
        "RETRAIN_WATCH_HEALTH_URL": f"{containers.stack.alerts_url}/health",
        "RETRAIN_CHECK_SECONDS": "180",
        **{f"RETRAIN_{name.upper()}_PORT": str(containers.published(name)) for name in ("prometheus", "alertmanager")},
        "RETRAIN_GRAFANA_PORT": str(containers.published("grafana")),
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in given.items()]
    (folder / "etc" / "host.env").write_text("\n".join(lines) + "\n")
    (folder / "etc" / "aws_credentials").write_text(containers.files.read("aws_credentials"))
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": account_at}
    variables = {
        "PATH": f"{folder}/bin:{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
        "RETRAIN_ETC": str(folder / "etc"),
        "RETRAIN_PLACE": str(folder / "place"),
        "RETRAIN_SECRETS": str(containers.files.folder),
        "RETRAIN_DEPLOY_COMMAND": f"{sys.executable} {ROOT / 'infra/aws/modules/host/files/retrain_deploy.py'}",
        **{name: os.environ[name] for name in ("DOCKER_HOST", "DOCKER_CONFIG") if name in os.environ},
        **keys,
    }
    for name in _KEPT:
        put = ["secretsmanager", "create-secret", "--region=us-east-1", f"--name=retrain/host/{name}"]
        value = f"--secret-string=file://{containers.files.folder}/{name}"
        subprocess.run([_TOOLS / "aws", *put, value], env=variables, check=True, capture_output=True)
    return ReleaseHost(folder, images_at, variables)


@pytest.fixture(scope="module")
def tagged(containers: Containers) -> str:
    """Tag the live commit as v1.1.0 and v1.2.0 too; returns it."""
    commit = str(json.loads(retrain(containers, "--json", "pin"))["live"]["commit"])
    for tag in ("v1.1.0", "v1.2.0"):
        subprocess.run(["git", f"--git-dir={containers.stack.origin}", "tag", tag, commit], check=True)
    return commit


@pytest.fixture
def live(containers: Containers) -> Callable[[], tuple[dict[str, str], set[str]]]:
    """The pinned tag, and the images out of the registry that run."""

    def ask() -> tuple[dict[str, str], set[str]]:
        filters = f"--filter=label=com.docker.compose.project={containers.project}"
        ids = docker("ps", "--quiet", filters).split()
        running = docker("inspect", "--format={{.Config.Image}}", *ids).split()
        return json.loads(retrain(containers, "--json", "pin"))["live"], {
            image for image in running if "@sha256:" in image
        }

    return ask


def released(host: ReleaseHost, tag: str) -> set[str]:
    """The references by digest that the host noted when it took the release out of the registry."""
    noted = json.loads((host.folder / "place" / "releases" / tag / "images.json").read_text())
    return {noted[target] for target in ("airflow", "worker", "mlflow")}


def test_a_release_out_of_the_registry_is_started_checked_and_pinned(
    host: ReleaseHost, tagged: str, live: Callable
) -> None:
    outcome = host.ask("v1.1.0")
    assert (outcome["code"], outcome["outcome"]) == (0, "released"), outcome["said"]
    assert live() == ({"tag": "v1.1.0", "commit": tagged}, released(host, "v1.1.0"))


def test_the_same_release_again_replaces_no_container_that_keeps_running(
    host: ReleaseHost, containers: Containers
) -> None:
    def ids(service: str) -> str:
        filters = (
            f"--filter=label=com.docker.compose.{each}"
            for each in (f"project={containers.project}", f"service={service}")
        )
        return docker("ps", "--quiet", "--no-trunc", *filters)

    before = {service: ids(service) for service in ("postgres", "grafana", "prometheus")}
    assert host.ask("v1.1.0")["code"] == 0
    assert {service: ids(service) for service in before} == before
    (dashboards,) = (
        mount
        for mount in json.loads(docker("inspect", ids("grafana")))[0]["Mounts"]
        if mount["Destination"].endswith("/dashboards")
    )
    assert "retrain.json" in docker("exec", ids("grafana").strip(), "ls", dashboards["Destination"])


def test_a_release_that_does_not_come_up_leaves_the_one_before_with_its_pin(
    host: ReleaseHost, tagged: str, live: Callable
) -> None:
    outcome = host.ask("v1.2.0")
    assert (outcome["code"], outcome["outcome"], outcome["failed"]) == (1, "returned", "start"), outcome["said"]
    assert "airflow-worker" in outcome["cause"]
    assert live() == ({"tag": "v1.1.0", "commit": tagged}, released(host, "v1.1.0"))


@pytest.mark.usefixtures("host")
def test_a_stack_that_was_rolled_back_runs_a_day(containers: Containers) -> None:
    run_id = trigger(containers, DAY, "released")
    assert ended(containers, run_id) == "success"
    assert left_behind(containers, run_id, "resolve_run")["release"] == "v1.1.0"
    assert built_at_run_time(containers) == ""
