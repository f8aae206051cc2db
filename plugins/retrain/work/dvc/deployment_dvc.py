"""The environment of the deployment's own DVC, with the extras for the kinds of remotes that RETRAIN_DVC_EXTRAS names."""

from __future__ import annotations

import os
import tempfile
import tomllib
from pathlib import Path

from retrain.errors import ConfigurationError
from retrain.work.dvc.program import DEPLOYMENT_DVC
from retrain.work.environments import environment, frozen, uv
from retrain.work.environments.environment import Environment

EXTRAS = "RETRAIN_DVC_EXTRAS"


def provide(environments: Path) -> Environment:
    """The environment: found, or built below `environments`.

    Raises:
        ConfigurationError: RETRAIN_DVC_EXTRAS names an extra that there is not.
        RetrainError: as for `environment.provide`.
    """
    extras = sorted({name for name in os.environ.get(EXTRAS, "").replace(",", " ").split() if name})
    if not extras:
        return environment.provide(DEPLOYMENT_DVC, environments)
    known = tomllib.loads((DEPLOYMENT_DVC / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    unknown = [name for name in extras if name not in known["optional-dependencies"]]
    if unknown:
        raise ConfigurationError(
            f"{EXTRAS} names {unknown[0]}, and the deployment's own DVC has the extras {', '.join(known['optional-dependencies'])}. "
            "Correct it for the workers."
        )
    return environment.install(_frozen(extras), environments)


def _frozen(extras: list[str]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "requirements.txt"
        done = uv.run(
            "export", "--locked", "--quiet", "--no-header", "--no-annotate", "--no-emit-project", "--format", "requirements-txt",
            *(part for name in extras for part in ("--extra", name)), "--project", DEPLOYMENT_DVC, "--output-file", out,
            cwd=Path(folder),
        )  # fmt: skip
        if done.returncode != 0:
            raise uv.failure(done, "The environment of the deployment's own DVC cannot be resolved", uv.FIX)
        return frozen.canonical(out.read_text(encoding="utf-8"))
