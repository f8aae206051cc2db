"""What Airflow calls when a task has failed for good."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from retrain import alerts, slack
from retrain.connections import slack_access
from retrain.deployment import Deployment
from retrain.errors import Cause, RetrainError, SlackError

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class FailureNotice:
    """A task's `on_failure_callback`: one Slack message. A Slack that does not answer is logged, the failure stands."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment

    def __call__(self, context: Context) -> None:
        from retrain.partition import of_context

        error, ti = context.get("exception"), context["ti"]
        cause = error.cause if isinstance(error, RetrainError) else Cause.UNKNOWN
        evidence = " ".join(str(error).split()) if error else "no error was reported"
        message = alerts.task_failed(
            self.deployment.pipeline,
            of_context(context),
            ti.task_id,
            ti.try_number,
            cause,
            evidence,
            [alerts.Link("Task log", str(ti.log_url))],
        )
        try:
            slack.post(slack_access(self.deployment.slack_conn_id), self.deployment.slack.channel, message)
        except SlackError:
            log.exception("The failure of %s was not told: %s", ti.task_id, message.text)
