"""Runs Terraform on a copy of infra/aws, with the provider from a local mirror or from the registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "infra" / "aws"
_PROVIDER = "registry.terraform.io/hashicorp/aws"


@dataclass(frozen=True)
class Terraform:
    """The program in one root module."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str, expect: tuple[int, ...] = (0,)) -> str:
        """Run a command; returns its output without colours, and fails with it if the exit code is not the expected one."""
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode in expect, (
            f"terraform {' '.join(arguments)} ended with {done.returncode}:\n{said[-6000:]}"
        )
        return done.stdout

    def plan(self, *arguments: str) -> dict[str, Any]:
        """A plan, as Terraform's own JSON."""
        self.run("plan", "-input=false", "-no-color", "-out=plan", *arguments)
        document: dict[str, Any] = json.loads(self.run("show", "-json", "plan"))
        return document


def copied(folder: Path, environment: Mapping[str, str] | None = None) -> Terraform:
    """An initialised copy of the example root. Skips the test if Terraform or its provider is not available."""
    if shutil.which("terraform") is None:
        pytest.skip("NOT TESTED: infra/aws. There is no terraform on the PATH; install 1.11 or newer.")
    shutil.copytree(
        MODULES, folder / "aws", ignore=shutil.ignore_patterns(".terraform", "*.tfstate*", "terraform.tfvars")
    )
    # The host's module reads the release programs from infra/release.
    (folder / "release").mkdir()
    for program in ("retrain_release.py", "running_host.py"):
        shutil.copy(ROOT / "infra" / "release" / program, folder / "release")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    terraform = Terraform(
        folder / "aws" / "example",
        kept | _configuration(folder) | {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"} | dict(environment or {}),
    )
    ready = subprocess.run(
        ["terraform", "init", "-input=false", "-no-color", "-lockfile=readonly"],
        cwd=terraform.folder,
        env=dict(terraform.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if ready.returncode and "could not connect to registry.terraform.io" in " ".join(ready.stderr.split()):
        pytest.skip("NOT TESTED: infra/aws. The AWS provider is in no mirror here, and the registry cannot be reached.")
    assert ready.returncode == 0, ready.stderr
    return terraform


def _configuration(folder: Path) -> dict[str, str]:
    """The configuration that says where the provider is: the user's own, else one for a mirror in a usual folder, else the registry."""
    named = os.environ.get("TF_CLI_CONFIG_FILE", "")
    if named and Path(named).is_file():
        return {"TF_CLI_CONFIG_FILE": named}
    usual = [
        *Path("/opt").glob("*"),
        *(Path(base) / "terraform" / "plugins" for base in ("/usr/share", "/usr/local/share")),
    ]
    mirror = next((place for place in usual if (place / _PROVIDER).is_dir()), None)
    if mirror is None:
        return {}
    configuration = folder / "terraform.rc"
    configuration.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path    = "{mirror}"\n    include = ["{_PROVIDER}"]\n  }}\n}}\n'
    )
    return {"TF_CLI_CONFIG_FILE": str(configuration)}
