"""Stand-ins for public images that cannot be pulled, with the variables that make the compose file use them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from engine import make_debian, pulls

sys.path.append(str(Path(__file__).resolve().parents[2] / "infra" / "release"))

from base_images import base_images

_HERE = Path(__file__).parent / "standins"
_DEBIAN = "standin/debian:bookworm"
# Variable of the image: our build target, and the stand-in's name.
IMAGES = {
    "PYTHON_IMAGE": ("python", "standin/python:3.11-debian"),
    "UV_IMAGE": ("uv", "standin/uv:of-this-machine"),
    "POSTGRES_IMAGE": ("postgres", "standin/postgres:15-debian"),
    "REDIS_IMAGE": ("redis", "standin/redis:7.0-debian"),
    "PROMETHEUS_IMAGE": ("prometheus", "standin/prometheus:2.42-debian"),
    "ALERTMANAGER_IMAGE": ("alertmanager", "standin/alertmanager:0.25-debian"),
    "NODE_EXPORTER_IMAGE": ("node-exporter", "standin/node-exporter:1.5-debian"),
    "POSTGRES_EXPORTER_IMAGE": ("postgres-exporter", "standin/postgres-exporter:0.11-debian"),
    "REDIS_EXPORTER_IMAGE": ("redis-exporter", "standin/redis-exporter:1.45-debian"),
    "STATSD_EXPORTER_IMAGE": ("statsd-exporter", "standin/statsd-exporter:our-own"),
    "GRAFANA_IMAGE": ("grafana", "standin/grafana:health-page-only"),
}


def stand_in(program: str, folder: Path, uv: Path) -> dict[str, str]:
    """Build a stand-in for each image that cannot be pulled; returns their variables."""
    public = {image.variable: image.reference for image in base_images()}
    if missing := public.keys() - IMAGES.keys():
        raise RuntimeError(
            f"{', '.join(sorted(missing))} need a stand-in: a target of {_HERE}/Dockerfile, and a line in IMAGES."
        )
    if pulls(program, public["REDIS_IMAGE"]):  # a registry that answers has the others too
        return {}
    chosen = {variable: name for variable, (_, name) in IMAGES.items()}
    if not is_here(program, _DEBIAN):
        make_debian(program, _DEBIAN, folder)
    with tempfile.TemporaryDirectory() as context:
        for file in _HERE.iterdir():
            shutil.copy(file, context)
        shutil.copy(uv, Path(context) / "uv")
        for target, name in IMAGES.values():
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
