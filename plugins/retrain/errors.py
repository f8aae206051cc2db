"""Every failure that this project raises itself: one class each, with its cause. A `FinalError` is not retried."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Cause(StrEnum):
    """Who has to act on a failure. It is taken from evidence; without evidence it is UNKNOWN."""

    DATA = "DATA"
    CODE = "CODE"
    INFRA = "INFRA"
    RELEASE = "RELEASE"
    UNKNOWN = "UNKNOWN"


class RetrainError(Exception):
    """Base of all. The message names the value, the cause and the next step.

    `stage` is the DVC stage that failed, if one did. `code` is the exit code of its command; a signal's is negative, or 128 + n.
    `printed` are the last lines of its output.

    A subclass that names no cause has that of its base.
    """

    cause: ClassVar[Cause] = Cause.UNKNOWN
    stage: str | None = None
    code: int | None = None
    printed: tuple[str, ...] = ()

    def __init_subclass__(cls, *, cause: Cause | None = None) -> None:
        super().__init_subclass__()
        if cause is not None:
            cls.cause = cause


class FinalError(RetrainError):
    """A retry would fail in the same way, so the task fails at once."""


class ConfigurationError(FinalError, cause=Cause.CODE):
    """A pipeline's YAML file is broken, or a setting of the deployment is missing or wrong."""


class SharedQueueError(ConfigurationError):
    """Two pipelines read the same SQS queue, so that each takes the other's messages."""


class PartitionError(FinalError, cause=Cause.DATA):
    """A partition is not a date, or a run has none."""


class NoRawDataError(FinalError, cause=Cause.DATA):
    """The partition's marker exists, but its objects do not."""


class NotLandedError(FinalError, cause=Cause.DATA):
    """The partition has not landed, or not any more, when its run looks for its objects."""


class PartitionLateError(FinalError, cause=Cause.DATA):
    """The partition's raw data did not land in time."""


class LandingError(FinalError, cause=Cause.DATA):
    """A message about landed data cannot be read, or is about another pipeline's data."""


class DataRefusedError(FinalError, cause=Cause.DATA):
    """A stage refused its data (exit 65)."""


class OverwrittenError(FinalError, cause=Cause.DATA):
    """Raw objects of the run's manifest were overwritten in a bucket without versions."""


class ReleaseError(FinalError, cause=Cause.RELEASE):
    """Base of the failures that only another release, or another pin, fixes."""


class TagGrammarError(ReleaseError):
    """A name has characters that the name of a release must not have."""


class NoPinError(ReleaseError):
    """No release is pinned yet, or the pin cannot be read."""


class NoEarlierReleaseError(ReleaseError):
    """There is no earlier release to roll back to."""


class UnknownTagError(ReleaseError):
    """The origin has no such tag."""


class UnknownCommitError(ReleaseError):
    """The origin has no such tag, branch or commit."""


class MovedTagError(ReleaseError):
    """The tag names another commit now than when it was pinned."""


class PinConflictError(ReleaseError):
    """Somebody else moved the pin at the same moment."""


class NotAPipelineError(ReleaseError):
    """The commit has no dvc.yaml."""


class TrackedInputError(ReleaseError):
    """A stage needs the data of a .dvc file or of a frozen stage, and the release does not lead to it."""


class DescriptionError(ReleaseError):
    """DVC refuses the checkout, or its description cannot be read."""


class EnvironmentDefinitionError(ReleaseError):
    """The files that define the release's environment are missing or not allowed, or uv cannot resolve or install them."""


class EnvironmentBuildError(RetrainError, cause=Cause.INFRA):
    """The release's environment could not be installed, mostly because the package index did not answer."""


class EnvironmentGoneError(RetrainError, cause=Cause.INFRA):
    """A recorded environment cannot be installed again because the package index no longer has `package` as recorded."""

    def __init__(self, message: str, package: str) -> None:
        super().__init__(message)
        self.package = package


class FileLockTimeoutError(RetrainError, cause=Cause.INFRA):
    """Another process has held a file lock for too long."""


class OriginError(RetrainError, cause=Cause.INFRA):
    """The Git origin cannot be read."""


class DiskFullError(RetrainError, cause=Cause.INFRA):
    """The disk has too little space for a run, or filled up during one."""


class StoreError(RetrainError, cause=Cause.INFRA):
    """S3 refused a request or did not answer."""


class StoreUnreachableError(StoreError):
    """S3 did not answer at all, so another request would wait just as long."""


class StoreForbiddenError(StoreError):
    """S3 refused a request because the role lacks the permission."""


class StageKilledError(RetrainError, cause=Cause.INFRA):
    """A signal ended a stage, mostly because the memory ran out."""


class StageUnavailableError(RetrainError, cause=Cause.INFRA):
    """A stage could not reach S3 or write to its disk (exit 75)."""


class CacheCollisionError(RetrainError, cause=Cause.INFRA):
    """DVC failed because another run wrote the same object of the shared cache at the same moment."""


class StageTimeoutError(RetrainError):
    """`dvc repro` took longer than the pipeline's limit."""


class StageFailedError(RetrainError):
    """A stage failed, and its output does not show the cause."""


class DvcError(RetrainError):
    """DVC failed outside of any stage, and its output does not show the cause."""


class StageCodeError(RetrainError, cause=Cause.CODE):
    """A stage failed with an error that only a change of code fixes."""


class TaskTimeoutError(RetrainError):
    """A task ran longer than its timeout in Airflow."""


class PushError(RetrainError, cause=Cause.INFRA):
    """`dvc push` failed."""


class UnprovenPushError(RetrainError, cause=Cause.INFRA):
    """`dvc push` succeeded, but objects are missing or wrong on the remote."""


class LostObjectError(RetrainError, cause=Cause.INFRA):
    """An object is neither in the cache nor on the remote."""


class CorruptCacheError(RetrainError, cause=Cause.INFRA):
    """The content of an object in the cache does not match its name."""


class RecordVersionError(FinalError, cause=Cause.RELEASE):
    """A document of the ledger has a schema version that this deployment does not read."""


class DvcLockError(RetrainError, cause=Cause.CODE):
    """dvc.lock is missing, cannot be read, or does not have what the proof needs after a successful `dvc repro`."""


class ReportError(FinalError, cause=Cause.CODE):
    """A file that the pipeline declares is missing or does not follow its contract."""


class TaskResultError(FinalError, cause=Cause.RELEASE):
    """A task's result is missing, or another version of the deployment wrote it."""


class LedgerConflictError(FinalError, cause=Cause.CODE):
    """A run key produced other bytes than the ledger has for it."""


class TrackingError(RetrainError, cause=Cause.INFRA):
    """MLflow refused a request or did not answer."""


class ScoreError(RetrainError, cause=Cause.CODE):
    """A model could not be scored on the partition."""


class AirflowApiError(RetrainError, cause=Cause.INFRA):
    """Airflow's REST API refused a request or did not answer."""


class AirflowUnreachableError(AirflowApiError):
    """Airflow's REST API did not answer at all, so another request would wait just as long."""


class BrokerUnreachableError(RetrainError, cause=Cause.INFRA):
    """Celery's broker did not answer, or refused the password."""


class RecordError(FinalError, cause=Cause.CODE):
    """A document of the ledger does not follow its schema."""


class UnknownEntryError(RetrainError):
    """The ledger has no such entry."""


class SeveralEntriesError(RetrainError):
    """The beginning of a run key matches several entries."""


class RestoreTargetError(RetrainError):
    """The target folder of a restore is not empty."""


class GoneError(RetrainError, cause=Cause.INFRA):
    """The remote no longer has the objects that an entry needs."""


class PrunedRunError(RetrainError, cause=Cause.INFRA):
    """The objects of a run were removed by a prune, on purpose."""


class TamperedError(RetrainError, cause=Cause.INFRA):
    """The content of an object is not what the record says."""


class LedgerUnreadableError(RetrainError, cause=Cause.INFRA):
    """The ledger cannot be read completely, so it is not known which objects may be removed."""


class HousekeepingError(RetrainError, cause=Cause.INFRA):
    """A part of the shared volume could not be cleaned."""
