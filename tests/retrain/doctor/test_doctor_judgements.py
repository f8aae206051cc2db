"""What the answers of servers mean: settings of buckets, clocks, addresses, parts of Airflow, slots, the webhook."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retrain.deployment.sections import Raw
from retrain.doctor import addresses, airflow_health, buckets, clock, queues, raw_data, roles, webhook
from retrain.doctor.buckets import Place
from retrain.doctor.finding import Found
from retrain.doctor.surroundings import Surroundings
from retrain.store.bucket_settings import BucketNotification, Expiration

RAW = Place("raw", "s3://raw-bucket/raw/yellow")
STORE = Place("store", "s3://store-bucket/dvc")
NOW = datetime(2020, 3, 18, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("place", "status", "found"),
    [(RAW, "Enabled", Found.OK), (RAW, "Suspended", Found.WRONG), (RAW, "", Found.WRONG), (STORE, "", Found.OK)],
)
def test_raw_data_must_keep_its_versions_and_the_store_need_not(place: Place, status: str, found: Found) -> None:
    assert buckets.versions(place, status).found is found


@pytest.mark.parametrize(
    ("prefix", "found"), [("", Found.WRONG), ("dvc/", Found.WRONG), ("dvc/files/md5/", Found.WRONG), ("tmp/", Found.OK)]
)
def test_a_rule_that_expires_objects_of_the_folder_is_wrong(prefix: str, found: Found) -> None:
    assert buckets.lifecycle(STORE, [Expiration("old", prefix)]).found is found


def test_a_bucket_of_aws_is_private_encrypted_by_s3_itself_and_the_ledger_locked() -> None:
    ledger = Place("ledger", "s3://ledger-bucket/ledger")
    assert buckets.access(ledger, True).found is buckets.locked(ledger, "GOVERNANCE").found is Found.OK
    assert buckets.access(ledger, False).found is buckets.locked(ledger, "").found is Found.WRONG
    assert buckets.encrypted(ledger, "AES256").found is Found.OK
    assert buckets.encrypted(ledger, "aws:kms").found is Found.WARNING


@pytest.mark.parametrize(
    ("seconds", "found"), [(0, Found.OK), (-90, Found.WARNING), (900, Found.WRONG), (-4000, Found.WRONG)]
)
def test_a_clock_that_aws_would_refuse_is_wrong(seconds: int, found: Found) -> None:
    assert clock.difference("clock", NOW - timedelta(seconds=seconds), NOW).found is found


@pytest.mark.parametrize(
    ("airflow", "slack", "found"),
    [
        ("http://127.0.0.1:8080", "", Found.WARNING),
        ("http://127.0.0.1:8080", "http://slack:8090/api/", Found.OK),
        ("https://airflow.example.com", "", Found.OK),
    ],
)
def test_links_to_the_loopback_are_a_warning_where_slack_is_the_real_one(
    airflow: str, slack: str, found: Found
) -> None:
    names = dict.fromkeys(("RETRAIN_MLFLOW_URL", "RETRAIN_RUNBOOKS_URL"), "https://pages.example.com")
    here = Surroundings(
        {**names, "RETRAIN_AIRFLOW_URL": airflow, "RETRAIN_SLACK_API_URL": slack}, Path("nowhere"), airflow
    )
    assert [each.found for each in addresses.check(here)] == [found]


def test_a_part_of_airflow_that_is_not_healthy_is_named() -> None:
    healthy = {name: {"status": "healthy"} for name in ("metadatabase", "scheduler", "triggerer", "dag_processor")}
    assert airflow_health.parts(healthy).found is Found.OK
    ill = airflow_health.parts({**healthy, "scheduler": {"status": "unhealthy"}, "triggerer": {"status": None}})
    assert ill.found is Found.WRONG
    assert ill.seen == "scheduler is unhealthy; triggerer is missing"


def test_a_dag_file_that_cannot_be_imported_is_wrong() -> None:
    assert airflow_health.imports({}).found is Found.OK
    assert "SyntaxError" in airflow_health.imports({"retrain_pipelines.py": "SyntaxError: invalid"}).seen


@pytest.mark.parametrize(
    ("parallelism", "workers", "found"),
    [
        (4, {"a": 2, "b": 2}, Found.OK),
        (16, {"a": 2, "b": 2}, Found.WARNING),
        (2, {"a": 2, "b": 2}, Found.WARNING),
        (4, {}, Found.WRONG),
    ],
)
def test_parallelism_is_the_workers_slots(parallelism: int, workers: dict[str, int], found: Found) -> None:
    assert airflow_health.fit(parallelism, workers).found is found


@pytest.mark.parametrize(("secret", "variables"), [("jwt_secret", {"RETRAIN_WORKERS": "2"}), ("broker_url", {})])
def test_a_container_without_broker_or_number_of_workers_names_the_one_that_has_both(
    tmp_path: Path, secret: str, variables: dict[str, str]
) -> None:
    (tmp_path / secret).write_text("x" * 32)
    (found,) = airflow_health.check_slots(Surroundings(variables, tmp_path, "http://127.0.0.1:1"))
    assert (found.found, found.fix) == (Found.UNKNOWN, "Run it in airflow-scheduler.")


@pytest.mark.parametrize(
    ("status", "text", "found"),
    [
        (400, "no_text", Found.OK),
        (400, "invalid_payload\n", Found.OK),
        (404, "no_service", Found.WRONG),
        (403, "invalid_token", Found.WRONG),
        (200, "ok", Found.WRONG),
        (0, "timed out", Found.WRONG),
    ],
)
def test_a_webhook_is_known_if_slack_refuses_only_the_missing_text(status: int, text: str, found: Found) -> None:
    assert webhook.judge(status, text).found is found


def raw(**changed: object) -> Raw:
    return Raw.model_validate({"url": "s3://raw-bucket/raw/yellow", "window_days": 3, **changed})


def test_a_notification_counts_if_a_marker_of_the_folder_causes_it() -> None:
    ours = BucketNotification("arn:aws:sns:r:1:landed", "raw/yellow/", "_SUCCESS")
    others = BucketNotification("arn:aws:sns:r:1:other", "raw/green/", "_SUCCESS")
    assert queues.matching([ours, others], raw()) == [ours]
    assert queues.matching([ours], raw(marker="_DONE")) == []


def test_a_notification_counts_by_the_place_of_the_marker_and_without_one_by_that_of_the_data() -> None:
    done = BucketNotification("arn:aws:sns:r:1:done", "raw/yellow/done/", ".ok")
    data = BucketNotification("arn:aws:sns:r:1:data", "raw/yellow/dt=", ".parquet")
    assert queues.matching([done, data], raw(marker="/done/{partition}.ok")) == [done]
    assert queues.matching([done, data], raw(marker=None, quiet_minutes=5)) == [data]
    assert queues.matching([done, data], raw(marker="/_SUCCESS")) == [data]  # it does not name a day


@pytest.mark.parametrize(
    ("keys", "changed", "found", "said"),
    [
        pytest.param([], {}, Found.UNKNOWN, "no object yet", id="nothing landed"),
        pytest.param(["2020/03/05/a.csv"], {}, Found.WRONG, "for example 2020/03/05/a.csv", id="another layout"),
        pytest.param(
            [f"archive/{n:04}.csv" for n in range(1000)],
            {},
            Found.WARNING,
            "the first 1000 objects fits",
            id="the data may lie behind a page of others",
        ),
        pytest.param(
            ["2020/03/05/a.csv"], {"partition": "{year}/{month}/{day}"}, Found.OK, "2020-03-05", id="its layout"
        ),
        pytest.param(
            [f"dt=2020-03-0{n}/a" for n in (1, 2)], {}, Found.OK, "2020-03-01", id="the first days are landing"
        ),
        pytest.param([f"dt=2020-03-0{n}/a" for n in (1, 2, 3)], {}, Found.WARNING, "3 days", id="no day has a marker"),
        pytest.param(
            [f"dt=2020-03-0{n}/a" for n in (1, 2, 3)],
            {"marker": "/_SUCCESS"},
            Found.OK,
            "2020-03-01",
            id="it is elsewhere",
        ),
        pytest.param(
            ["dt=2020-03-01/_SUCCESS", *(f"dt=2020-03-0{n}/a" for n in (1, 2, 3))],
            {},
            Found.OK,
            "2020-03-01",
            id="one has it",
        ),
    ],
)
def test_raw_data_that_does_not_fit_the_file_is_named(
    keys: list[str], changed: dict[str, object], found: Found, said: str
) -> None:
    judged = raw_data.judged("raw data of trips", raw(**changed), keys)
    assert judged.found is found
    assert said in judged.seen


def test_a_file_of_profiles_that_is_none_is_wrong_and_none_of_its_lines_is_quoted(tmp_path: Path) -> None:
    file = tmp_path / "aws_credentials"
    file.write_text("aws_access_key_id: AKIA\n")
    (found,) = roles.check(Surroundings({"AWS_SHARED_CREDENTIALS_FILE": str(file)}, tmp_path, "http://127.0.0.1:1"))
    assert (found.found, found.seen) == (Found.WRONG, "aws_credentials is not a file of AWS profiles")
