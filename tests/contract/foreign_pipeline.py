"""A small DVC pipeline of somebody else's in a real Git origin: three stages of plain Python and a configuration of its own."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from stack_model import STORE_BUCKET
from team_origin import Origin, isolated_git

from retrain.airflow.connections import Aws
from retrain.run.manifest import Manifest, RawObject
from retrain.run.run_spec import RunSpec
from retrain.store import proving
from retrain.store.cached_objects import objects_of
from retrain.store.remote import Remote
from retrain.work import workspace
from retrain.work.dvc.description import Description
from retrain.work.dvc.program import Dvc
from retrain.work.environments import environment

PIPELINE, DAY = "foreign", "2020-03-05"
MANIFEST = Manifest(PIPELINE, DAY, "s3://raw/foreign", (RawObject("dt=2020-03-05/a.txt", "e" * 32, 1, "1"),))
STAGES = ("split", "fit", "report")
REPRO_SECONDS = 120
DVC_YAML = """
stages:
  split:
    cmd: python split.py
    deps: [split.py, manifest.json]
    params:
      - run.yaml: [partition]
    outs: [data/parts]
  fit:
    cmd: python fit.py
    deps: [fit.py, data/parts]
    outs: [model.json]
  report:
    cmd: python report.py
    deps: [report.py, model.json]
    metrics: [reports/metrics.json]
"""
SPLIT = """
import pathlib
folder = pathlib.Path("data/parts/odd")
folder.mkdir(parents=True)
(folder.parent / "even.txt").write_text("0 2 4")
(folder / "odd.txt").write_text("1 3 5")
"""
FIT = """
import json, pathlib
numbers = [int(n) for f in sorted(pathlib.Path("data/parts").rglob("*.txt")) for n in f.read_text().split()]
pathlib.Path("model.json").write_text(json.dumps({"mean": sum(numbers) / len(numbers)}))
"""
REPORT = """
import json, pathlib
pathlib.Path("reports").mkdir(exist_ok=True)
pathlib.Path("reports/metrics.json").write_text(json.dumps({"mean": json.loads(open("model.json").read())["mean"]}))
"""
# The stage `fit` alone, for tests of how a stage ends: every further stage would cost a second.
FIT_ALONE = {
    "dvc.yaml": "stages: {fit: {cmd: python fit.py, deps: [fit.py, manifest.json], outs: [model.json]}}\n",
    "fit.py": "import pathlib\npathlib.Path('model.json').write_text('{}')\n",
    "split.py": None,
    "report.py": None,
}
# Everything in it would send our run elsewhere: another default remote, another cache, links instead of copies.
DVC_CONFIG = """
[core]
    remote = elsewhere
    autostage = true
[cache]
    dir = ../../elsewhere-cache
    type = symlink
['remote "elsewhere"']
    url = s3://somebody-elses-bucket/store
"""
# An environment of the release's own, with neither DVC nor anything else in it.
PYPROJECT = """
[project]
name = "foreign"
version = "1"
requires-python = ">=3.11"
[tool.uv]
package = false
"""
LOCK = """
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "foreign"
version = "1"
source = { virtual = "." }
"""
FILES = {
    "dvc.yaml": DVC_YAML,
    "split.py": SPLIT,
    "fit.py": FIT,
    "report.py": REPORT,
    ".dvc/config": DVC_CONFIG,
    ".gitignore": "/run.yaml\n/manifest.json\n",
    "pyproject.toml": PYPROJECT,
    "uv.lock": LOCK,
}


def content_of(checkout: Path) -> str:
    """A digest of what DVC describes: all files of a checkout, of programs the names only.

    Git's files are left out, and those of DVC that name this machine's folders.
    """
    found = hashlib.sha256()
    for path in sorted(path for path in checkout.rglob("*") if path.is_file()):
        name = path.relative_to(checkout)
        if name.parts[0] == ".git" or name.parts[:2] in ((".dvc", "tmp"), (".dvc", "config.local")):
            continue
        content = b"" if path.suffix == ".py" else path.read_bytes()
        found.update(f"{name} {path.stat().st_mode} {len(content)}\n".encode() + content)
    return found.hexdigest()


_DESCRIBED: dict[str, Description] = {}


def described(program: Dvc) -> Description:
    """DVC's description of a checkout. DVC is asked once: the same files have the same description (test_described_by_dvc.py)."""
    content = content_of(program.checkout)
    if content not in _DESCRIBED:
        _DESCRIBED[content] = program.describe()
    return _DESCRIBED[content]


@dataclass(frozen=True)
class Attempt:
    """One attempt's workspace and the DVC in it."""

    place: workspace.Workspace
    program: Dvc
    remote: str

    @property
    def checkout(self):
        return self.place.checkout

    def repro(self, timeout=REPRO_SECONDS):
        reproduction = self.program.reproduction(described(self.program), timeout)
        reproduction.run()
        return reproduction.finished()

    @cached_property
    def description(self) -> Description:
        """What DVC says of it; after `repro`."""
        return described(self.program)

    def objects(self):
        return objects_of(self.description.stored, self.program.cache)

    def prove(self, client=None, earlier=None):
        """Push and prove, as the task `push` does it."""
        remote = Remote(client or Aws("aws_default").client(), self.remote)
        return proving.push_and_prove(self.program.push, remote, self.objects(), self.program.cache, earlier or {})

    def copy(self, folder, remote, cache=None):
        """The same with a workspace and a cache of its own, for another place on the remote. `cache` is where its cache goes."""
        place, cache = workspace.Workspace(folder / "workspace"), cache or folder / "cache"
        shutil.copytree(self.place.path, place.path, symlinks=True, ignore=shutil.ignore_patterns("site-cache", "tmp"))
        shutil.copytree(self.program.cache, cache, symlinks=True)
        aws = Aws("aws_default")
        environment = {**self.program.environment, **aws.environment()}
        program = replace(self.program, checkout=place.checkout, cache=cache, environment=environment)
        program.configure(remote, aws.endpoint)
        return Attempt(place, program, remote)

    def cached(self, path):
        """The file in the shared cache that holds an output's content."""
        return self.program.cache / self.named(path).key

    def named(self, path):
        return next(item for item in self.objects() if item.path == path)

    def spoil_cache(self, path, old, new):
        """Other bytes under a good name, read-only as DVC keeps what it then takes on trust."""
        file = self.cached(path)
        before = file.read_bytes()
        assert old in before
        file.chmod(0o644)
        file.write_bytes(before.replace(old, new))
        file.chmod(0o444)
        return file


@dataclass(frozen=True)
class Pipeline:
    """The foreign pipeline, released and run."""

    origin: Origin
    remote: str
    environments: Path
    deployment_dvc: environment.Environment

    @classmethod
    def start(cls, folder, name, deployment_dvc, patch):
        """An origin, a RETRAIN_HOME and a place on the remote of its own; the built environments are shared."""
        isolated_git(folder / "engineer", patch)
        environments = deployment_dvc.path.parent
        (folder / "home").mkdir()
        (folder / "home" / "environments").symlink_to(environments)
        patch.setenv("RETRAIN_HOME", str(folder / "home"))
        # As in a service: Python decides for itself when it writes what a stage prints.
        patch.delenv("PYTHONUNBUFFERED", raising=False)
        remote = f"s3://{STORE_BUCKET}/{re.sub(r'[^A-Za-z0-9]+', '-', name)}"
        return cls(Origin.create(folder, FILES), remote, environments, deployment_dvc)

    def attempt(self, tag="v1.0.0", files=None):
        """A new workspace of a release; the release is made when `files` are given or the tag is new."""
        if tag not in self.origin.git("tag").split():
            self.origin.release(tag, files)
        spec = self.spec(tag)
        place = workspace.create(self.origin.address, spec, MANIFEST, dag_run="manual", min_free_mb=1)
        aws = Aws("aws_default")
        built = environment.provide(place.checkout, self.environments)
        cache = workspace.home() / "cache" / PIPELINE
        program = Dvc.of(place.checkout, built, self.deployment_dvc, cache, aws.environment())
        program.configure(self.remote, aws.endpoint)
        return Attempt(place, program, self.remote)

    def spec(self, tag):
        return RunSpec(PIPELINE, DAY, tag, self.origin.git("rev-parse", f"{tag}^{{commit}}"), MANIFEST.digest)
