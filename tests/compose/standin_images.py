"""Stand-ins for public images that cannot be pulled, with the variables that make the compose file use them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from engine import make_debian, pulls

_HERE = Path(__file__).parent / "standins"
_DEBIAN = "standin/debian:bookworm"
# Variable of the image: the image that it names by default, our build target, and the stand-in's name.
IMAGES = {
    "PYTHON_IMAGE": ("python:3.11.14-slim-bookworm", "python", "standin/python:3.11-debian"),
    "UV_IMAGE": ("astral/uv:0.13.8", "uv", "standin/uv:of-this-machine"),
    "POSTGRES_IMAGE": ("postgres:17.6-bookworm", "postgres", "standin/postgres:15-debian"),
    "REDIS_IMAGE": ("redis:7.4.6-bookworm", "redis", "standin/redis:7.0-debian"),
    "PROMETHEUS_IMAGE": ("prom/prometheus:v3.5.0", "prometheus", "standin/prometheus:2.42-debian"),
    "ALERTMANAGER_IMAGE": ("prom/alertmanager:v0.28.1", "alertmanager", "standin/alertmanager:0.25-debian"),
    "NODE_EXPORTER_IMAGE": ("prom/node-exporter:v1.12.1", "node-exporter", "standin/node-exporter:1.5-debian"),
    "POSTGRES_EXPORTER_IMAGE": (
        "prometheuscommunity/postgres-exporter:v0.20.1",
        "postgres-exporter",
        "standin/postgres-exporter:0.11-debian",
    ),
    "REDIS_EXPORTER_IMAGE": (
        "oliver006/redis_exporter:v1.93.0-alpine",
        "redis-exporter",
        "standin/redis-exporter:1.45-debian",
    ),
    "STATSD_EXPORTER_IMAGE": ("prom/statsd-exporter:v0.28.0", "statsd-exporter", "standin/statsd-exporter:our-own"),
    "GRAFANA_IMAGE": ("grafana/grafana:12.2.1", "grafana", "standin/grafana:health-page-only"),
}


def stand_in(program: str, folder: Path, uv: Path) -> dict[str, str]:
    """Build a stand-in for each image that cannot be pulled; returns their variables."""
    if pulls(program, IMAGES["REDIS_IMAGE"][0]):  # a registry that answers has the others too
        return {}
    chosen = {variable: name for variable, (_, _, name) in IMAGES.items()}
    if not is_here(program, _DEBIAN):
        make_debian(program, _DEBIAN, folder)
    with tempfile.TemporaryDirectory() as context:
        for file in _HERE.iterdir():
            shutil.copy(file, context)
        shutil.copy(uv, Path(context) / "uv")
        for _, target, name in IMAGES.values():
            command = [program, "build", "--quiet", f"--target={target}", f"--tag={name}", context]
            done = subprocess.run(
                command, env=os.environ | {"DOCKER_BUILDKIT": "1"}, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(f"{name} was not built: {done.stderr[-2000:]}")
    return chosen


def is_here(program: str, image: str) -> bool:
    """True if an image is here already."""
    return subprocess.run([program, "image", "inspect", image], capture_output=True, check=False).returncode == 0
