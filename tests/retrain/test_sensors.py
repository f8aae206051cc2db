import pytest
from airflow.sdk.exceptions import AirflowSensorTimeout

from retrain.errors import Cause, FinalError
from retrain.sensors import PartitionLateError, PartitionSensor

KEY = "s3://raw-bucket/raw/yellow/dt=2020-03-05/_SUCCESS"


def sensor() -> PartitionSensor:
    return PartitionSensor(task_id="wait_for_partition", bucket_key=KEY, timeout=12 * 3600, deferrable=True)


def test_a_partition_that_does_not_come_in_time_is_late_by_name_and_says_what_to_clear() -> None:
    with pytest.raises(PartitionLateError) as late:
        sensor().resume_execution("__fail__", {"error": "Trigger timeout", "traceback": []}, {})
    for part in (KEY, "12 hours", "clear wait_for_partition"):
        assert part in str(late.value)


def test_being_late_is_the_datas_and_is_not_retried() -> None:
    assert PartitionLateError.cause is Cause.DATA
    assert issubclass(PartitionLateError, FinalError)
    assert issubclass(PartitionLateError, AirflowSensorTimeout)


def test_another_failure_of_the_trigger_is_not_called_late() -> None:
    with pytest.raises(Exception, match="S3 is down") as failure:
        sensor().resume_execution("execute_complete", {"event": {"status": "error", "message": "S3 is down"}}, {})
    assert not isinstance(failure.value, PartitionLateError)
