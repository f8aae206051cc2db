"""How the sensor ends, by what its trigger reports."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import TaskDeferralError

from retrain.deployment.sections import Raw
from retrain.errors import Cause, FinalError, PartitionLateError, StoreError, StoreForbiddenError, StoreUnreachableError
from retrain.tasks.wait_for_partition import PartitionSensor

FOLDER = "s3://raw-bucket/raw/yellow"
KEY = f"{FOLDER}/dt=2020-03-05/_SUCCESS"
REFUSED = {"status": "refused", "action": "ListObjectsV2", "place": KEY}
UNANSWERED = {"status": "unanswered", "action": "ListObjectsV2", "place": KEY}


def sensor(**raw: object) -> PartitionSensor:
    document = {"url": FOLDER, "window_days": 3, "give_up_after_hours": 12, "poke_seconds": 7, **raw}
    return PartitionSensor(task_id="wait_for_partition", raw=Raw.model_validate(document), partition="2020-03-05")


@pytest.mark.parametrize(
    ("raw", "awaited"),
    [
        ({}, KEY),
        ({"marker": "/_SUCCESS"}, f"objects of {FOLDER}/dt=2020-03-05, and then {FOLDER}/_SUCCESS"),
        ({"marker": None, "quiet_minutes": 20}, f"objects of {FOLDER}/dt=2020-03-05, and then none for 20 minutes"),
    ],
)
def test_a_partition_that_does_not_come_in_time_is_late_by_name_and_says_what_to_clear(
    raw: dict[str, object], awaited: str
) -> None:
    with pytest.raises(PartitionLateError) as late:
        sensor(**raw).resume_execution("__fail__", {"error": "Trigger timeout", "traceback": []}, {})
    for part in ("2020-03-05", awaited, "12 hours", "clear wait_for_partition"):
        assert part in str(late.value)


def test_being_late_is_the_datas_and_is_not_retried() -> None:
    assert PartitionLateError.cause is Cause.DATA
    assert issubclass(PartitionLateError, FinalError)


def test_the_data_that_the_trigger_saw_lets_the_run_go_on() -> None:
    assert sensor().resume_execution("execute_complete", {"event": {"status": "landed"}}, {}) is None


def test_a_failure_of_the_trigger_itself_is_not_called_late_nor_the_stores() -> None:
    with pytest.raises(TaskDeferralError, match="no such thing"):
        sensor().resume_execution("__fail__", {"error": "no such thing", "traceback": []}, {})


@pytest.mark.parametrize(
    ("event", "kind", "said"),
    [
        pytest.param(
            {**REFUSED, "code": "AccessDenied"},
            StoreForbiddenError,
            "AccessDenied to ListObjectsV2 on .* Give the role s3:ListBucket, then clear wait_for_partition",
            id="no permission",
        ),
        pytest.param({**REFUSED, "code": "NoSuchBucket"}, StoreError, "Create the bucket", id="no bucket"),
        pytest.param(
            {**REFUSED, "code": "SlowDown"}, StoreError, "Clear wait_for_partition when it answers", id="busy"
        ),
        pytest.param(
            {**REFUSED, "action": "AssumeRole", "code": "AccessDenied"},
            StoreForbiddenError,
            "^STS answered",
            id="no role",
        ),
        pytest.param(
            {**UNANSWERED, "reason": "Read timeout"},
            StoreUnreachableError,
            r"did not answer ListObjectsV2 on .* \(Read timeout\)\. Clear wait_for_partition",
            id="hanging",
        ),
    ],
)
def test_what_s3_did_to_the_trigger_is_the_stores_error(
    event: dict[str, str], kind: type[StoreError], said: str
) -> None:
    with pytest.raises(kind, match=said) as told:
        sensor().resume_execution("execute_complete", {"event": event}, {})
    assert KEY in str(told.value)
    assert not isinstance(told.value, FinalError)  # the task's retries may find S3 well again


def test_the_wait_and_the_pauses_are_the_files() -> None:
    made = sensor()
    assert (made.timeout, made.poke_interval) == (12 * 3600, 7)
