"""MLflow seen through our module: one run and one model version a run key, whatever is retried or runs beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from live_servers import ROOT, free_ports, together

from retrain.airflow.connections import connect_mlflow
from retrain.errors import TrackingError
from retrain.tracking.server import MlflowServer

METRICS = {"model.mae": 4.125, "rows": 312.0}
PARAMS = {"train.iterations": 120, "features.zones": ["a", "b"]}
# 130 of each: more than one batch of the client.
MANY = {f"m{number}": float(number) for number in range(130)}
DIGEST = "0123456789abcdef" * 4
BOUND_SECONDS = 60


@pytest.fixture
def tracking(mlflow_server, tmp_path):  # noqa: ARG001 - it has to be up
    return MlflowServer(connect_mlflow("mlflow_default"), tmp_path / "lock")


@pytest.fixture
def client(tracking):
    return tracking._client()


@pytest.fixture
def name(request):
    """An experiment, and a model, of the test's own."""
    return request.node.name


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "weights").write_bytes(bytes(range(256)) * 300)
    return folder


@pytest.fixture
def record(tracking, name, model, tmp_path):
    """Records a run of a key; every field can be another."""
    report = tmp_path / "metrics.json"
    report.write_text(json.dumps(METRICS))

    def call(key="key", partition="2020-03-05", **other):
        fields = {
            "experiment": name,
            "name": f"{partition} v1.0.0",
            "tags": {"run_key": key, "partition": partition, "release": "v1.0.0", "commit": "c" * 40},
            "params": PARAMS,
            "metrics": METRICS,
            "dataset": ("taxi/dt=2020-03-05", DIGEST, "s3://raw/yellow"),
            "artifacts": lambda: iter([(report, "reports"), (model, "copies")]),
            "model": (name, model),
        }
        return tracking.record(**{**fields, **other})

    return call


def runs(client, experiment):
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def test_a_run_holds_params_metrics_tags_artifacts_and_the_digest_of_its_data(record, client):
    recorded = record()
    run = client.get_run(recorded.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"train.iterations": "120", "features.zones": "['a', 'b']"}
    assert run.data.metrics == METRICS
    assert {"run_key": "key", "release": "v1.0.0", "commit": "c" * 40}.items() <= run.data.tags.items()
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("taxi/dt=2020-03-05", DIGEST[:36])
    assert json.loads(used.dataset.source) == {"uri": "s3://raw/yellow"}
    assert {f.path for f in client.list_artifacts(recorded.run_id)} == {"reports", "copies", "model"}


def test_a_run_that_reads_no_raw_data_has_no_dataset(record, client):
    run = client.get_run(record(dataset=None).run_id)
    assert run.info.status == "FINISHED"
    assert run.inputs.dataset_inputs == []


def test_recording_again_makes_no_second_run_and_no_second_version(record, client, name):
    assert record() == record()
    assert len(runs(client, name)) == 1
    assert len(client.search_model_versions(f"name = '{name}'")) == 1


def test_metrics_are_not_doubled_when_a_run_is_recorded_again(record, client):
    run_id = record().run_id
    client.update_run(run_id, status="RUNNING")
    record()
    assert [len(client.get_metric_history(run_id, metric)) for metric in METRICS] == [1, 1]


def test_a_run_that_was_left_half_way_is_resumed_and_finished(record, client, name):
    experiment = client.create_experiment(name)
    half = client.create_run(experiment, tags={"run_key": "key"})
    client.log_param(half.info.run_id, "train.iterations", 120)
    client.log_metric(half.info.run_id, "rows", 312.0)
    recorded = record()
    assert recorded.run_id == half.info.run_id
    run = client.get_run(recorded.run_id)
    assert (run.info.status, run.data.metrics, len(run.data.params)) == ("FINISHED", METRICS, 2)
    assert {f.path for f in client.list_artifacts(recorded.run_id)} == {"reports", "copies", "model"}
    assert len(client.get_metric_history(recorded.run_id, "rows")) == 1
    assert recorded.model_version == "1"


def test_a_run_that_has_everything_but_its_version_gets_it(record):
    first = record(model=None)
    assert first.model_version is None
    assert (record().run_id, record().model_version) == (first.run_id, "1")


def test_more_params_and_metrics_than_one_batch_all_arrive(record, client):
    run = client.get_run(record(params=MANY, metrics=MANY, model=None).run_id)
    assert (len(run.data.params), run.data.metrics) == (130, MANY)


CONCURRENT = """
import json, sys
from pathlib import Path
from retrain.tracking.server import MlflowServer
import mlflow
uri, name, folder = sys.argv[1:]
tracking = MlflowServer(uri, Path(folder) / "lock")
print("ready", flush=True)
sys.stdin.readline()
recorded = tracking.record(
    experiment=name, name="run", tags={"run_key": "key", "partition": "2020-03-05"}, params={"a": 1},
    metrics={"mae": 4.0}, dataset=("data", "d" * 64, "s3://raw"), artifacts=lambda: iter(()),
    model=(name, Path(folder) / "model"),
)
print(json.dumps([recorded.run_id, recorded.model_version]))
"""


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_with_one_run_key_make_one_run_and_one_version(client, tracking, name, model, processes):
    outcomes = together(processes, CONCURRENT, os.environ, tracking.uri, name, str(model.parent))
    assert len({tuple(outcome) for outcome in outcomes}) == 1
    (run,) = runs(client, name)
    (version,) = client.search_model_versions(f"name = '{name}'")
    assert outcomes[0] == [run.info.run_id, version.version]
    assert len(client.get_metric_history(run.info.run_id, "mae")) == 1
    assert len(run.inputs.dataset_inputs) == 1


def test_a_model_version_says_which_run_and_partition_it_is_of(record, client, name):
    recorded = record()
    version = client.get_model_version(name, recorded.model_version)
    assert (version.run_id, version.tags["run_key"], version.tags["partition"]) == (
        recorded.run_id,
        "key",
        "2020-03-05",
    )


def test_before_the_first_promotion_there_is_no_champion(record, tracking, name):
    assert tracking.champion(name) is None, "no such model yet"
    record()
    assert tracking.champion(name) is None, "a model, and no alias"


def test_the_champion_is_the_version_that_was_promoted_last(record, tracking, name):
    first, second = record("one", "2020-03-05"), record("two", "2020-03-06")
    for recorded in (first, second):
        tracking.promote(name, recorded.model_version)
        champion = tracking.champion(name)
        assert (champion["version"], champion["run_id"]) == (recorded.model_version, recorded.run_id)
    assert champion["partition"] == "2020-03-06"


def test_a_model_is_downloaded_with_the_bytes_it_was_recorded_with(record, tracking, model, tmp_path):
    (tmp_path / "champion").mkdir()
    downloaded = tracking.download_model(record().run_id, tmp_path / "champion")
    assert contents(downloaded) == contents(model)


def test_a_model_that_is_one_file_is_there_too(record, client, model):
    recorded = record(model=("of_one_file", model / "data" / "weights"))
    assert [f.path for f in client.list_artifacts(recorded.run_id, "model")] == ["model/weights"]


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_newest_partition_is_that_of_any_version_and_not_of_the_last_one(record, tracking, name):
    assert not tracking.newest_partition(name, since="2020-01-01", until="2020-06-01")
    for partition in ("2020-03-05", "2020-03-09", "2020-03-07"):
        record(partition, partition)
    assert tracking.newest_partition(name, since="2020-03-05", until="2020-06-01") == "2020-03-09"
    assert tracking.newest_partition(name, since="2019-12-31", until="2020-03-08") == "2020-03-07"
    assert not tracking.newest_partition(name, since="2020-03-10", until="2020-06-01")


def test_older_versions_cost_the_newest_partition_no_requests(record, tracking, name, monkeypatch):
    from requests import Session

    send, sent = Session.send, []

    def noting(self, request, **options):
        answer = send(self, request, **options)
        if "model-versions/search" in request.url:
            sent.append(len(answer.json().get("model_versions", [])))
        return answer

    record("a", "2020-03-05")
    monkeypatch.setattr(Session, "send", noting)
    tracking.newest_partition(name, since="2020-03-05", until="2020-03-06")
    assert sent == [1]
    for day in ("2018-11-30", "2019-11-30", "2019-12-31"):
        record(day, day)
    sent.clear()
    assert tracking.newest_partition(name, since="2020-03-05", until="2020-03-06") == "2020-03-05"
    assert sent == [1]


CALLS = [
    pytest.param(lambda t: t.champion("taxi"), "name the champion", id="champion"),
    pytest.param(lambda t: t.promote("taxi", "1"), "move the champion's alias", id="promote"),
]


@pytest.mark.parametrize(("call", "action"), CALLS)
def test_a_server_that_is_down_is_named_with_its_address_and_without_the_password(
    connection, monkeypatch, tmp_path, call, action
):
    # `connect_mlflow` puts them into this process's environment: taken out again after the test.
    for variable in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(variable, "")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    port = free_ports(1)[0]
    down = connection("down", conn_type="http", host="127.0.0.1", port=port, login="robot", password="hunter2-secret")
    uri = connect_mlflow(down)
    assert uri == f"http://127.0.0.1:{port}"
    with pytest.raises(TrackingError, match=f"MLflow at {uri} did not {action}") as caught:
        call(MlflowServer(uri, tmp_path / "lock"))
    assert "hunter2-secret" not in str(caught.value)


@pytest.mark.slow
def test_with_our_own_settings_a_server_that_is_down_is_given_up_in_bounded_time(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom retrain.tracking.server import MlflowServer\n"
        "MlflowServer(sys.argv[1], Path(sys.argv[2])).champion('taxi')"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_HTTP")}
    done = subprocess.run(
        [sys.executable, "-c", code, f"http://127.0.0.1:{free_ports(1)[0]}", str(tmp_path / "lock")],
        env={**environment, "PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND_SECONDS,
    )
    assert "TrackingError" in done.stderr
