"""The compose file on a real engine: two workers, profile `local`, stand-ins for images that cannot be pulled.

If no engine answers, one is started below the state folder and ended by its id. If none can be started, the tests that need
one are skipped, with the reason.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "infra"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "e2e"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra" / "docker"))
sys.path.append(str(Path(__file__).resolve().parents[2] / "infra" / "aws" / "modules" / "host" / "files"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra" / "local"))

import images
import trips
from containers import Containers, down, of_environment, up
from days import DAY, PIPELINE
from demo import release_checkout
from engine import NoEngineError, engine, with_compose
from loopback import free_ports
from program_variables import s3_variables
from running_stack import ROOT, SHARED, wait_until
from stack_model import Ports
from standin_images import stand_in

STATE = Path(os.environ.get("RETRAIN_STATE") or ROOT / ".local") / "test-compose"
UV = ROOT / ".local" / "tools" / "bin" / "uv"
_PUBLISHED = (*Ports.__dataclass_fields__, "prometheus", "alertmanager", "grafana")


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    """Everything up, a year of trips landed up to DAY, and HEAD released. It ends with its volumes."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            with engine(STATE / "engine") as host:
                patch.setenv("DOCKER_HOST", host)
                for variable, value in with_compose(images.docker(), STATE).items():
                    patch.setenv(variable, value)
                patch.setenv("RETRAIN_STATE", str(STATE))
                patch.setenv("COMPOSE_PROJECT_NAME", "retrain-test")
                patch.setenv("AIRFLOW_TASK_HEARTBEAT_TIMEOUT", "90")  # a killed worker is noticed sooner
                for name, port in zip(_PUBLISHED, free_ports(len(_PUBLISHED)), strict=True):
                    patch.setenv(f"RETRAIN_{name.upper()}_PORT", str(port))
                for variable, value in stand_in(images.docker(), STATE, UV.resolve()).items():
                    patch.setenv(variable, os.environ.get(variable, value))
                (STATE / "compose" / "settings.env").unlink(missing_ok=True)  # its ports change each time
                shutil.rmtree(
                    STATE / "compose" / "origin.git", ignore_errors=True
                )  # it has the releases of an earlier run
                running = of_environment(os.environ)
                down(running, volumes=True)  # containers of an earlier run that was killed
                try:
                    up(running)
                    for name, value in s3_variables(running.stack).items():
                        patch.setenv(name, value)
                    trips.fetch(SHARED)
                    trips.cut(state=SHARED)
                    trips.land(DAY - timedelta(days=365), DAY + timedelta(days=2), state=SHARED)
                    release_checkout(running.stack)
                    wait_until(lambda: running.airflow.dag(PIPELINE), 120, "Airflow has not read the DAG")
                    running.airflow.unpause(PIPELINE)
                    yield running
                finally:
                    down(running, volumes=True)
        except NoEngineError as error:
            pytest.skip(f"NOTHING WAS RUN IN CONTAINERS: {error}")
