"""Every failure around the cleaning of Airflow's metadata database: one class each, with its cause."""

from __future__ import annotations

from retrain.errors import Cause, RetrainError


class MetadataDatabaseError(RetrainError, cause=Cause.INFRA):
    """Airflow's metadata database refused a query or did not answer."""


class UnfinishedRunError(RetrainError, cause=Cause.INFRA):
    """A DAG run that has not ended needs rows that a cleaning would remove."""


class CleaningCommandError(RetrainError, cause=Cause.INFRA):
    """`airflow db clean` or `airflow db drop-archived` failed or took too long."""


class NeverCleanedError(RetrainError, cause=Cause.INFRA):
    """There is no result of a cleaning yet."""


class CleaningFailedError(RetrainError, cause=Cause.INFRA):
    """The last cleaning failed."""


class CleaningOverdueError(RetrainError, cause=Cause.INFRA):
    """The last cleaning was too long ago."""


class CleaningUnreadableError(RetrainError, cause=Cause.INFRA):
    """The result of the last cleaning cannot be read."""
