"""One day through the real scheduler, and what people do to it."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import boto3
import pytest
import requests
import trips
from airflow_client import AirflowError
from conftest import DAY, PIPELINE, ROOT, Live, wait_until

RUN = "first"


def object_at(url: str) -> bytes:
    parts = urlsplit(url)
    body: bytes = boto3.client("s3").get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))["Body"].read()
    return body


def mlflow(live: Live, path: str, body: dict[str, object]) -> dict[str, object]:
    answer = requests.post(f"{live.stack.mlflow_url}/api/2.0/mlflow/{path}", json=body, timeout=30)
    answer.raise_for_status()
    found: dict[str, object] = answer.json()
    return found


def runs_of(live: Live, run_key: str) -> list[object]:
    experiment = requests.get(
        f"{live.stack.mlflow_url}/api/2.0/mlflow/experiments/get-by-name",
        params={"experiment_name": PIPELINE},
        timeout=30,
    ).json()["experiment"]["experiment_id"]
    found = mlflow(live, "runs/search", {"experiment_ids": [experiment], "filter": f"tags.run_key = '{run_key}'"})
    return list(found.get("runs", []))  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def first(live: Live) -> dict[str, dict[str, object]]:
    """DAY's run, triggered before its data has landed; what each task left behind."""
    live.airflow.trigger(PIPELINE, RUN, {"partition": DAY.isoformat()})
    wait_until(
        lambda: live.airflow.tasks(PIPELINE, RUN)["wait_for_partition"]["state"] == "deferred",
        60,
        "the run does not wait for its data",
    )
    trips.land(DAY, DAY, state=ROOT / ".local")
    run = live.ended(PIPELINE, RUN)
    states = {name: task["state"] for name, task in live.airflow.tasks(PIPELINE, RUN).items()}
    assert run["state"] == "success", states
    tasks = ("resolve_run", "reproduce", "push", "record_run", "check_drift", "promote")
    return {task: live.airflow.left_behind(PIPELINE, RUN, task) or {} for task in tasks}


def test_a_day_runs_from_its_marker_to_a_recorded_model(live: Live, first: dict[str, dict[str, object]]) -> None:
    assert first["resolve_run"]["release"] == "v1.0.0"
    assert first["resolve_run"]["commit"] == live.git("rev-parse", "refs/heads/main")
    assert first["push"]["objects"] == len(json.loads(entry(live, first, "receipt.json"))["objects"])
    assert first["record_run"]["metrics"]["model.mae"] < first["record_run"]["metrics"]["pair_median.mae"]  # type: ignore[index]
    assert first["promote"]["promoted"] is True


def entry(live: Live, first: dict[str, dict[str, object]], name: str) -> bytes:
    key = first["resolve_run"]["run_key"]
    return object_at(f"s3://{live.variables['RETRAIN_LEDGER_BUCKET']}/ledger/{PIPELINE}/dt={DAY}/{key}/{name}")


def test_the_ledger_holds_the_days_lock_and_the_origin_was_not_written_to(
    live: Live, first: dict[str, dict[str, object]]
) -> None:
    assert b"stages:" in entry(live, first, "dvc.lock")
    assert json.loads(entry(live, first, "run.json"))["run_key"] == first["resolve_run"]["run_key"]
    assert live.git("for-each-ref", "--format=%(refname)").split() == ["refs/heads/main", "refs/tags/v1.0.0"]


def test_the_model_is_registered_once_with_release_commit_and_data(
    live: Live, first: dict[str, dict[str, object]]
) -> None:
    version = mlflow_get(
        live, "model-versions/get", {"name": PIPELINE, "version": str(first["record_run"]["model_version"])}
    )
    tags = {tag["key"]: tag["value"] for tag in version["model_version"]["tags"]}  # type: ignore[index]
    for name in ("release", "commit", "manifest_digest", "run_key", "partition"):
        assert tags[name] == first["resolve_run"][name]


def mlflow_get(live: Live, path: str, parameters: dict[str, str]) -> dict[str, object]:
    answer = requests.get(f"{live.stack.mlflow_url}/api/2.0/mlflow/{path}", params=parameters, timeout=30)
    answer.raise_for_status()
    found: dict[str, object] = answer.json()
    return found


def test_the_mlflow_run_holds_params_metrics_plots_reports_and_lock(
    live: Live, first: dict[str, dict[str, object]]
) -> None:
    (run,) = runs_of(live, str(first["resolve_run"]["run_key"]))
    data = run["data"]  # type: ignore[index]
    assert {p["key"] for p in data["params"]} >= {"train.iterations"} or {p["key"] for p in data["params"]}
    assert {m["key"] for m in data["metrics"]} >= {
        "model.mae",
        "model.r2",
        "pair_median.rmsle",
        "global_median.bias",
        "rows",
    }
    run_id = run["info"]["run_id"]  # type: ignore[index]
    files = set()
    for folder in ("run", "reports", "model"):
        listing = mlflow_get(live, "artifacts/list", {"run_id": run_id, "path": folder})
        files |= {f["path"] for f in listing.get("files", [])}  # type: ignore[attr-defined]
    assert files >= {
        "run/dvc.lock",
        "run/manifest.json",
        "run/receipt.json",
        "reports/drift.json",
        "reports/drift.png",
        "model/MLmodel",
    }


def test_clearing_record_run_brings_its_workspace_back_from_the_cache_and_records_nothing_twice(
    live: Live, first: dict[str, dict[str, object]]
) -> None:
    cleared = live.airflow.clear(PIPELINE, RUN, "record_run")
    assert "reproduce" in cleared
    assert live.ended(PIPELINE, RUN)["state"] == "success"
    again = {task: live.airflow.left_behind(PIPELINE, RUN, task) or {} for task in ("reproduce", "record_run")}
    assert again["reproduce"]["executed"] == []
    assert again["record_run"]["run_id"] == first["record_run"]["run_id"]
    assert again["record_run"]["model_version"] == first["record_run"]["model_version"]
    assert len(runs_of(live, str(first["resolve_run"]["run_key"]))) == 1


def test_no_workspace_is_left(live: Live, first: dict[str, dict[str, object]]) -> None:
    assert first
    folder = live.stack.state / "retrain" / "workspaces" / PIPELINE
    assert list(folder.iterdir()) == []


def test_a_moved_tag_is_refused_with_both_commits_and_slack_hears_why(
    live: Live, first: dict[str, dict[str, object]]
) -> None:
    pinned = str(first["resolve_run"]["commit"])
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
        told = wait_until(
            lambda: [m for m in live.messages() if "resolve_run failed" in m["text"]], 30, "Slack was not told"
        )
        assert "RELEASE" in json.dumps(told[0])
    finally:
        live.git("tag", "--force", "v1.0.0", pinned)


@pytest.mark.parametrize("conf", [{"partition": "2020-03-05; touch x"}, {"release": "main"}, {"release": "v1.0.0;x"}])
def test_a_parameter_that_is_no_date_or_release_never_becomes_a_run(live: Live, conf: dict[str, str]) -> None:
    with pytest.raises(AirflowError, match="does not match"):
        live.airflow.trigger(PIPELINE, "bad", conf)


def test_an_unknown_release_fails_at_once_and_names_the_tag(live: Live, first: dict[str, dict[str, object]]) -> None:
    assert first
    live.airflow.trigger(PIPELINE, "unknown", {"partition": DAY.isoformat(), "release": "v9.9.9"})
    assert live.ended(PIPELINE, "unknown", 120)["state"] == "failed"
    assert "UnknownTagError" in live.airflow.log(PIPELINE, "unknown", "resolve_run", 1)


def test_a_backfilled_day_runs_and_does_not_promote(live: Live, first: dict[str, dict[str, object]]) -> None:
    assert first
    live.airflow.backfill(PIPELINE, "2019-09-09", "2019-09-09", at_once=1, reprocess="none")
    run_id = wait_until(
        lambda: next((r["dag_run_id"] for r in live.airflow.runs(PIPELINE) if r["run_type"] == "backfill"), None),
        60,
        "no backfill run",
    )
    assert live.ended(PIPELINE, run_id)["state"] == "success"
    assert (live.airflow.left_behind(PIPELINE, run_id, "resolve_run") or {})["partition"] == "2019-09-09"
    promoted = live.airflow.left_behind(PIPELINE, run_id, "promote") or {}
    assert promoted == {"promoted": False, "version": promoted["version"], "reason": "Backfills never promote."}


def test_a_refused_partition_fails_as_data_without_a_retry_and_names_the_column(
    live: Live, first: dict[str, dict[str, object]]
) -> None:
    """The next day lands with a column missing."""
    import io

    import pandas as pd

    assert first
    day = "2019-09-11"
    rows = pd.read_parquet(trips.part_path(day, trips.raw_dir(ROOT / ".local"))).drop(columns="pickup_location_id")
    buffer = io.BytesIO()
    rows.to_parquet(buffer)
    s3 = boto3.client("s3")
    s3.put_object(
        Bucket=live.variables["RETRAIN_RAW_BUCKET"], Key=f"raw/yellow/dt={day}/part-0.parquet", Body=buffer.getvalue()
    )
    s3.put_object(Bucket=live.variables["RETRAIN_RAW_BUCKET"], Key=f"raw/yellow/dt={day}/_SUCCESS", Body=b"")
    live.airflow.trigger(PIPELINE, "refused", {"partition": day})
    assert live.ended(PIPELINE, "refused", 240)["state"] == "failed"
    task = live.airflow.tasks(PIPELINE, "refused")["reproduce"]
    assert (task["state"], task["try_number"]) == ("failed", 1)
    log = live.airflow.log(PIPELINE, "refused", "reproduce", 1)
    assert "DataRefusedError" in log
    assert "pickup_location_id" in log
    assert f"dt={day}" in log
