"""The task `wait_for_partition`: waits until the partition's marker is in S3."""

from __future__ import annotations

import re
from typing import Any

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.sdk.exceptions import AirflowException, AirflowSensorTimeout

from retrain.errors import PartitionLateError, StoreError
from retrain.results import WAIT_FOR_PARTITION
from retrain.store import s3

# A trigger hands on exceptions of botocore as text only.
_S3_SPOKE = re.compile(r"An error occurred \((?P<code>\w+)\) when calling the (?P<action>\w+) operation")
_S3_SILENT = re.compile(
    r"endpoint URL|Connection was closed|timeout on endpoint|Connection refused|timed out", re.IGNORECASE
)


class PartitionSensor(S3KeySensor):
    """An S3KeySensor whose errors name the missing object or S3's answer, and the next step.

    Raises:
        PartitionLateError: the marker did not come in time.
        StoreError: S3 refused or did not answer.
    """

    def execute(self, context: Any) -> None:
        with s3.naming("HeadObject", str(self.bucket_key)):
            super().execute(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout as error:
            raise PartitionLateError(
                f"{self.bucket_key} has not come within {self.timeout / 3600:g} hours. "
                f"Ask the data's owner; when it has landed, clear {WAIT_FOR_PARTITION}."
            ) from error
        except AirflowException as error:
            spoke, silent = _S3_SPOKE.search(str(error)), _S3_SILENT.search(str(error))
            if not spoke and not silent:
                raise
            said = f"answered {spoke['code']} to {spoke['action']}" if spoke else f"did not answer ({error})"
            raise StoreError(
                f"S3 {said} on {self.bucket_key}. Once that is fixed, clear {WAIT_FOR_PARTITION}."
            ) from error
