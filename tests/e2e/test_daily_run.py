"""One day through the real scheduler, and tasks that a person clears afterwards."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import trips
from airflow_client import AirflowError
from browser import open_browser, why_missing
from running_stack import DAY, PIPELINE, SHARED, Live, wait_until
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import frame_to_be_available_and_switch_to_it
from selenium.webdriver.support.ui import WebDriverWait
from told import incidents

from retrain.results import Reproduced

# The backfill of the day before runs meanwhile, with its retry: see test_killed_stage.
pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("killed")]

RUN, REFUSED_DAY = "first", "2019-09-11"

Outcome = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def first(live: Live) -> Outcome:
    """DAY's run, triggered before its data has landed; the result of each task."""
    live.airflow.trigger(PIPELINE, RUN, {"partition": DAY.isoformat()})
    wait_until(
        lambda: live.states(PIPELINE, RUN)["wait_for_partition"] == "deferred", 60, "the run does not wait for its data"
    )
    trips.land(DAY, DAY, state=SHARED)
    assert live.ended(PIPELINE, RUN)["state"] == "success", live.states(PIPELINE, RUN)
    return live.left_behind(PIPELINE, RUN, "resolve_run", "reproduce", "push", "record_run", "promote")


@pytest.fixture(scope="module")
def doomed(live: Live, first: Outcome) -> None:
    """Two runs that fail, begun at once: `unknown` of a release that does not exist, `refused` of a day with a column missing."""
    assert first
    rows = pd.read_parquet(trips.part_path(REFUSED_DAY, trips.raw_dir(SHARED))).drop(columns="pickup_location_id")
    buffer = io.BytesIO()
    rows.to_parquet(buffer)
    landed = f"s3://{live.variables['RETRAIN_RAW_BUCKET']}/raw/yellow/dt={REFUSED_DAY}"
    live.put(f"{landed}/part-0.parquet", buffer.getvalue())
    live.put(f"{landed}/_SUCCESS", b"")
    live.airflow.trigger(PIPELINE, "unknown", {"partition": DAY.isoformat(), "release": "v9.9.9"})
    live.airflow.trigger(PIPELINE, "refused", {"partition": REFUSED_DAY})


def test_a_day_runs_from_its_marker_to_a_recorded_model(live: Live, first: Outcome) -> None:
    assert first["resolve_run"]["release"] == "v1.0.0"
    assert first["resolve_run"]["commit"] == live.git("rev-parse", "refs/heads/main")
    assert first["push"]["objects"] == len(json.loads(live.entry(first["resolve_run"], "receipt.json"))["objects"]) > 0
    assert first["record_run"]["metrics"]["model.mae"] < first["record_run"]["metrics"]["pair_median.mae"]
    assert first["promote"]["promoted"] is True


def test_the_ledger_holds_the_days_lock_and_the_origin_was_not_written_to(live: Live, first: Outcome) -> None:
    assert b"stages:" in live.entry(first["resolve_run"], "dvc.lock")
    assert json.loads(live.entry(first["resolve_run"], "run.json"))["run_key"] == first["resolve_run"]["run_key"]
    assert live.git("for-each-ref", "--format=%(refname)").split() == ["refs/heads/main", "refs/tags/v1.0.0"]


def test_the_model_is_registered_once_with_release_commit_and_data(live: Live, first: Outcome) -> None:
    version = live.mlflow("model-versions/get", name=PIPELINE, version=first["record_run"]["model_version"])
    tags = {tag["key"]: tag["value"] for tag in version["model_version"]["tags"]}
    for name in ("release", "commit", "manifest_digest", "run_key", "partition"):
        assert tags[name] == first["resolve_run"][name]


def test_the_mlflow_run_holds_params_metrics_plots_reports_and_lock(live: Live, first: Outcome) -> None:
    (run,) = live.mlflow_runs(PIPELINE, first["resolve_run"]["run_key"])
    params = {p["key"]: p["value"] for p in run["data"]["params"]}
    assert params["run.yaml:partition"] == DAY.isoformat()
    assert float(params["train.learning_rate"]) > 0
    assert {m["key"] for m in run["data"]["metrics"]} >= {
        "model.mae",
        "model.r2",
        "pair_median.rmsle",
        "global_median.bias",
        "rows",
    }
    assert live.mlflow_files(run["info"]["run_id"], "run", "reports", "model") >= {
        "run/dvc.lock",
        "run/manifest.json",
        "run/receipt.json",
        "reports/drift.json",
        "reports/drift.png",
        "model/MLmodel",
    }


@pytest.mark.skipif(why_missing() is not None, reason=str(why_missing()))
def test_airflow_s_page_below_a_path_shows_the_run_s_release(live: Live, first: Outcome) -> None:
    with open_browser(1200, 900) as browser:
        browser.get(f"{live.stack.airflow_url}/dags/{PIPELINE}/runs/{RUN}/plugin/release")
        waiting = WebDriverWait(browser, 120)
        waiting.until(frame_to_be_available_and_switch_to_it((By.CSS_SELECTOR, "iframe[title=Release]")))
        waiting.until(lambda page: page.find_element(By.ID, "subtitle").text not in {"", "Reading the run…"})
        shown = browser.find_element(By.TAG_NAME, "body").text
    spec = first["resolve_run"]
    assert shown.splitlines()[:2] == [f"v1.0.0 on {DAY.isoformat()}", "Finished."]
    for fact in (
        spec["commit"],
        spec["manifest_digest"],
        f"{first['push']['objects']} objects",
        "became the champion.",
    ):
        assert fact in shown


@pytest.mark.usefixtures("doomed")
def test_clearing_record_run_brings_its_workspace_back_from_the_cache_and_records_nothing_twice(
    live: Live, first: Outcome
) -> None:
    cleared = live.airflow.clear(PIPELINE, RUN, "record_run")
    assert "reproduce" in cleared
    assert live.ended(PIPELINE, RUN)["state"] == "success"
    again = live.left_behind(PIPELINE, RUN, "reproduce", "record_run")
    assert Reproduced.from_json(again["reproduce"]).executed == []
    assert again["record_run"]["run_id"] == first["record_run"]["run_id"]
    assert again["record_run"]["model_version"] == first["record_run"]["model_version"]
    assert len(live.mlflow_runs(PIPELINE, first["resolve_run"]["run_key"])) == 1


def test_no_workspace_of_an_ended_run_is_left(live: Live, first: Outcome) -> None:
    workspace = Path(first["reproduce"]["workspace"])
    assert workspace.is_relative_to(live.stack.state / "retrain" / "workspaces" / PIPELINE)
    assert not workspace.parent.exists()


@pytest.mark.parametrize(
    "conf",
    [{"partition": "2020-03-05; touch x"}, {"release": "main"}, {"release": "v1.0.0;x"}],
    ids=["a command behind the date", "a branch", "a command behind the tag"],
)
def test_a_parameter_that_is_no_date_or_release_never_becomes_a_run(live: Live, conf: dict[str, str]) -> None:
    with pytest.raises(AirflowError, match="does not match"):
        live.airflow.trigger(PIPELINE, "bad", conf)
    assert "bad" not in {run["dag_run_id"] for run in live.airflow.runs(PIPELINE)}


@pytest.mark.usefixtures("doomed")
def test_an_unknown_release_fails_at_once_and_names_the_tag(live: Live) -> None:
    assert live.ended(PIPELINE, "unknown", 120)["state"] == "failed"
    log = live.airflow.log(PIPELINE, "unknown", "resolve_run", 1)
    assert "UnknownTagError" in log
    assert "v9.9.9" in log


@pytest.mark.usefixtures("doomed")
def test_a_refused_partition_fails_as_data_without_a_retry_and_names_the_column(live: Live) -> None:
    assert live.ended(PIPELINE, "refused", 240)["state"] == "failed"
    task = live.airflow.tasks(PIPELINE, "refused")["reproduce"]
    assert (task["state"], task["try_number"]) == ("failed", 1)
    log = live.airflow.log(PIPELINE, "refused", "reproduce", 1)
    assert "DataRefusedError" in log
    assert "pickup_location_id" in log
    assert f"dt={REFUSED_DAY}" in log


def test_a_moved_tag_is_refused_with_both_commits_and_slack_hears_why(live: Live, first: Outcome) -> None:
    """The last: while the tag is moved, no other run of this pipeline may look it up."""
    pinned = first["resolve_run"]["commit"]
    tree = live.git("rev-parse", f"{pinned}^{{tree}}")
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    other = live.git(*identity, "commit-tree", tree, "-m", "not what was pinned")
    live.git("tag", "--force", "v1.0.0", other)
    try:
        live.airflow.trigger(PIPELINE, "moved", {"partition": DAY.isoformat()})
        assert live.ended(PIPELINE, "moved", 120)["state"] == "failed"
        task = live.airflow.tasks(PIPELINE, "moved")["resolve_run"]
        assert (task["state"], task["try_number"]) == ("failed", 1)
        log = live.airflow.log(PIPELINE, "moved", "resolve_run", 1)
        assert pinned in log
        assert other in log

        def naming_both() -> list[str]:
            said = [json.dumps(message["blocks"]) for message in incidents(live, PIPELINE, "release_refused")]
            return [text for text in said if pinned in text and other in text]

        [message] = wait_until(naming_both, 60, "no message in Slack")
        assert "RELEASE" in message
    finally:
        live.git("tag", "--force", "v1.0.0", pinned)
