"""The failures of the alerts: with Slack and the second channel, in the watch itself, in the outbox."""

from __future__ import annotations

from retrain.errors import Cause, RetrainError


class SlackError(RetrainError, cause=Cause.INFRA):
    """Base of the failures with Slack, by what on-call has to do."""


class SlackTokenError(SlackError):
    """Slack refuses the token: it needs another one, or one with more permissions."""


class SlackChannelError(SlackError):
    """Slack refuses the channel: its name is wrong, or the app was not invited to it."""


class SlackContentError(SlackError):
    """Slack refuses this one request and would refuse it again; others may succeed."""


class SlackBusyError(SlackError):
    """Slack asks to wait `seconds` (429) and has posted nothing."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class SlackUnavailableError(SlackError):
    """Slack did not answer, or failed itself, so it is not known whether it posted the message."""


class SecondChannelError(RetrainError, cause=Cause.INFRA):
    """The channel beside Slack is configured wrongly, or did not take a message."""


class WatchError(RetrainError, cause=Cause.INFRA):
    """The watch itself does not work."""


class UnknownDagError(RetrainError, cause=Cause.CODE):
    """Airflow does not know the DAG of a pipeline that has a file."""


class WatchFileError(RetrainError, cause=Cause.CODE):
    """A file of the watch's own folder was not written by a watch of this deployment's version."""


class SignalError(RetrainError, cause=Cause.CODE):
    """A file of the outbox is not a signal."""


class OutboxError(RetrainError, cause=Cause.INFRA):
    """A signal could not be written."""
