"""Waiting for a partition."""

from __future__ import annotations

from typing import Any

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.sdk.exceptions import AirflowSensorTimeout

from retrain.errors import Cause, FinalError


class PartitionLateError(FinalError, AirflowSensorTimeout):
    """The partition's marker did not come in time."""

    cause = Cause.DATA


class PartitionSensor(S3KeySensor):
    """An S3KeySensor that says what is late, and what to do, when its time is up."""

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout as error:
            raise PartitionLateError(
                f"{self.bucket_key} has not come within {self.timeout / 3600:g} hours. "
                "Ask the data's owner; when it has landed, clear wait_for_partition."
            ) from error
