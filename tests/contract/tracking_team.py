"""A team whose data is tracked by .dvc files: its origin, the server with its DVC remote, and the tasks of its days."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from uuid import uuid4

from fetching_team import KEPT
from foreign_pipeline import FILES as FOREIGN
from foreign_pipeline import PIPELINE, Origin, isolated_git
from stack_model import STORE_BUCKET

from retrain.airflow.adapters import services
from retrain.deployment.pipeline_file import Deployment, load
from retrain.inputs import tracked_data
from retrain.inputs.release_check import require_runnable
from retrain.tasks.push import push
from retrain.tasks.record_run import record_run
from retrain.tasks.reproduce import reproduce
from retrain.tasks.resolve_run import resolve_run
from retrain.work import git, workspace
from retrain.work.dvc.program import Dvc

DAY, NEXT = "2020-03-04", "2020-03-05"
RAW, RAW_FILE = "data/raw.csv", "data/raw.csv.dvc"
CONTENT = "zone,trips\r\n1,2\r\n"
TRAIN = """
import json, pathlib, sys
files = sorted(f for path in sys.argv[1:] for f in ([pathlib.Path(path)] if pathlib.Path(path).is_file() else pathlib.Path(path).rglob("*")))
read = {str(f): f.read_bytes().decode() for f in files if f.is_file()}
pathlib.Path("model.json").write_text(json.dumps([read, pathlib.Path("params.yaml").read_text()]))
"""
DVC_YAML = """
stages:
  train:
    cmd: python train.py {paths}
    deps: [{deps}]
    params: [day]
    outs: [model.json]
"""
DEPLOYMENT = """
schema_version: 1
description: Tracks its data with DVC.
owner: them
schedule: {{cron: "0 6 * * *", start_date: 2020-01-01}}
repository: {{url: "{origin}", environment: .}}
params: {{params.yaml: {{day: "{{partition}}"}}}}
store: s3://{store}/{name}
ledger: s3://${{RETRAIN_LEDGER_BUCKET}}/{name}
limits: {{min_free_disk_mb: 1}}
tracking: {{experiment: "{name}"}}
slack: {{channel: "#alerts"}}
"""


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@dataclass
class TeamRemote:
    """An HTTP server of a folder that a DVC remote may be. It counts requests, and answers as it is told to.

    `login` and `header` are what a request must have. `cut` and `spoilt`: an answer breaks off, or has a wrong byte.
    """

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)
    login: str = ""
    header: tuple[str, str] = ("", "")
    status: int = 0
    cut: bool = False
    spoilt: bool = False

    def put(self, content: bytes, *, legacy: bool = False, suffix: str = "") -> str:
        """Store an object as `dvc push` does; gives its MD5. `legacy` as DVC 2 did."""
        name = md5(content.replace(b"\r\n", b"\n") if legacy else content) + suffix
        path = self.folder.joinpath(*(() if legacy else ("files", "md5")), name[:2], name[2:])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return name

    def put_folder(self, files: Mapping[str, bytes], *, legacy: bool = False) -> str:
        members = [{"md5": self.put(body, legacy=legacy), "relpath": path} for path, body in sorted(files.items())]
        return self.put(json.dumps(members, sort_keys=True).encode(), legacy=legacy, suffix=".dir")

    def refusal(self, headers: Mapping[str, str]) -> int:
        wanted = base64.b64encode(self.login.encode()).decode()
        if self.login and headers.get("Authorization") != f"Basic {wanted}":
            return 401
        name, value = self.header
        return 403 if name and headers.get(name) != value else self.status

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[TeamRemote]:
        remote = cls(folder)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                remote.asked.append(f"{self.command} {self.path}")
                path = remote.folder / self.path.lstrip("/")
                refused = remote.refusal(self.headers) or (0 if path.is_file() else 404)
                body = b"no" if refused else path.read_bytes()
                sent = body if refused or not remote.spoilt else bytes([body[0] ^ 1]) + body[1:]
                self.send_response(refused or 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(sent[: len(sent) // 2] if remote.cut and not refused else sent)
                self.close_connection = remote.cut

            do_HEAD = do_GET  # noqa: N815 - http.server finds it by this name

            def log_message(self, *_: object) -> None:
                """Requests are in `asked`."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            remote.url = f"http://127.0.0.1:{server.server_port}"
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield remote
            finally:
                server.shutdown()
                thread.join()


def tracked(name: str, md5: str, *, size: int = 1, legacy: bool = False, more: str = "") -> str:
    """The text of a .dvc file."""
    form = "" if legacy else ", hash: md5"
    return f"outs: [{{md5: {md5}, size: {size}{form}, path: {name}{more}}}]\n"


def config(url: str, name: str = "theirs", *, default: bool = True) -> str:
    core = f"[core]\n    remote = {name}\n" if default else ""
    return f"{core}['remote \"{name}\"']\n    url = {url}\n"


@dataclass
class TrackingTeam:
    """The deployed pipeline."""

    folder: Path
    origin: Origin
    name: str
    dvc_program: Path
    environments: Path
    released: int = 0

    @classmethod
    def start(cls, folder, name, environments, deployment_dvc, patch):
        """An origin without a release, and a RETRAIN_HOME of its own; the built environments are shared."""
        isolated_git(folder / "engineer", patch)
        home = folder / "home"
        home.mkdir()
        (home / "environments").symlink_to(environments)
        patch.setenv("RETRAIN_HOME", str(home))
        patch.setenv("RETRAIN_PIPELINES", str(folder / "pipelines"))
        (folder / "pipelines").mkdir()
        place = f"{re.sub(r'[^a-z0-9]+', '-', name.lower())[:50].strip('-')}-{md5(name.encode())[:6]}"
        origin = Origin.create(
            folder,
            {n: FOREIGN[n] for n in KEPT if n != ".dvc/config"}
            | {"params.yaml": "day: '2020-01-01'\n", "train.py": TRAIN},
        )
        team = cls(folder, origin, place, deployment_dvc.bin / "dvc", environments)
        team.write_file("")
        return team

    def release(self, files: Mapping[str, str | None], paths: str = RAW, deps: str = "") -> str:
        """Release these files, with one stage that reads `paths`; gives the tag."""
        self.released += 1
        tag = f"v1.0.{self.released}"
        stage = DVC_YAML.format(paths=paths, deps=deps or f"train.py, {', '.join(paths.split())}")
        self.origin.release(tag, {"dvc.yaml": stage, **files})
        return tag

    def dvc_in(self, folder: Path, *commands: str) -> None:
        """Commands of the team's engineer in a folder; `dvc` is the deployment's."""
        path = f"{self.dvc_program.parent}:{os.environ['PATH']}"
        for command in commands:
            done = subprocess.run(
                command.split(),
                cwd=folder,
                env={**os.environ, "PATH": path},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (command, done.stderr)

    def write_file(self, settings: str) -> None:
        """The pipeline's file, with these keys."""
        text = DEPLOYMENT.format(origin=self.origin.path, store=STORE_BUCKET, name=self.name)
        (self.folder / "pipelines" / f"{PIPELINE}.yaml").write_text(text + settings)

    @property
    def deployment(self) -> Deployment:
        return load(self.folder / "pipelines" / f"{PIPELINE}.yaml")

    @property
    def services(self):
        return services(self.deployment)

    def reproduce(self, tag: str, day: str = DAY):
        run = resolve_run(self.services, day, tag, f"run of {day}", "daily")
        return run, reproduce(self.services, run)

    def run(self, tag: str, day: str = DAY):
        """All tasks up to the record; gives the record and what was pushed."""
        run, reproduced = self.reproduce(tag, day)
        pushed = push(self.services, run, reproduced)
        record_run(self.services, run, reproduced, pushed)
        return self.services.ledger.entry(PIPELINE, day, run.run_key), pushed

    def examine(self, tag: str, folder: str = "examined") -> tuple[Path, Dvc]:
        """A checkout of a release, as `make release` examines it, and the deployment's own DVC in it."""
        checkout = self.folder / folder / "checkout"
        commit = self.origin.git("rev-parse", f"{tag}^{{commit}}")
        git.checkout(self.origin.path, commit, checkout)
        return checkout, Dvc(
            checkout, self.dvc_program, {}, checkout.parent / "cache", "x", self.dvc_program.parent / "python"
        )

    def bring(self, tag: str, **changes):
        """Bring the tracked data of a release into a new checkout, as the task `reproduce` does; gives the checkout and what was brought."""
        checkout, program = self.examine(tag, f"brought-{uuid4().hex[:6]}")
        program = replace(program, cache=self.folder / "home" / "cache" / PIPELINE)
        program.configure(self.deployment.store, None)
        sources = replace(self.services.tracked, **changes)
        return checkout, tracked_data.bring(program, program.describe(), sources, tag, 60.0)

    def require_there(self, tag: str) -> None:
        """What `make release` asks."""
        checkout, program = self.examine(tag, f"examined-{uuid4().hex[:6]}")
        require_runnable(self.deployment, checkout, checkout, program, self.services.tracked, tag)

    def lose_the_caches(self) -> None:
        """What another machine has: no cache, no mirror, no workspace."""
        for path in (self.folder / "home").iterdir():
            if path.name != "environments":
                shutil.rmtree(path)


def read(reproduced, path: str) -> bytes:
    """A file of the checkout that an attempt has left."""
    return (workspace.Workspace(Path(reproduced.workspace)).checkout / path).read_bytes()
