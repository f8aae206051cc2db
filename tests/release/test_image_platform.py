"""The machine for which images are built: the hosts' for a release, this one for everything else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from publish import PLATFORM

_ENGINE = """#!/bin/sh
case $1 in
  version) echo 20.10.24 ;;
  build) echo "$@" >>{calls}; cat >/dev/null ;;
  image) echo 1000 ;;
esac
"""


def build(folder: Path, *arguments: str) -> list[str]:
    """The arguments with which Docker is asked to build one image."""
    engine, calls = folder / "docker", folder / "calls"
    engine.write_text(_ENGINE.format(calls=calls))
    engine.chmod(0o755)
    command = [sys.executable, str(ROOT / "infra" / "docker" / "images.py"), *arguments, "mlflow"]
    done = subprocess.run(
        command, env=os.environ | {"DOCKER": str(engine)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (call,) = calls.read_text().splitlines()
    return call.split()


def test_a_release_is_built_for_the_hosts_machine_wherever_it_is_built(tmp_path: Path) -> None:
    assert f"--platform={PLATFORM}" in build(tmp_path, "--release", "v1.2.0", "--tag", "v1.2.0")


def test_the_images_of_the_local_stack_are_for_this_machine(tmp_path: Path) -> None:
    assert not [argument for argument in build(tmp_path) if argument.startswith("--platform")]


@pytest.mark.parametrize("release", [[], ["--release", "v1.2.0"]], ids=["local", "release"])
def test_another_machine_can_be_asked_for(tmp_path: Path, release: list[str]) -> None:
    assert "--platform=linux/arm64" in build(tmp_path, "--platform", "linux/arm64", *release)
