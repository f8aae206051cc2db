"""Real Git repositories with an isolated HOME, and the deployment that the tests are about."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from retrain.deployment.pipeline_file import Deployment, load
from retrain.work.origin import Origin as GitOrigin

PIPELINES = Path(__file__).resolve().parents[2] / "dags" / "pipelines"
ADDRESSES = {
    "RETRAIN_REPOSITORY": "origin.git",
    "RETRAIN_RAW_BUCKET": "raw-bucket",
    "RETRAIN_STORE_BUCKET": "store-bucket",
    "RETRAIN_LEDGER_BUCKET": "ledger-bucket",
    "RETRAIN_SLACK_CHANNEL": "#alerts",
}


@pytest.fixture
def deployment() -> Deployment:
    return load(PIPELINES / "trip_duration.yaml", ADDRESSES)


@dataclass(frozen=True)
class Origin:
    """A bare origin and the clone that an engineer works in."""

    path: Path
    clone: Path

    @property
    def address(self) -> GitOrigin:
        return GitOrigin(str(self.path))

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.clone, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, files: dict[str, str], message: str = "change") -> str:
        for name, text in files.items():
            path = self.clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        self.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
        return self.git("rev-parse", "HEAD")

    def tag(self, name: str, *, annotated: bool = False) -> None:
        self.git("tag", "--force", *(["-a", "-m", name] if annotated else []), name)
        self.git("push", "--quiet", "--force", "origin", f"refs/tags/{name}")


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Origin:
    home = tmp_path / "home"
    home.mkdir()
    for name, value in {
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "engineer",
        "GIT_AUTHOR_EMAIL": "engineer@example.org",
        "GIT_COMMITTER_NAME": "engineer",
        "GIT_COMMITTER_EMAIL": "engineer@example.org",
    }.items():
        monkeypatch.setenv(name, value)
    path, clone = tmp_path / "origin.git", tmp_path / "clone"
    subprocess.run(["git", "init", "--bare", "--quiet", path], check=True)
    subprocess.run(["git", "clone", "--quiet", path, clone], check=True, capture_output=True)
    return Origin(path, clone)
