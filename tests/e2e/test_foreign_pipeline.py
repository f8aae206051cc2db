"""Other pipelines that need only a file: another team's repository, and a broken file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from foreign_repository import ForeignOrigin
from foreign_visit import DAY, PIPELINE, RUN, SENT, release
from running_stack import Live

from retrain.results import Reproduced

pytestmark = pytest.mark.timeout(900)

Outcome = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def visit(live: Live, foreign_origin: ForeignOrigin, queue: str) -> Outcome:
    """The result of each task of DAY's run, which the fixture `queue` has begun."""
    assert queue
    assert live.ended(PIPELINE, RUN)["state"] == "success", live.states(PIPELINE, RUN)
    assert foreign_origin.references() == foreign_origin.begun_with
    return live.left_behind(PIPELINE, RUN, "resolve_run", "reproduce", "push", "record_run")


def test_a_repository_without_a_model_and_a_drift_report_runs_and_those_tasks_are_skipped(
    live: Live, foreign_origin: ForeignOrigin, visit: Outcome
) -> None:
    states = live.states(PIPELINE, RUN)
    assert {task for task, state in states.items() if state == "skipped"} == {"check_drift", "promote"}
    assert {state for task, state in states.items() if task not in ("check_drift", "promote")} == {"success"}
    assert visit["resolve_run"]["commit"] == foreign_origin.git("rev-parse", "v0.1.0^{commit}")
    assert Reproduced.from_json(visit["reproduce"]).executed == ["count", "summarize"]
    assert visit["record_run"]["model_version"] is None


def test_a_release_that_brings_no_dvc_has_its_own_programs_and_runs_under_the_deployments_dvc(
    live: Live, visit: Outcome
) -> None:
    own = live.stack.state / "retrain" / "environments" / visit["reproduce"]["environment"][:32]
    assert "humanize==4.12.3" in (own / "frozen.txt").read_text()
    assert (own / "bin" / "python").exists()
    assert not (own / "bin" / "dvc").exists()


def test_its_parameters_metrics_and_files_are_in_mlflow_from_where_its_dvc_yaml_has_them(
    live: Live, visit: Outcome
) -> None:
    (run,) = live.mlflow_runs(PIPELINE, visit["resolve_run"]["run_key"])
    assert run["info"]["status"] == "FINISHED"
    metrics = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
    sizes = [len(body) for body in SENT.values()]
    # MLflow takes no @ in a name.
    assert metrics == {"days": 3, "bytes.total": sum(sizes), "bytes.most_day": max(sizes)}
    params = {param["key"]: param["value"] for param in run["data"]["params"]}
    assert params == {"run.yaml:partition": DAY, "summarize.unit": "1", "summarize.limits.at_least_days": "2"}
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert (tags["release"], tags["commit"]) == ("v0.1.0", visit["resolve_run"]["commit"])
    assert live.mlflow_files(run["info"]["run_id"], "run", "analysis") == {
        "analysis/totals.yaml",
        "run/dvc.lock",
        "run/manifest.json",
        "run/receipt.json",
        "run/run.yaml",
    }


def test_its_lock_and_a_receipt_of_everything_that_dvc_keeps_are_in_the_ledger(live: Live, visit: Outcome) -> None:
    run = visit["resolve_run"]
    lock, receipt = live.entry(run, "dvc.lock").decode(), json.loads(live.entry(run, "receipt.json"))
    assert "count:" in lock
    assert "summarize:" in lock
    assert receipt["remote"] == f"s3://{live.variables['RETRAIN_STORE_BUCKET']}/foreign"
    # The folder, its three files and days.txt; totals.yaml is in no cache.
    assert len(receipt["objects"]) == len(SENT) + 2
    kept = [live.stored(f"{receipt['remote']}/{proof['key']}") for proof in receipt["objects"]]
    assert [len(body) for body in kept] == [proof["size"] for proof in receipt["objects"]]
    assert any(body.startswith(b"2024-02-27 3 Bytes") for body in kept)
    assert json.loads(live.entry(run, "run.json"))["metrics"]["bytes.most@day"] == max(map(len, SENT.values()))


def test_a_tag_without_dvc_yaml_is_refused_and_what_is_live_stays_live(
    live: Live, foreign_origin: ForeignOrigin, visit: Outcome
) -> None:
    refused = release(live, "v0.0.1")
    commit = foreign_origin.git("rev-parse", "v0.0.1")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith(f"NotAPipelineError: v0.0.1 ({commit}) has no dvc.yaml")
    assert len(refused.stderr.splitlines()) == 1
    live_now = live.retrain("--pipeline", PIPELINE, "pin")
    assert live_now.stdout.splitlines() == [f"foreign is on v0.1.0 ({visit['resolve_run']['commit']})"]


@pytest.mark.usefixtures("visit")
def test_a_broken_file_fails_its_own_dag_which_names_the_key(live: Live) -> None:
    """The other two pipelines have run meanwhile."""
    shown = live.airflow.documentation("broken")
    assert "Broken" in shown
    assert "broken.yaml: raw.window_dayz" in shown
    assert live.ended("broken", "today", 120)["state"] == "failed"
    log = live.airflow.log("broken", "today", "read_configuration", 1)
    assert "ConfigurationError" in log
    assert "raw.window_dayz" in log
