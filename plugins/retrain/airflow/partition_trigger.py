"""The trigger that waits for a day's raw data in Airflow's triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.triggers.base import BaseTrigger, TriggerEvent
from botocore.exceptions import BotoCoreError, ClientError

from retrain.run.landed import LandingRule
from retrain.run.raw_layout import RawLayout
from retrain.store import raw_landing

# Keys and values of the trigger's event. Only plain data gets from the triggerer to the worker.
STATUS, LANDED, REFUSED, UNANSWERED = "status", "landed", "refused", "unanswered"


class PartitionTrigger(BaseTrigger):
    """Asks S3 every `poke_seconds` until the raw data of a day has landed, or S3 refuses or does not answer.

    Its event has the status; for a refusal also its `code`, for a request without an answer the `reason`; for both the `action`
    and the `place` that was asked for.

    Args:
        url: `raw.url`.
        day: the partition, YYYY-MM-DD.
        pattern: `raw.partition`.
        marker: `raw.marker`.
        quiet_minutes: `raw.quiet_minutes`.
        poke_seconds: the pause between two requests.
        aws_conn_id: Airflow's connection.
    """

    def __init__(
        self,
        *,
        url: str,
        day: str,
        pattern: str,
        marker: str | None,
        quiet_minutes: float | None,
        poke_seconds: float,
        aws_conn_id: str,
    ) -> None:
        super().__init__()
        self.url = url
        self.day = day
        self.pattern = pattern
        self.marker = marker
        self.quiet_minutes = quiet_minutes
        self.poke_seconds = poke_seconds
        self.aws_conn_id = aws_conn_id
        self._asked = url

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer makes the trigger from, also after its own restart."""
        names = ("url", "day", "pattern", "marker", "quiet_minutes", "poke_seconds", "aws_conn_id")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    @property
    def rule(self) -> LandingRule:
        """How the day is seen to have landed."""
        quiet = None if self.quiet_minutes is None else timedelta(minutes=self.quiet_minutes)
        return LandingRule(RawLayout(self.pattern, self.marker), quiet)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event."""
        try:
            async with await S3Hook(aws_conn_id=self.aws_conn_id).get_async_conn() as client:
                while True:
                    if await self._has_landed(client):
                        break
                    await asyncio.sleep(self.poke_seconds)
            event = {STATUS: LANDED}
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "?")
            event = {STATUS: REFUSED, "code": code, "action": error.operation_name, "place": self._asked}
        except BotoCoreError as error:
            event = {STATUS: UNANSWERED, "reason": str(error), "action": raw_landing.ACTION, "place": self._asked}
        yield TriggerEvent(event)

    async def _has_landed(self, client: Any) -> bool:
        requests = raw_landing.look(self.url, self.rule, self.day)
        try:
            request = next(requests)
            while True:
                self._asked = raw_landing.place_of(request)
                request = requests.send(await client.list_objects_v2(**request))
        except StopIteration as end:
            return bool(end.value)
