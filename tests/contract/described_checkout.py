"""A small checkout for DVC to describe and to run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from retrain.deployment.run_settings import RunSettings
from retrain.work.dvc.description import Description
from retrain.work.dvc.program import Dvc
from retrain.work.dvc.project_root import project_root
from retrain.work.environments.environment import Environment

_NONE = RunSettings()


class Checkout:
    """A commit checked out without a branch, as in a workspace. `project` is the top of its DVC project."""

    def __init__(
        self, folder: Path, deployment_dvc: Environment, files: dict[str, str], settings: RunSettings = _NONE
    ) -> None:
        self.path = folder / "checkout"
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        git = ["git", "-C", self.path, "-c", "user.name=e", "-c", "user.email=e@example.org"]
        for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "x"], ["checkout", "--detach"]):
            subprocess.run([*git, *command], check=True, capture_output=True)
        self.settings = settings
        self.project = project_root(self.path, settings.folder)
        plain = Dvc.of(self.project, deployment_dvc, deployment_dvc, folder / "cache", {})
        self.dvc = plain.aimed(settings)

    def repro(self) -> Description:
        """Run the stages; `stages` are then those that DVC names."""
        self.dvc.configure("s3://never-asked/dvc", None)
        reproduction = self.dvc.reproduction(self.dvc.describe(), 120)
        reproduction.run()
        self.stages = [stage.name for stage in reproduction.finished().stages]
        return self.dvc.describe()
