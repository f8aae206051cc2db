"""Compose params.yaml in the current folder with Hydra, as `dvc exp run` does and `dvc repro` does not.

Run it at the top of a DVC project, with the Python of the deployment's own DVC environment: `compose.py [--no-code]`. It does nothing
unless the project's configuration has `hydra.enabled`. DVC's own function composes, with the same settings and defaults. With
--no-code it loads no Hydra plugins, and refuses a configuration in a Python module. The document on stdout is {"composed": "<where
from>"}, null if Hydra is off; if Hydra refuses, it is {"error": "<its reason>"}, and the exit code is 1.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import dvc.utils.hydra
from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException
from dvc.fs import localfs
from dvc.repo import Repo
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError


def main() -> int:
    # DVC and its dependencies may print: redirected to stderr, so that stdout has only the document.
    document = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with tempfile.TemporaryDirectory() as scratch:
        # DVC caches file hashes of all checkouts in one folder of the machine: a throw-away folder instead.
        os.environ["DVC_SITE_CACHE_DIR"] = scratch
        try:
            config = {"cache": {"dir": scratch}, "core": {"no_scm": True}}
            repo = Repo(str(Path.cwd()), fs=localfs, uninitialized=True, config=config)
            answer = {"composed": composed(repo, code="--no-code" not in sys.argv[1:])}
        except (
            DvcException,
            HydraException,
            OmegaConfBaseException,
            YAMLError,
            ImportError,
            ValueError,
            OSError,
        ) as error:
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    with document:
        json.dump(answer, document)
        document.write("\n")
    return int("error" in answer)


def composed(repo: Repo, *, code: bool) -> str | None:
    """Where params.yaml was composed from; None if Hydra is off.

    Raises:
        ValueError: without `code`, the configuration is in a Python module.
    """
    settings: dict[str, Any] = repo.config.get("hydra", {})
    if not settings.get("enabled", False):
        return None
    # The defaults are those of dvc/repo/experiments/queue/base.py.
    folder, module = settings.get("config_dir", "conf"), settings.get("config_module")
    name = settings.get("config_name", "config")
    if not code:
        if module is not None:
            raise ValueError(f"hydra.config_module is {module}, and no code of the project is run here")
        dvc.utils.hydra.load_hydra_plugins = lambda _path: None
    dvc.utils.hydra.compose_and_dump(
        ParamsDependency.DEFAULT_PARAMS_FILE,
        None if module is not None else str(Path(repo.root_dir, folder)),
        module,
        name,
        str(Path(repo.root_dir, settings.get("plugins_path", ""))),
        [],
    )
    return f"{module}.{name}" if module is not None else f"{Path(folder, name).as_posix()}.yaml"


if __name__ == "__main__":
    sys.exit(main())
