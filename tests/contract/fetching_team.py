"""A team whose first stage fetches its data from a server of its own, and that server, which never gives the same answer twice."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from foreign_pipeline import FILES as FOREIGN
from foreign_pipeline import PIPELINE, Origin, isolated_git
from stack_model import STORE_BUCKET

from retrain.airflow.adapters import services
from retrain.deployment.pipeline_file import Deployment, load
from retrain.inputs.fetched_stage import FetchedStage
from retrain.tasks.push import push
from retrain.tasks.reproduce import reproduce
from retrain.tasks.resolve_run import resolve_run
from retrain.work import workspace

DAY, NEXT = "2020-03-04", "2020-03-05"
GET = "import pathlib, sys, urllib.request\npathlib.Path(sys.argv[2]).write_bytes(urllib.request.urlopen(sys.argv[1]).read())\n"
FIT = "import pathlib, sys\npathlib.Path('model.txt').write_text(' '.join(pathlib.Path(p).read_text() for p in sys.argv[1:]))\n"
DVC_YAML = """
stages:
  download:
    cmd: python get.py $STATION/a raw.txt
    deps: [get.py]
    outs: [raw.txt]
  fit:
    cmd: python fit.py raw.txt
    deps: [fit.py, raw.txt]
    outs: [model.txt]
"""
DEPLOYMENT = """
schema_version: 1
description: Fetches its own data.
owner: them
schedule: {{cron: "0 6 * * *", start_date: 2020-01-01}}
repository: {{url: "{origin}", environment: .}}
fetch: {fetch}
store: s3://{store}/{name}
ledger: s3://${{RETRAIN_LEDGER_BUCKET}}/{name}
limits: {{min_free_disk_mb: 1}}
tracking: {{experiment: "{name}"}}
slack: {{channel: "#alerts"}}
"""


@dataclass
class Station:
    """A server whose every answer is a new one; `asked` are the paths in the order of the requests."""

    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str) -> str:
        self.asked.append(path)
        return f"{path.strip('/')}{len(self.asked)}"

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Station]:
        station = cls()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = station.answer(self.path).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Requests are in `asked`."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            station.url = f"http://127.0.0.1:{server.server_port}"
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield station
            finally:
                server.shutdown()
                thread.join()


@dataclass
class FetchingTeam:
    """The deployed pipeline and its station. Nothing but the station changes from one day to the next."""

    folder: Path
    station: Station
    origin: Origin
    name: str
    deployment: Deployment

    @classmethod
    def start(cls, folder, name, station, environments, patch, *, fetch="[download]", files=None):
        """Deploy the pipeline, with a RETRAIN_HOME of its own; the built environments are shared."""
        isolated_git(folder / "engineer", patch)
        home = folder / "home"
        home.mkdir()
        (home / "environments").symlink_to(environments)
        patch.setenv("RETRAIN_HOME", str(home))
        patch.setenv("STATION", station.url)
        patch.setenv("RETRAIN_PIPELINES", str(folder / "pipelines"))
        origin, place = Origin.create(folder), re.sub(r"[^a-z0-9]+", "-", name)[:60].strip("-")
        own = {"dvc.yaml": DVC_YAML, "get.py": GET, "fit.py": FIT, "split.py": None, "report.py": None}
        origin.release("v1.0.0", {**dict.fromkeys(FOREIGN), **{n: FOREIGN[n] for n in KEPT}, **own, **(files or {})})
        file = folder / "pipelines" / f"{PIPELINE}.yaml"
        file.parent.mkdir()
        file.write_text(DEPLOYMENT.format(origin=origin.path, store=STORE_BUCKET, name=place, fetch=fetch))
        return cls(folder, station, origin, place, load(file))

    @property
    def services(self):
        return services(self.deployment)

    def resolve(self, day=DAY, refetch=None):
        return resolve_run(self.services, day, "v1.0.0", f"run of {day}", "daily", refetch)

    def reproduce(self, run):
        return reproduce(self.services, run)

    def push(self, run, reproduced):
        return push(self.services, run, reproduced)

    def lose_the_caches(self):
        """What another machine has: no cache, no mirror, no workspace."""
        for path in (self.folder / "home").iterdir():
            if path.name != "environments":
                shutil.rmtree(path)

    def fetched(self, run):
        """What the ledger says of the run's fetched stages."""
        found = self.services.ledger.fetched(run.spec)
        return {each.stage: each for each in (FetchedStage.from_json(body, url) for url, body in found.items())}


KEPT = (".dvc/config", ".gitignore", "pyproject.toml", "uv.lock")


def text(reproduced, path="model.txt"):
    """A file of the checkout that an attempt has left."""
    return (workspace.Workspace(Path(reproduced.workspace)).checkout / path).read_text()
