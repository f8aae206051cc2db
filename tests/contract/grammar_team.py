"""A team whose dvc.yaml files use DVC's whole grammar, each feature in a stage of its own, with its pipeline's file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from foreign_pipeline import FILES, PIPELINE
from stack_model import STORE_BUCKET
from team_origin import Origin, isolated_git

from retrain.airflow.adapters import services
from retrain.archive import replay, restore
from retrain.deployment.pipeline_file import Deployment, load
from retrain.results import Recorded, Reproduced
from retrain.run.run_record import RunRecord
from retrain.services import Services
from retrain.tasks.push import push
from retrain.tasks.record_run import record_run
from retrain.tasks.reproduce import reproduce
from retrain.tasks.resolve_run import resolve_run
from retrain.work.workspace import Workspace

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DAY = "2020-03-04"
TOP = """
vars: [vars.yaml, {inline: {suffix: txt}}]
stages:
  day: {cmd: cp manifest.json day.json, deps: [manifest.json], outs: [day.json]}
  each: {foreach: "${items}", do: {cmd: "echo ${item} > each-${item}.${inline.suffix}", deps: [day.json], outs: ["each-${item}.${inline.suffix}"]}}
  pairs: {foreach: {x: {n: 1}, y: {n: 2}}, do: {cmd: "echo ${key} ${item.n} > pair-${key}.txt", deps: [day.json], outs: ["pair-${key}.txt"]}}
  lone: {foreach: [only], do: {cmd: "echo ${item} > lone-${item}.txt", deps: [day.json], outs: ["lone-${item}.txt"]}}
  grid:
    matrix: {size: [1, 2], kind: "${items}"}
    cmd: echo ${item.size}${item.kind} > grid-${item.size}-${item.kind}.txt
    deps: [day.json]
    outs: ["grid-${item.size}-${item.kind}.txt"]
  templated: {vars: [{own: whole}], cmd: "echo ${own} > ${paths.whole}", deps: [day.json], outs: ["${paths.whole}"]}
  below: {wdir: sub, cmd: cp ../day.json here.json, deps: [../day.json], outs: [here.json]}
  beside: {wdir: sub/deep, cmd: echo above > ../../above.txt, deps: [../../day.json], outs: [../../above.txt]}
  measured:
    cmd: ["echo '{\\"loss\\": 1e-05}' > m.json", "echo 'x,y' > p.csv", "echo side > side.txt"]
    deps: [day.json]
    outs: [side.txt: {cache: false}]
    metrics: [m.json: {cache: false}]
    plots: [p.csv: {cache: false, x: x}]
  unpushed: {cmd: echo local > local.txt, deps: [day.json], outs: [local.txt: {push: false}]}
  kept: {cmd: echo more >> history.txt, deps: [day.json], outs: [history.txt: {persist: true}]}
  always: {cmd: echo always > always.txt, deps: [day.json], outs: [always.txt], always_changed: true}
  free: {cmd: echo free > free.txt, outs: [free.txt]}
  silent: {cmd: test -f day.json, deps: [day.json]}
  lines:
    cmd: |
      echo one > lines.txt
      echo two >> lines.txt
    desc: Several lines.
    meta: {owner: them, tier: 1}
    deps: [day.json]
    outs: [lines.txt: {desc: "An output.", type: text}]
  params:
    cmd: cat conf.toml conf.json conf.py > params.txt
    params: [params.yaml: , conf.toml: [a.b], conf.json: [x], conf.py: [N]]
    deps: [day.json]
    outs: [params.txt]
  folders:
    cmd: mkdir -p out/in && cp source/* out/in && echo x > out/run.sh && chmod +x out/run.sh
    deps: [source, day.json]
    outs: [out]
  elsewhere: {cmd: echo theirs > theirs.txt, deps: [day.json], outs: [theirs.txt: {remote: theirs}]}
  external: {cmd: echo external > external.txt, deps: ["s3://BUCKET/external.txt", day.json], outs: [external.txt]}
  still: {cmd: exit 1, frozen: true, deps: [day.json], outs: [still.txt: {cache: false}]}
  model: {cmd: cp day.json model.txt, deps: [day.json, nested/late.json], outs: [model.txt]}
metrics: [top.toml]
params: [conf.toml]
plots: [curve: {x: x, y: {p.csv: y}}]
artifacts:
  theirs: {path: "${paths.model}", type: model, desc: a model}
"""
NESTED = """
stages:
  late: {cmd: cp ../day.json late.json, deps: [../day.json], outs: [late.json]}
  later: {cmd: "echo '{\\"rows\\": 3}' > rows.json", deps: [late.json], metrics: [rows.json]}
artifacts: {table: {path: late.json, type: dataset}}
"""
RELEASE = {
    "dvc.yaml": TOP,
    "vars.yaml": "items: [a, b]\npaths: {whole: whole.txt, model: model.txt}\n",
    "params.yaml": "rate: 0.1\n",
    "conf.toml": "[a]\nb = 1\n",
    "conf.json": '{"x": 1}',
    "conf.py": "N = 3\n",
    "source/one.txt": "1\n",
    "source/two.txt": "2\n",
    "sub/deep/.gitkeep": "",
    "still.txt": "still\n",
    "top.toml": "accuracy = 0.5\n",
    "nested/dvc.yaml": NESTED,
    "empty/dvc.yaml": "stages: {}\nartifacts: {notes: {path: notes.txt}}\n",
    "empty/notes.txt": "notes\n",
    "results/dvc.yaml": "metrics: [../m.json]\n",
    ".dvc/config": "['remote \"theirs\"']\n    url = s3://somebody-elses/store\n",
    "split.py": None,
    "fit.py": None,
    "report.py": None,
}
DEPLOYMENT = """
schema_version: 1
description: Uses DVC's whole grammar.
owner: them
schedule: {{cron: "0 6 * * *", start_date: 2020-01-01}}
raw: {{url: "s3://{raw}/raw", window_days: 1}}
store: s3://{store}/{raw}
ledger: s3://{raw}/ledger
limits: {{min_free_disk_mb: 1}}
tracking: {{experiment: {raw}}}
slack: {{channel: "#alerts"}}
"""


@dataclass(frozen=True)
class RecordedGrammar:
    """A run up to its record."""

    reproduced: Reproduced
    recorded: Recorded
    record: RunRecord

    @property
    def place(self) -> Workspace:
        return Workspace(Path(self.reproduced.workspace))


@dataclass(frozen=True)
class GrammarTeam:
    """The team with a bucket of its own. `environments` has those that are built already."""

    origin: Origin
    client: S3Client
    bucket: str
    folder: Path
    environments: Path

    @classmethod
    def start(
        cls, folder: Path, name: str, client: S3Client, environments: Path, patch, files: Mapping[str, str | None]
    ):
        isolated_git(folder / "engineer", patch)
        home = folder / "home"
        home.mkdir()
        (home / "environments").symlink_to(environments)
        patch.setenv("RETRAIN_HOME", str(home))
        patch.delenv("PYTHONUNBUFFERED", raising=False)
        bucket = re.sub(r"[^a-z0-9]+", "-", name.removeprefix("test_"))[:60].strip("-")
        client.create_bucket(Bucket=bucket)
        for key, body in (
            ("external.txt", "external"),
            (f"raw/dt={DAY}/a.txt", "1"),
            (f"raw/dt={DAY}/_SUCCESS", ""),
        ):
            client.put_object(Bucket=bucket, Key=key, Body=body.encode())
        team = cls(Origin.create(folder, FILES), client, bucket, folder, environments)
        team.release("v1.0.0", files)
        return team

    def release(self, tag: str, files: Mapping[str, str | None]) -> None:
        texts = {name: text if text is None else text.replace("BUCKET", self.bucket) for name, text in files.items()}
        self.origin.release(tag, texts)

    def deployment(self, settings: str = "targets: all\n", repository: str = "") -> Deployment:
        """The pipeline's file with these keys."""
        file = self.folder / f"{PIPELINE}.yaml"
        own = f"repository: {{url: {self.origin.path}{repository}}}\n"
        file.write_text(DEPLOYMENT.format(raw=self.bucket, store=STORE_BUCKET) + own + settings)
        return load(file)

    def run(self, deployment: Deployment, tag: str = "v1.0.0") -> RecordedGrammar:
        """All tasks of the day up to its record."""
        reach = services(deployment)
        run = resolve_run(reach, DAY, tag, "manual", "daily")
        reproduced = reproduce(reach, run)
        recorded = record_run(reach, run, reproduced, push(reach, run, reproduced))
        return RecordedGrammar(reproduced, recorded, reach.ledger.entry(PIPELINE, DAY, run.run_key))

    def reproduce(self, deployment: Deployment, tag: str = "v1.0.0") -> Reproduced:
        """The day up to the end of its stages."""
        reach = services(deployment)
        return reproduce(reach, resolve_run(reach, DAY, tag, "manual", "daily"))

    def restore(self, record: RunRecord, deployment: Deployment, to: Path) -> restore.Restored:
        reach: Services = services(deployment)
        return restore.restore(
            record,
            reach.ledger,
            reach.remote,
            deployment.repository,
            reach.credentials,
            to,
            mirrors=to.parent / "mirrors",
            environments=None,
            tools=self.environments,
            raw=None,
        )

    def replay(self, record: RunRecord, deployment: Deployment, scratch: Path) -> replay.Replayed:
        reach = services(deployment)
        return replay.replay(
            record, reach.ledger, deployment, reach.credentials, tools=self.environments, scratch=scratch
        )


def files_of(project: Path) -> dict[str, bytes]:
    """All files but those of Git, of DVC and of Python."""
    found = (path for path in project.rglob("*") if path.is_file())
    names = {str(path.relative_to(project)): path.read_bytes() for path in found}
    return {
        name: content
        for name, content in names.items()
        if not name.startswith((".git/", ".dvc/")) and ".gitignore" not in name
    }
