"""Days judged against a ledger on a real S3 server: kept once a run key, held against the days before."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest
from live_servers import ROOT

from retrain.airflow.connections import Aws
from retrain.commands.alerts_replay import read_ledger
from retrain.deployment.pipeline_file import load
from retrain.deployment.policies import Drift, Performance, Policies
from retrain.deployment.sections import Schedule
from retrain.errors import ReportError
from retrain.judge.day import Day
from retrain.judge.judged_days import JUDGED, judge_day, kept_days
from retrain.judge.policies import walk
from retrain.judge.verdict import State
from retrain.run.run_spec import RunSpec
from retrain.store.ledger import Ledger

POLICIES = Policies(
    drift=Drift(report="drift.json"), performance=Performance(metrics="metrics.json", model="model", metric="mae")
)
FIRST = date(2020, 3, 2)
SPEC = RunSpec("taxi", FIRST.isoformat(), "v1.0.0", "c" * 40, "d" * 64)


@pytest.fixture
def s3(either_s3):
    """The fixtures of this file speak to both servers."""
    return either_s3


@pytest.fixture
def ledger(s3, bucket):
    return Ledger(s3, f"s3://{bucket()}/ledger")


def spec(number, release="v1.0.0"):
    return replace(SPEC, partition=(FIRST + timedelta(days=number)).isoformat(), release=release)


@pytest.fixture
def judge(ledger, tmp_path):
    """Judge the day so many days after the first, of which the pipeline has written this."""

    def judged(number, psi=0.3, release="v1.0.0", mae=4.0, policies=POLICIES):
        run = spec(number, release)
        features = [{"name": name, "kind": "target", "value": psi, "limit": 0.2} for name in ("speed", "duration")]
        report = {"schema_version": 1, "partition": run.partition, "features": features}
        report["rows"] = {"current": 330, "reference": 1320}
        (tmp_path / "drift.json").write_text(json.dumps(report))
        (tmp_path / "metrics.json").write_text(json.dumps({"model": {"mae": mae}}))
        return judge_day(policies, ledger, run, tmp_path)

    return judged


def test_the_third_day_of_drift_opens_an_incident_by_the_days_that_the_ledger_keeps(judge):
    opened = [judge(number).drift.opened for number in range(4)]
    assert opened == [False, False, True, False]


def test_judging_a_day_again_changes_nothing(judge, ledger):
    first, again = ([judge(number) for number in range(3)] for _ in range(2))
    assert [(each.days, each.drifts, each.errors) for each in again] == [
        (each.days, each.drifts, each.errors) for each in first
    ]
    assert len(ledger.daily_events("taxi", JUDGED)) == 3


def test_a_day_whose_first_record_stands_is_judged_as_it_was_kept_though_its_files_are_gone(judge, ledger, tmp_path):
    first = judge(0)
    (tmp_path / "drift.json").unlink()
    again = judge_day(POLICIES, ledger, spec(0), tmp_path, first_stands=True)
    assert (again.days, again.drifts) == (first.days, first.drifts)
    with pytest.raises(ReportError, match=r"drift\.json"):
        judge_day(POLICIES, ledger, spec(1), tmp_path, first_stands=True)  # it was never judged


def test_an_older_day_is_judged_by_what_came_before_it(judge):
    for number in (0, 1, 3, 4):
        judge(number)
    assert judge(2).drift.opened


def test_of_two_runs_of_a_day_the_one_written_last_counts(judge, ledger):
    for number, psi in enumerate((0.05, 0.3)):
        judge(number, psi)
    judge(0, release="v1.1.0")
    assert [day.features[0].value for day in kept_days(ledger, "taxi")] == [0.3, 0.3]
    assert judge(2).drift.opened


def test_the_kept_days_walk_as_they_were_judged(judge, ledger):
    judged = [judge(number, mae=12.0 if number == 20 else 4.0 + number % 3) for number in range(22)]
    drifts, errors = walk(kept_days(ledger, "taxi"), POLICIES)
    assert drifts == [each.drift for each in judged]
    assert errors == [each.performance for each in judged]
    assert errors[20].state is State.ALERT


def test_a_weekly_pipeline_is_judged_by_as_many_runs_as_a_daily_one(judge):
    """The nineteenth Monday is 126 days after the first, which a daily pipeline reads no more."""
    mondays = Schedule(cron="0 6 * * 1", start_date=FIRST)
    error = Performance(metrics="metrics.json", model="model", metric="mae", min_history=18)
    weekly = Policies(schedule=mondays, drift=POLICIES.drift, performance=error)
    judged = [judge(7 * week, mae=4.0 + week % 3, policies=weekly) for week in range(19)]
    assert [each.performance.limit is not None for each in judged] == [False] * 18 + [True]


def test_the_release_of_each_day_is_told_and_whether_a_newer_day_has_been_judged(judge):
    judge(0)
    judge(2, release="v1.1.0")
    found = judge(1)
    assert found.releases == {"2020-03-02": "v1.0.0", "2020-03-03": "v1.0.0"}
    assert not found.newest
    assert judge(3).newest


def test_later_days_cost_an_older_one_no_requests(judge, s3):
    requests = []

    def note(request, **_):
        requests.append(request.method)

    def asked(number):
        requests.clear()
        s3.meta.events.register("before-send.s3", note)
        judge(number)
        s3.meta.events.unregister("before-send.s3", note)
        return Counter(requests)

    judge(0)
    alone = asked(1)
    for number in range(2, 12):
        judge(number)
    # Judged again, so that what it reads of earlier days is the same.
    assert asked(1) == alone


def test_only_the_days_asked_for_are_read(judge, ledger):
    for number in range(5):
        judge(number)
    found = ledger.daily_events("taxi", JUDGED, "2020-03-03", "2020-03-05")
    assert list(found) == ["2020-03-03", "2020-03-04", "2020-03-05"]
    assert found["2020-03-03"]["release"] == "v1.0.0"


def test_a_pipeline_without_the_sections_is_judged_on_nothing(ledger, tmp_path):
    judged = judge_day(Policies(), ledger, SPEC, tmp_path)
    assert ([day.features for day in judged.days], judged.drift, judged.performance) == ([()], None, None)


def test_a_report_that_is_not_there_is_named(ledger, tmp_path):
    with pytest.raises(ReportError, match=r"drift\.json cannot be read"):
        judge_day(POLICIES, ledger, SPEC, tmp_path)


@pytest.mark.usefixtures("s3_server")
def test_a_replay_reads_the_days_that_a_deployment_has_judged():
    file = ROOT / "dags" / "pipelines" / "trip_duration.yaml"
    deployment = load(file)
    ledger = Ledger(Aws(deployment.aws_conn_id).client(), deployment.ledger)
    for number in (1, 0):
        day = Day(spec(number).partition, 330, 1320, {}, ())
        body = {"day": day.to_dict(), "release": "v1.0.0", "run_key": SPEC.run_key}
        ledger.event(deployment.pipeline, JUDGED, f"{day.partition}-{SPEC.run_key}", body)
    assert [day.partition for day in read_ledger(file)] == ["2020-03-02", "2020-03-03"]
