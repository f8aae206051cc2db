import pytest

from retrain.errors import Cause, FinalError, PartitionLateError, StoreError
from retrain.tasks.wait_for_partition import PartitionSensor

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


def test_another_failure_of_the_trigger_is_not_called_late() -> None:
    with pytest.raises(Exception, match="no such thing") as failure:
        sensor().resume_execution("execute_complete", {"event": {"status": "error", "message": "no such thing"}}, {})
    assert not isinstance(failure.value, PartitionLateError)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("An error occurred (403) when calling the HeadObject operation: Forbidden", id="refused"),
        pytest.param('Could not connect to the endpoint URL: "http://127.0.0.1:9/raw-bucket"', id="not there"),
        pytest.param('Read timeout on endpoint URL: "https://raw-bucket.s3.amazonaws.com"', id="hanging"),
    ],
)
def test_what_s3_did_to_the_trigger_is_the_stores_error(message: str) -> None:
    with pytest.raises(StoreError) as told:
        sensor().resume_execution("execute_complete", {"event": {"status": "error", "message": message}}, {})
    assert KEY in str(told.value)
    assert "clear wait_for_partition" in str(told.value)
