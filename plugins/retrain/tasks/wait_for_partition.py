"""The task `wait_for_partition`: waits until the raw data of the partition has landed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowSensorTimeout

from retrain.airflow import partition_trigger
from retrain.airflow.connections import Aws
from retrain.airflow.partition_trigger import PartitionTrigger
from retrain.deployment.sections import Raw
from retrain.errors import PartitionLateError, StoreError
from retrain.results import WAIT_FOR_PARTITION
from retrain.run.landed import LandingRule
from retrain.store import raw_landing, s3


class PartitionSensor(BaseSensorOperator):
    """Looks once whether the raw data of a day has landed, then waits for it in the triggerer.

    Args:
        raw: the raw data of the pipeline's file; it also has the pause between two looks and the longest wait.
        partition: the day, YYYY-MM-DD, or a template that gives it.
        aws_conn_id: Airflow's connection to S3.
    """

    template_fields = ("partition",)

    def __init__(self, *, raw: Raw, partition: str, aws_conn_id: str = "aws_default", **kwargs: Any) -> None:
        super().__init__(poke_interval=raw.poke_seconds, timeout=raw.give_up_after_hours * 3600, **kwargs)
        self.raw = raw
        self.partition = partition
        self.aws_conn_id = aws_conn_id

    @property
    def awaited(self) -> str:
        """What has to be in S3, in words."""
        return LandingRule.of(self.raw).awaited(self.raw.url, self.partition)

    def execute(self, context: Any) -> None:  # noqa: ARG002 - Airflow gives it
        """Return if the data is there, else wait in the triggerer.

        Raises:
            StoreError: S3 refused or did not answer.
        """
        self.log.info("Waiting for %s", self.awaited)
        client = Aws(self.aws_conn_id).client()
        if raw_landing.has_landed(client, self.raw.url, LandingRule.of(self.raw), self.partition):
            return
        trigger = PartitionTrigger(
            url=self.raw.url,
            day=self.partition,
            pattern=self.raw.partition,
            marker=self.raw.marker,
            quiet_minutes=self.raw.quiet_minutes,
            poke_seconds=self.raw.poke_seconds,
            aws_conn_id=self.aws_conn_id,
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))

    def execute_complete(self, context: Any, event: Mapping[str, str]) -> None:  # noqa: ARG002 - Airflow gives it
        """Return if the trigger has seen the data land.

        Raises:
            StoreError: S3 refused or did not answer.
        """
        if event[partition_trigger.STATUS] != partition_trigger.LANDED:
            raise _error(event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """As for every sensor.

        Raises:
            PartitionLateError: the data did not land in time.
        """
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout as error:
            raise PartitionLateError(
                f"The data of {self.partition} has not landed within {self.timeout / 3600:g} hours. Awaited: {self.awaited}. "
                f"Ask the data's owner; when it has landed, clear {WAIT_FOR_PARTITION}."
            ) from error


def _error(event: Mapping[str, str]) -> StoreError:
    action, place = event["action"], event["place"]
    service = "STS" if action.startswith("AssumeRole") else "S3"
    if event[partition_trigger.STATUS] == partition_trigger.REFUSED:
        return s3.refused(event["code"], action, place, service, WAIT_FOR_PARTITION)
    return s3.unanswered(event["reason"], action, place, service, WAIT_FOR_PARTITION)
