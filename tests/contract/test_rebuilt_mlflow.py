"""MLflow loses its database and its artifacts: the ledger and the store give all of it back, on real S3 and MLflow servers."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.httpsession import URLLib3Session
from foreign_pipeline import FILES, PIPELINE
from live_servers import ROOT, free_ports, running
from requests.adapters import HTTPAdapter
from stack_model import STORE_BUCKET, Stack
from team_origin import Origin, isolated_git

sys.path.insert(0, str(ROOT / "tests" / "bench"))

from counted_command import operation

from retrain.airflow.adapters import services
from retrain.commands.command_line import parser
from retrain.deployment.pipeline_file import Deployment, load
from retrain.store import ledger_facts
from retrain.store import s3 as store
from retrain.store.ledger import Ledger
from retrain.tasks.promote import promote
from retrain.tasks.push import push
from retrain.tasks.record_run import record_run
from retrain.tasks.remove_workspace import remove_workspace
from retrain.tasks.reproduce import reproduce
from retrain.tasks.resolve_run import resolve_run

pytestmark = pytest.mark.slow

DAYS = ("2020-03-03", "2020-03-04", "2020-03-05")
CHAMPION = DAYS[1]
# The middle day has the best model, so that the champion is not the newest version.
ERRORS = {"2020-03-03": 5.0, "2020-03-04": 3.0, "2020-03-05": 4.0}
DVC_YAML = """
stages:
  fit:
    cmd: python fit.py
    deps: [fit.py, manifest.json]
    params: [fit, run.yaml: [partition]]
    outs: [model, rows.txt]
  report:
    cmd: python report.py
    deps: [report.py, model]
    outs: [reports/plots, reports/drift.json]
    metrics: [reports/metrics.json, reports/notes.json: {cache: false}]
plots: [reports/plots/curve.csv]
artifacts:
  model: {path: model, type: model}
"""
FIT = f"""
import pathlib, yaml
day = yaml.safe_load(open("run.yaml"))["partition"]
pathlib.Path("model/data").mkdir(parents=True)
pathlib.Path("model/MLmodel").write_text("flavors: {{}}\\n")
pathlib.Path("model/error.txt").write_text(str({ERRORS}[str(day)]))
pathlib.Path("model/data/weights").write_bytes(bytes(range(256)) * 200 + str(day).encode())
pathlib.Path("rows.txt").write_text("rows")
"""
REPORT = """
import json, pathlib
error = float(pathlib.Path("model/error.txt").read_text())
pathlib.Path("reports/plots").mkdir(parents=True)
pathlib.Path("reports/plots/curve.csv").write_text(f"hour,mae\\n1,{error}\\n")
pathlib.Path("reports/plots/other.csv").write_text("x\\n")
pathlib.Path("reports/drift.json").write_text(json.dumps({"schema_version": 1, "of": error}))
pathlib.Path("reports/metrics.json").write_text(json.dumps({"model": {"mae": error}}))
pathlib.Path("reports/notes.json").write_text(json.dumps({"seen": 1}))
"""
SCORE = """
import json, pathlib, sys
pathlib.Path(sys.argv[3]).write_text(json.dumps({"mae": float(pathlib.Path(sys.argv[1], "error.txt").read_text())}))
"""
RELEASE = {
    "dvc.yaml": DVC_YAML,
    "fit.py": FIT,
    "report.py": REPORT,
    "score.py": SCORE,
    "params.yaml": "fit: {rate: 0.1, zones: [a, b]}\n",
    **{name: (ROOT / "infra" / "dvc" / name).read_text() for name in ("pyproject.toml", "uv.lock")},
}
DEPLOYMENT = """
schema_version: 1
description: Has a model, a drift report, and a metrics file that DVC does not keep.
owner: them
schedule: {{cron: "0 6 * * *", start_date: 2020-01-01}}
repository: {{url: {origin}, environment: .}}
raw: {{url: "s3://{bucket}/raw", window_days: 1}}
store: s3://{store}/{bucket}
ledger: s3://{bucket}/ledger
limits: {{min_free_disk_mb: 1}}
tracking: {{experiment: {name}, model: {name}}}
promotion: {{score: [python, score.py], rows: rows.txt, metrics: reports/metrics.json, challenger: model, metric: mae}}
drift: {{report: reports/drift.json}}
slack: {{channel: "#alerts"}}
"""


@dataclass(frozen=True)
class Days:
    """Three recorded days, as MLflow held them before it was lost."""

    deployment: Deployment
    client: object
    before: dict
    file: str
    asked: dict  # by day, then by task: the requests to S3 and MLflow, by kind

    @property
    def records(self):
        found = Ledger(self.client, self.deployment.ledger).records(PIPELINE)
        return {record.partition: record for record in found}

    @contextmanager
    def without(self, day, path):
        """The store has lost one file of a day, for a while."""
        record = self.records[day]
        md5 = record.outputs[path]
        bucket, prefix = store.split(self.deployment.store)
        where = {"Bucket": bucket, "Key": f"{prefix}/files/md5/{md5[:2]}/{md5[2:]}"}
        content = self.client.get_object(**where)["Body"].read()
        self.client.delete_object(**where)
        yield
        self.client.put_object(**where, Body=content)


@contextmanager
def new_mlflow(stack: Stack, client, folder: Path):
    """An MLflow server that has never heard of anything, with a bucket of its own; both are gone afterwards."""
    ports = replace(stack.ports, mlflow=free_ports(1)[0])
    own, bucket = replace(stack, state=folder, ports=ports), f"mlflow-{ports.mlflow}"
    folder.mkdir()
    client.create_bucket(Bucket=bucket)
    connection = {"conn_type": "http", "schema": "http", "host": "127.0.0.1", "port": ports.mlflow}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("programs.MLFLOW_BUCKET", bucket)
        patch.setenv("AIRFLOW_CONN_MLFLOW_DEFAULT", json.dumps(connection))
        with running(own, "mlflow"):
            yield bucket
    empty(client, bucket)
    client.delete_bucket(Bucket=bucket)


def empty(client, bucket):
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", ()):
            client.delete_object(Bucket=bucket, Key=entry["Key"])


def deploy(text, name):
    """The pipeline, with an MLflow experiment and a model of this name."""
    file = Path(os.environ["RETRAIN_PIPELINES"]) / f"{PIPELINE}.yaml"
    file.write_text(text.replace("{name}", name))
    return load(file)


@pytest.fixture(scope="module")
def recorded(mlflow_server, s3, environments, deployment_dvc, tmp_path_factory):  # noqa: ARG001 - stages run in DVC's own environment
    """Three days that the session's MLflow holds; then the tests' MLflow is a new one, which has lost them."""
    folder, bucket = tmp_path_factory.mktemp("rebuilt"), "rebuilt-mlflow"
    with pytest.MonkeyPatch.context() as patch:
        isolated_git(folder / "engineer", patch)
        (folder / "home").mkdir()
        (folder / "home" / "environments").symlink_to(environments)
        (folder / "pipelines").mkdir()
        patch.setenv("RETRAIN_HOME", str(folder / "home"))
        patch.setenv("RETRAIN_PIPELINES", str(folder / "pipelines"))
        origin = Origin.create(folder, FILES)
        origin.release("v1.0.0", RELEASE)
        text = DEPLOYMENT.replace("{name}", "{{name}}").format(origin=origin.path, bucket=bucket, store=STORE_BUCKET)
        deployment = deploy(text, "fits")
        s3.create_bucket(Bucket=bucket)
        asked = {}
        for day in DAYS:
            for name in ("part-0.txt", "_SUCCESS"):
                s3.put_object(Bucket=bucket, Key=f"raw/dt={day}/{name}", Body=day.encode())
            asked[day] = run_day(deployment, day)
        before = held(deployment)
        with new_mlflow(mlflow_server, s3, folder / "new") as artifacts:
            yield Days(deployment, s3, before, text, asked), artifacts


def run_day(deployment, day):
    """The tasks of a day that MLflow hears of; returns the requests of each, without those of other programs."""
    reach, asked = services(deployment), {}
    with counted(asked, "resolve_run"):
        run = resolve_run(reach, day, "v1.0.0", f"run of {day}", "daily")
    with counted(asked, "reproduce"):
        reproduced = reproduce(reach, run)
    with counted(asked, "push"):
        pushed = push(reach, run, reproduced)
    with counted(asked, "record_run"):
        recorded = record_run(reach, run, reproduced, pushed)
    with counted(asked, "promote"):
        promote(reach, run, reproduced, recorded)
    remove_workspace(reach, run.dag_run)
    return asked


@contextmanager
def counted(asked, task):
    """Count this process's requests to S3 and to MLflow while the context is open."""
    found, to_s3, to_mlflow = Counter(), URLLib3Session.send, HTTPAdapter.send

    def of_s3(self, request):
        found[f"S3 {operation(request.method, request.url)}"] += 1
        return to_s3(self, request)

    def of_mlflow(self, request, **options):
        found[f"MLflow {request.method} {urlsplit(request.url).path.rpartition('/')[2]}"] += 1
        return to_mlflow(self, request, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(URLLib3Session, "send", of_s3)
        patch.setattr(HTTPAdapter, "send", of_mlflow)
        yield
    asked[task] = dict(found)


@pytest.fixture
def days(recorded, request):
    """The days, and an MLflow that has never heard of them: for each test under another name."""
    known, _ = recorded
    return replace(known, deployment=deploy(known.file, request.node.name))


def held(deployment):
    """All that MLflow holds: each run's content, the versions' tags, the champion; ids and times left out."""
    client = services(deployment).tracking._client()
    experiment = client.get_experiment_by_name(deployment.tracking.experiment)
    runs = {}
    for run in client.search_runs([experiment.experiment_id]) if experiment else []:
        assert run.data.tags["run_key"] not in runs, "a run twice"
        with tempfile.TemporaryDirectory() as folder:
            client.download_artifacts(run.info.run_id, "", folder)
            artifacts = {str(f.relative_to(folder)): f.read_bytes() for f in Path(folder).rglob("*") if f.is_file()}
        runs[run.data.tags["run_key"]] = {
            "name": run.info.run_name,
            "status": run.info.status,
            "params": run.data.params,
            "metrics": {name: len(client.get_metric_history(run.info.run_id, name)) for name in run.data.metrics},
            "values": run.data.metrics,
            "tags": run.data.tags,
            "data": [
                (used.dataset.name, used.dataset.digest, used.dataset.source) for used in run.inputs.dataset_inputs
            ],
            "artifacts": artifacts,
        }
    versions = client.search_model_versions(f"name = '{deployment.tracking.model}'")
    champion = services(deployment).tracking.champion(deployment.tracking.model)
    return {
        "experiment": {k: v for k, v in experiment.tags.items() if k.endswith("Kind")} if experiment else None,
        "runs": runs,
        "versions": {version.version: version.tags for version in versions},
        "champion": champion and champion["run_key"],
    }


def finished(days):
    names = days.deployment.tracking
    return services(days.deployment).tracking.finished(names.experiment, names.model)


def command(*arguments):
    """The answer of a command."""
    options = parser().parse_args(["--pipeline", PIPELINE, *arguments])
    return options.command(options)


def rebuild(*arguments):
    """What the command answers with --json, and whether all is well: its exit code is 0 then, else 1."""
    found = command("rebuild", *arguments)
    return found.document, found.well


def stored(content):
    """Without what DVC was told not to keep, and without what only a rebuilt version is tagged with."""
    runs = {
        key: {**run, "artifacts": {p: b for p, b in run["artifacts"].items() if p != "reports/notes.json"}}
        for key, run in content["runs"].items()
    }
    versions = {
        number: {name: value for name, value in tags.items() if name != "recorded_version"}
        for number, tags in content["versions"].items()
    }
    return {**content, "runs": runs, "versions": versions}


def test_what_is_compared_is_not_empty(days):
    assert [run["name"] for run in days.before["runs"].values()] == [f"{day} v1.0.0" for day in reversed(DAYS)]
    for run in days.before["runs"].values():
        assert {"model/data/weights", "reports/plots/curve.csv", "reports/drift.json", "reports/notes.json"} < set(
            run["artifacts"]
        )
    assert days.before["champion"] == days.records[CHAMPION].run_key


def test_a_day_s_tasks_ask_s3_and_mlflow_no_more_than_those_of_the_day_before(days):
    _, second, third = days.asked.values()
    promoted, kept = second.pop("promote"), third.pop("promote")
    assert third == second
    assert second["record_run"]["S3 PUT"] > 0
    assert {"S3 PUT": 1, "MLflow POST alias": 1}.items() <= promoted.items()
    assert Counter(kept) <= Counter(promoted)  # the third day's model is not better


def test_runs_models_versions_and_the_champion_come_back_and_a_second_time_nothing_is_doubled(days):
    document, well = rebuild()
    assert well
    assert [told["partition"] for told in document["told"]] == list(DAYS)
    assert [told["left_out"] for told in document["told"]] == [("reports/notes.json",)] * 3
    after = held(days.deployment)
    assert stored(after) == stored(days.before)
    assert {number: tags["recorded_version"] for number, tags in after["versions"].items()} == {
        "1": "1",
        "2": "2",
        "3": "3",
    }

    assert rebuild()[0]["told"] == []
    assert held(days.deployment) == after


def test_a_run_that_is_told_later_stands_at_the_time_of_its_recording(days):
    assert not rebuild("--partition", DAYS[0])[1], "the champion is another day's"
    (found,) = finished(days).values()
    info = services(days.deployment).tracking._client().get_run(found.run_id).info
    at = datetime.fromisoformat(days.records[DAYS[0]].recorded_at).timestamp() * 1000
    assert (info.start_time, info.end_time) == (at, at)


def test_lost_artifacts_alone_come_back_into_the_runs_that_are_there(days, recorded):
    rebuild()
    ids = finished(days)
    empty(days.client, recorded[1])
    assert len(rebuild()[0]["told"]) == len(DAYS)
    assert finished(days) == ids
    assert stored(held(days.deployment)) == stored(days.before)


def test_a_run_whose_model_is_gone_is_named_and_the_others_are_told(days):
    with days.without(DAYS[0], "model"):
        document, well = rebuild()
    assert not well
    (failed,) = document["failed"]
    assert failed["partition"] == DAYS[0]
    assert re.search(r"GoneError: 1 objects .*model \(stage fit", failed["why"])
    assert [(told["version"], told["recorded_version"]) for told in document["told"]] == [("1", "2"), ("2", "3")]
    after = held(days.deployment)
    assert set(after["runs"]) == {days.records[day].run_key for day in DAYS[1:]}
    assert after["champion"] == days.records[CHAMPION].run_key

    assert rebuild()[1], "the object is back"
    assert stored(held(days.deployment))["runs"] == stored(days.before)["runs"]


def test_a_champion_that_is_not_there_is_an_error_and_one_that_is_there_is_left_alone(days):
    document, well = rebuild("--since", DAYS[2])
    assert not well
    assert [told["partition"] for told in document["told"]] == [DAYS[2]]
    assert f"There is no champion: the newest promotion is of {CHAMPION}" in document["champion"]["said"]
    services(days.deployment).tracking.promote(days.deployment.tracking.model, "1")
    document, well = rebuild()
    assert well
    assert "left where it is" in document["champion"]["said"]
    assert held(days.deployment)["champion"] == days.records[DAYS[2]].run_key


def test_a_plan_names_what_is_lost_and_writes_nothing(days):
    document, _ = rebuild("--plan")
    assert set(document["lost"]) == {record.run_key for record in days.records.values()}
    assert held(days.deployment)["runs"] == {}
    assert not list(Path(os.environ["RETRAIN_HOME"]).glob("rebuild-*"))


@pytest.fixture
def pruned(days):
    """The first day, of which the ledger notes that a prune removes its objects."""
    ledger, record = Ledger(days.client, days.deployment.ledger), days.records[DAYS[0]]
    ledger_facts.note_removed(ledger, record, 30)
    yield record
    ledger_facts.note_stored(ledger, record.spec)


def test_a_pruned_run_is_left_out_of_a_rebuild_and_is_not_called_complete(days, pruned):
    planned = command("rebuild", "--plan")
    assert pruned.run_key not in planned.document["lost"]
    assert "1 are left out: prune removed their objects." in planned.lines[0]
    found = command("rebuild")
    assert found.well
    assert [told["partition"] for told in found.document["told"]] == list(DAYS[1:])
    assert (found.document["recorded"], found.document["pruned"]) == (3, 1)
    assert found.lines[0] == "2 runs rebuilt, 0 were complete, 0 could not be rebuilt."
    assert pruned.run_key not in finished(days)


def test_commands_that_show_a_pruned_run_say_that_its_objects_are_gone(pruned):
    rows = [line for line in command("history").lines if "removed by prune" in line]
    assert [row.split()[:3] for row in rows] == [[pruned.partition, "v1.0.0", pruned.run_key[:12]]]
    said = f"The objects of {pruned.partition} ({pruned.run_key[:12]}) were removed by make prune"
    assert command("explain", *DAYS[:2]).lines[-1].startswith(said)
    assert not [line for line in command("explain", *DAYS[1:]).lines if "make prune" in line]


@pytest.mark.slow
def test_a_pruned_run_can_be_replayed_and_the_command_says_how_its_objects_come_back(pruned):
    replayed = command("replay", pruned.partition)
    assert replayed.well
    assert "make prune; its ledger entry is whole. A backfill of the day stores them again." in replayed.lines[-1]
