"""Real days of trips, and a scratch checkout of the pipeline, for tests of its stages."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Event
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Before tests/ on the path: there this folder would be found under the name of the package `pipeline`.
sys.path.insert(0, str(ROOT))
sys.path.insert(1, str(ROOT / "infra" / "local"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pipeline import stage  # noqa: E402
from pipeline.duration_model import History  # noqa: E402
from pipeline.featurize import featurize  # noqa: E402
from pipeline.prepare import prepare  # noqa: E402
from pipeline.window import days_before, read_days  # noqa: E402

STATE = Path(os.environ.get("RETRAIN_STATE") or ROOT / ".local").absolute()
SERVERS_PYTHON = os.environ.get("SERVERS_PYTHON") or str(STATE / "envs" / "servers" / "bin" / "python")
CALM = date(2020, 3, 5)
SHUTDOWN = date(2020, 3, 17)

GIT = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

Params = Callable[[str], dict[str, Any]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def raw() -> Path:
    """Return the folder of real partitions, fetched and cut first if need be."""
    folder = STATE / "raw" / "yellow"
    if not (folder / f"dt={SHUTDOWN}" / "part-0.parquet").is_file():
        subprocess.run([SERVERS_PYTHON, str(ROOT / "infra/local/trips"), "cut"], check=True, cwd=ROOT)
    return folder


@pytest.fixture(scope="session")
def params() -> Params:
    """Return a reader of sections of the repository's params.yaml."""
    return lambda section: stage.read_params(section, ROOT / "params.yaml")


@pytest.fixture(scope="session")
def trips(raw: Path, params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return clean trips of every real day."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare(SHUTDOWN, params("prepare"), raw=raw, trips=folder / "trips", quarantine=folder / "quarantine.parquet")
    return folder / "trips"


@dataclass(frozen=True)
class Featurized:
    """The outputs of stage featurize for a calm day."""

    history: History
    training: Any
    test: Any


@pytest.fixture(scope="session")
def featurized(trips: Path, params: Params) -> Featurized:
    """Return history, training rows and test rows of a calm day."""
    history, training = featurize(read_days(trips, days_before(CALM, 365)), CALM, params("featurize"))
    return Featurized(history, training, read_days(trips, [CALM]))


@pytest.fixture
def few_days(raw: Path, tmp_path: Path) -> Path:
    """Return a raw folder with three real days, which the test may damage."""
    folder = tmp_path / "raw"
    for day in (3, 4, 5):
        shutil.copytree(raw / f"dt=2020-03-0{day}", folder / f"dt=2020-03-0{day}")
    return folder


def copy_pipeline(target: Path) -> None:
    """Copy the files of the checkout that DVC needs into `target`."""
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
    (target / "pipeline").mkdir()
    for module in (ROOT / "pipeline").glob("*.py"):
        shutil.copy(module, target / "pipeline")
    (target / ".gitignore").write_text(
        "/data/\n/model/\n/reports/\n/dvc_plots/\n/run.yaml\n/manifest.json\n/.cache/\n__pycache__/\n"
    )


def write_inputs(target: Path, partition: date, state: Path = STATE) -> None:
    """Write run.yaml and manifest.json of `partition`, as `make inputs` does."""
    import trips as trips_tool

    trips_tool.inputs(partition, root=target, state=state)


def run_in(folder: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder` with this environment's programs first on the PATH, as a stage is run."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DVC_", "GIT_"))},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "OMP_NUM_THREADS": "1",
        **env,
    }
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def dvc(checkout: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    done = run_in(checkout, "dvc", *argv, **GIT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def git(checkout: Path, *argv: str) -> str:
    done = run_in(checkout, "git", *argv, **GIT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def checkout(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a committed checkout in which one calm day was reproduced."""
    assert raw.is_dir()
    folder = tmp_path_factory.mktemp("checkout")
    copy_pipeline(folder)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "pipeline")
    write_inputs(folder, CALM)
    dvc(folder, "repro")
    git(folder, "add", "dvc.lock")
    git(folder, "commit", "--quiet", "--message", "a reproduced day")
    return folder


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Start an S3 server on a free port of 127.0.0.1 and return its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "PERSIST_STATE": "0"}
    server = subprocess.Popen(
        [SERVERS_PYTHON, "-m", "ministack"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(f"{url}/_ministack/health", server)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    import time

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - an address of this machine
                return
        except (urllib.error.URLError, OSError):
            if server.poll() is not None:
                break
            Event().wait(0.1)
    pytest.fail(f"The S3 server did not answer at {url}.")
