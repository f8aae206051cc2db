"""What the watch sees for itself: the raw bucket and the ledger on a real S3 server, an Airflow that does not answer."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from live_servers import ROOT, connections, free_ports

from retrain.airflow.api import AirflowApi
from retrain.alerts.facts import LateFacts
from retrain.alerts.incident import Incident, apply
from retrain.alerts.kinds import Kind
from retrain.alerts.signal import Key, Signal, Step
from retrain.alerts.watch.observe.airflow_health import AIRFLOW, UNREACHABLE_FOR, UNWELL_FOR
from retrain.alerts.watch.observe.inquiry import observed
from retrain.alerts.watch.observe.observer import Observer
from retrain.deployment.pipeline_file import Deployment, load
from retrain.store import mutable_objects
from retrain.store import s3 as store

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

SINCE = datetime(2020, 3, 10, 20, 0, tzinfo=UTC)
MORNING, NOON, AFTERNOON = (datetime(2020, 3, 11, hour, tzinfo=UTC) for hour in (9, 12, 15))
DAY = "2020-03-10"


@pytest.fixture
def deployment(bucket: Callable[..., str]) -> Deployment:
    """Ours, with buckets of the test's own."""
    plain = load(Path(ROOT) / "dags" / "pipelines" / "trip_duration.yaml")
    raw = plain.raw.model_copy(update={"url": f"s3://{bucket(versioned=True)}/raw"})
    return plain.model_copy(update={"raw": raw, "ledger": f"s3://{bucket()}/ledger"})


@pytest.fixture
def observer(deployment: Deployment, s3: S3Client) -> Observer:
    return watching(deployment, s3)


def watching(deployment: Deployment, s3: S3Client) -> Observer:
    """With an Airflow whose port is closed."""
    (port,) = free_ports(1)
    return Observer([deployment], s3, AirflowApi(f"http://127.0.0.1:{port}"), SINCE)


def of(signals: list[Signal], kind: Kind) -> list[Signal]:
    return [signal for signal in signals if signal.kind is kind and signal.pipeline != AIRFLOW.pipeline]


def folded(signals: list[Signal], incidents: list[Incident]) -> list[Incident]:
    """The open incidents after these signals."""
    known = {incident.id: incident for incident in incidents}
    for signal in signals:
        for incident in apply([i for i in known.values() if i.open], signal):
            known[incident.id] = incident
    return [incident for incident in known.values() if incident.open]


def test_a_marker_is_late_from_its_time_on_and_not_any_more_once_it_is_there(
    observer: Observer, deployment: Deployment, s3: S3Client
) -> None:
    assert of(observer.observe(MORNING, []), Kind.DATA_LATE) == []
    [late] = of(observer.observe(NOON, []), Kind.DATA_LATE)
    assert (late.step, late.partition) == (Step.TROUBLE, DAY)
    assert late.facts["expected_at"] == "2020-03-11T10:00:00+00:00"
    assert f"dt={DAY}/_SUCCESS" in late.facts["marker"]
    incidents = folded([late], [])
    assert folded(of(observer.observe(NOON, incidents), Kind.DATA_LATE), incidents) == incidents  # told once

    store.create(s3, f"{deployment.raw.url}/dt={DAY}/_SUCCESS", b"")
    [landed] = of(observer.observe(AFTERNOON, incidents), Kind.DATA_LATE)
    assert landed.step is Step.GOOD
    assert folded([landed], incidents) == []
    assert of(observer.observe(NOON, []), Kind.DATA_LATE) == []


def test_a_day_that_is_landing_again_when_its_run_looks_is_late_until_it_has_landed_again(
    observer: Observer, deployment: Deployment, s3: S3Client
) -> None:
    folder, marker = f"{deployment.raw.url}/dt={DAY}", "_SUCCESS"
    store.create(s3, f"{folder}/{marker}", b"")
    assert of(observer.observe(NOON, []), Kind.DATA_LATE) == []
    mutable_objects.delete(s3, folder, [marker])
    key, facts = Key(deployment.pipeline, Kind.DATA_LATE, ""), LateFacts(dag_run="scheduled", next="Clear it.")
    failed = observed("failed", NOON, Step.TROUBLE, key, DAY, facts)
    incidents = folded([failed], [])
    assert of(observer.observe(AFTERNOON, incidents), Kind.DATA_LATE) == []  # no run goes on by itself
    store.create(s3, f"{folder}/{marker}", b"")
    [landed] = of(observer.observe(AFTERNOON, incidents), Kind.DATA_LATE)
    assert landed.step is Step.GOOD


@pytest.mark.parametrize(
    ("changed", "awaited"),
    [
        pytest.param({"marker": "/_SUCCESS"}, "/_SUCCESS, not older than they are", id="one marker of all days"),
        pytest.param({"marker": None, "quiet_minutes": 30}, "and then none for 30 minutes", id="no marker"),
    ],
)
def test_data_without_a_marker_of_its_day_is_late_by_what_is_awaited(
    deployment: Deployment, s3: S3Client, changed: dict[str, object], awaited: str
) -> None:
    raw = deployment.raw.model_copy(update=changed)
    observer = watching(deployment.model_copy(update={"raw": raw}), s3)
    store.create(s3, f"{raw.url}/dt={DAY}/_temporary/a", b"rows")
    [late] = of(observer.observe(NOON, []), Kind.DATA_LATE)
    assert awaited in late.facts["awaited"]
    assert "marker" not in late.facts
    incidents = folded([late], [])
    store.create(s3, f"{raw.url}/dt={DAY}/a", b"rows")
    store.create(s3, f"{raw.url}/_SUCCESS", b"")
    # The object is new by S3's clock: only a marker says at once that no more will come.
    landed = of(observer.observe(AFTERNOON, incidents), Kind.DATA_LATE)
    assert [signal.step for signal in landed] == [Step.TROUBLE if raw.marker is None else Step.GOOD]


def test_a_pipeline_without_raw_data_is_never_late_and_s3_is_not_asked_for_it(
    deployment: Deployment, s3: S3Client
) -> None:
    expected = deployment.expected.model_copy(update={"landed": None})
    observer = watching(deployment.model_copy(update={"raw": None, "expected": expected}), s3)
    asked: list[str] = []
    s3.meta.events.register("before-call.s3", lambda params, **_: asked.append(params["url_path"]), unique_id="asked")
    try:
        assert of(observer.observe(NOON, []), Kind.DATA_LATE) == []
    finally:
        s3.meta.events.unregister("before-call.s3", unique_id="asked")
    assert not [path for path in asked if deployment.raw.url.removeprefix("s3://").partition("/")[0] in path]


def test_a_day_without_a_record_is_reported_after_its_deadline_unless_something_explains_it(
    observer: Observer, deployment: Deployment, s3: S3Client
) -> None:
    looked = observer.observe(AFTERNOON, [])
    late, silent = of(looked, Kind.DATA_LATE), of(looked, Kind.PIPELINE_SILENT)
    assert silent[0].partition == DAY
    assert of(observer.observe(AFTERNOON, folded(late, [])), Kind.PIPELINE_SILENT) == []

    incidents = folded(silent, [])
    store.create(s3, f"{deployment.ledger}/{deployment.pipeline}/dt={DAY}/abc/run.json", b"{}")
    [recorded] = of(observer.observe(AFTERNOON + timedelta(hours=1), incidents), Kind.PIPELINE_SILENT)
    assert recorded.step is Step.GOOD
    assert folded([recorded], incidents) == []


def test_a_day_that_an_ended_incident_left_without_a_run_is_not_reported_a_second_time(
    observer: Observer, deployment: Deployment
) -> None:
    def ends(step: Step, partition: str, at: datetime, kind: Kind | None = None) -> Signal:
        moment, name = at.isoformat(), f"{partition}/{step}"
        return Signal(name, moment, step, deployment.pipeline, kind, "reproduce", partition=partition, task="reproduce")

    [failed] = apply([], ends(Step.TROUBLE, DAY, MORNING, Kind.TASK_FAILED))
    assert failed.missing == [DAY]
    [ended] = apply([failed], ends(Step.GOOD, "2020-03-11", MORNING + timedelta(days=1)))
    assert (ended.open, ended.missing) == (False, [DAY])
    assert of(observer.observe(AFTERNOON, [ended]), Kind.PIPELINE_SILENT) == []


def test_a_day_that_comes_after_its_incident_has_ended_is_made_up_for(
    observer: Observer, deployment: Deployment, s3: S3Client
) -> None:
    late, silent = (of(observer.observe(AFTERNOON, []), kind)[0] for kind in (Kind.DATA_LATE, Kind.PIPELINE_SILENT))
    next_day = {"step": Step.GOOD, "partition": "2020-03-11", "at": (AFTERNOON + timedelta(days=1)).isoformat()}
    ended = [
        after
        for trouble in (late, silent)
        for before in apply([], trouble)
        for after in apply([before], replace(trouble, id=f"next {trouble.kind}", **next_day))
    ]
    assert [(i.open, i.missing) for i in ended] == [(False, [DAY])] * 2
    store.create(s3, f"{deployment.raw.url}/dt={DAY}/{deployment.raw.marker}", b"")
    store.create(s3, f"{deployment.ledger}/{deployment.pipeline}/dt={DAY}/abc/run.json", b"{}")
    looked = [signal for signal in observer.observe(AFTERNOON + timedelta(days=2), ended) if signal.step is Step.GOOD]
    assert {signal.kind for signal in looked} == {Kind.DATA_LATE, Kind.PIPELINE_SILENT}
    after = {known.id: known for signal in looked for known in apply(ended, signal)}
    assert [i.missing for i in after.values()] == [[], []]


def test_an_airflow_that_does_not_answer_for_a_while_is_reported_and_the_other_servers_are_asked(
    observer: Observer,
) -> None:
    assert [s for s in observer.observe(MORNING, []) if s.key == AIRFLOW] == []
    assert [s for s in observer.observe(MORNING + UNWELL_FOR, []) if s.key == AIRFLOW] == []  # it may be starting
    [unwell] = [s for s in observer.observe(MORNING + UNREACHABLE_FOR, []) if s.key == AIRFLOW]
    assert "api-server" in unwell.facts["what"]
    assert timedelta(minutes=2) > UNREACHABLE_FOR
    assert "did not answer" in observer.airflow_problem
    assert observer.problems == {}  # that is no pipeline's
    incidents = folded([unwell], [])
    looked = observer.observe(AFTERNOON, incidents)
    assert of(looked, Kind.DATA_LATE)
    assert of(looked, Kind.PIPELINE_SILENT) == []  # explained by the dead Airflow


def test_an_airflow_that_hangs_is_asked_once_in_each_look_and_so_reported_in_time(
    observer: Observer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrain.airflow.api._HEALTH_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # it takes connections, and never a word
        observer.airflow = AirflowApi(f"http://127.0.0.1:{deaf.getsockname()[1]}")
        looked = observer.observe(AFTERNOON, [])
        assert len(connections(deaf)) == 1
    assert of(looked, Kind.DATA_LATE)
    (silent,) = of(looked, Kind.PIPELINE_SILENT)
    assert "did not answer" in silent.facts["health"]["Airflow"]


def test_a_ledger_that_cannot_be_read_is_a_problem_of_the_look_and_no_silence(
    observer: Observer, deployment: Deployment
) -> None:
    observer.deployments = [deployment.model_copy(update={"ledger": "s3://nobodys-bucket/ledger"})]
    assert of(observer.observe(AFTERNOON, []), Kind.PIPELINE_SILENT) == []
    assert "NoSuchBucket" in observer.problems[deployment.pipeline]
