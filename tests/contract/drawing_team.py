"""A team with a stage that never gives the same bytes twice: it asks a server whose every answer is a new one."""

from __future__ import annotations

import os
from pathlib import Path

from fetching_team import DAY, GET, FetchingTeam
from foreign_pipeline import PIPELINE

from retrain.commands.command_line import parser
from retrain.deployment.pipeline_file import load
from retrain.results import Recorded
from retrain.tasks.record_run import record_run
from retrain.work.workspace import Workspace

# `draw` and all after it have other bytes each time; `count` has the same.
DVC_YAML = """
stages:
  draw:
    cmd: mkdir drawn && python get.py $STATION/a drawn/raw.txt && touch drawn/$(cat drawn/raw.txt)
    deps: [get.py, run.yaml]
    always_changed: true
    outs: [drawn]
  fit:
    cmd: python fit.py
    deps: [fit.py, drawn]
    outs: [model.txt]
    metrics: [reports/metrics.json: {cache: false}]
    plots: [curve.csv: {cache: false}]
  count:
    cmd: wc -c < run.yaml > size.txt
    deps: [run.yaml]
    outs: [size.txt]
artifacts:
  model: {path: model.txt, type: model}
"""
FIT = """
import json, pathlib
drawn = pathlib.Path("drawn/raw.txt").read_text()
pathlib.Path("reports").mkdir(exist_ok=True)
pathlib.Path("model.txt").write_text(f"model of {drawn}")
pathlib.Path("curve.csv").write_text(f"x,y\\n1,{drawn}\\n")
pathlib.Path("reports/metrics.json").write_text(json.dumps({"model": {"mae": float(drawn[1:])}, "rows": 3, "made of": drawn}))
"""
RELEASE = {"dvc.yaml": DVC_YAML, "get.py": GET, "fit.py": FIT}


class DrawingTeam(FetchingTeam):
    """The deployed pipeline, with a registered model."""

    @classmethod
    def deployed(cls, folder, name, station, environments, patch, files=None, *, static="[draw]", below="."):
        team = cls.start(
            folder,
            name,
            station,
            environments,
            patch,
            fetch=f"[]\nstatic: {static}",
            files={**RELEASE, **(files or {})},
        )
        file = Path(os.environ["RETRAIN_PIPELINES"]) / f"{PIPELINE}.yaml"
        text = file.read_text()
        text = text.replace("tracking: {", f"tracking: {{model: {team.name}, ")
        file.write_text(text.replace("environment: .", f"environment: ., folder: {below}"))
        return cls(team.folder, team.station, team.origin, team.name, load(file))

    def attempt(self, day=DAY, *, pushed=True):
        """Clear `reproduce`: a new workspace; its run, its result and the push."""
        run = self.resolve(day)
        reproduced = self.reproduce(run)
        return run, reproduced, self.push(run, reproduced) if pushed else None

    def record(self, day=DAY) -> tuple[Recorded, Path]:
        """A whole attempt up to `record_run`; gives its result, and the folder of its checkout."""
        run, reproduced, pushed = self.attempt(day)
        return record_run(self.services, run, reproduced, pushed), self.checkout(reproduced)

    @staticmethod
    def checkout(reproduced) -> Path:
        return Workspace(Path(reproduced.workspace)).checkout

    def entry(self, day=DAY):
        return self.services.ledger.entry(PIPELINE, day)

    def tracked(self, run_id):
        """MLflow's run."""
        return self.services.tracking._client().get_run(run_id)

    def artifact(self, run_id, path, to) -> str:
        return Path(self.services.tracking._client().download_artifacts(run_id, path, str(to))).read_text()

    @staticmethod
    def answer(*arguments):
        options = parser().parse_args(["--pipeline", PIPELINE, *arguments])
        return options.command(options)


def files_of(checkout: Path) -> dict[str, bytes]:
    """The outputs in a checkout."""
    names = ("model.txt", "size.txt", "dvc.lock")
    drawn = {str(path.relative_to(checkout)): path.read_bytes() for path in sorted((checkout / "drawn").iterdir())}
    return {**{name: (checkout / name).read_bytes() for name in names}, **drawn}
