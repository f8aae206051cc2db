"""Every failure that this project raises itself: one class each, with whose it is and whether a retry can help."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Cause(StrEnum):
    """Whose failure it is, from evidence; UNKNOWN rather than a guess."""

    DATA = "DATA"
    CODE = "CODE"
    INFRA = "INFRA"
    RELEASE = "RELEASE"
    UNKNOWN = "UNKNOWN"


class RetrainError(Exception):
    """Base of all. The message names the value, the cause and the next step.

    `stage` is the DVC stage that failed, `code` the exit code of its command (negative or 128 + n for a signal), where there is one.
    """

    cause: ClassVar[Cause] = Cause.UNKNOWN
    stage: str | None = None
    code: int | None = None


class FinalError(RetrainError):
    """A retry would end the same way: the task fails at once."""


class ConfigurationError(FinalError):
    """A pipeline's YAML file is broken; the message names file and key."""

    cause = Cause.CODE


class PartitionError(FinalError):
    """A partition that is no date, or that cannot be told from the run."""

    cause = Cause.DATA


class NoRawDataError(FinalError):
    """The partition's marker is there, its objects are not."""

    cause = Cause.DATA


class PartitionLateError(FinalError):
    """The partition's marker did not come in time."""

    cause = Cause.DATA


class LandingError(FinalError):
    """A message about landed data cannot be read."""

    cause = Cause.DATA


class DataRefusedError(FinalError):
    """A stage refused its data (exit 65)."""

    cause = Cause.DATA


class OverwrittenError(FinalError):
    """Raw bytes that a run was resolved with were overwritten in a bucket that keeps no versions."""

    cause = Cause.DATA


class ReleaseError(FinalError):
    """Base of what is wrong with a release."""

    cause = Cause.RELEASE


class TagGrammarError(ReleaseError):
    """A release that is not vX.Y.Z."""


class NoPinError(ReleaseError):
    """No release is pinned yet, or the pin cannot be read."""


class NoEarlierReleaseError(ReleaseError):
    """A rollback with nothing to go back to."""


class UnknownTagError(ReleaseError):
    """The origin has no such tag."""


class MovedTagError(ReleaseError):
    """The tag points at another commit than the one that was pinned."""


class PinConflictError(ReleaseError):
    """The pin was moved by somebody else at the same moment."""


class NotAPipelineError(ReleaseError):
    """The commit holds no dvc.yaml."""


class TrackedInputError(ReleaseError):
    """A stage needs data of a .dvc file, which only the release's own remote has."""


class DescriptionError(ReleaseError):
    """DVC refuses the checkout, or the description of a checkout cannot be read."""


class EnvironmentDefinitionError(ReleaseError):
    """The release's environment cannot be told, or its lock does not fit it."""


class EnvironmentBuildError(RetrainError):
    """The release's environment could not be installed; the network is the usual reason."""

    cause = Cause.INFRA


class EnvironmentGoneError(RetrainError):
    """A frozen environment cannot be installed again: `package` is not to be had any more as it was recorded."""

    cause = Cause.INFRA

    def __init__(self, message: str, package: str) -> None:
        super().__init__(message)
        self.package = package


class FileLockTimeoutError(RetrainError):
    """Another process has held a lock for too long."""

    cause = Cause.INFRA


class OriginError(RetrainError):
    """The Git origin cannot be read."""

    cause = Cause.INFRA


class DiskFullError(RetrainError):
    """Too little space, before or while working."""

    cause = Cause.INFRA


class StoreError(RetrainError):
    """S3 refused or did not answer."""

    cause = Cause.INFRA


class StoreUnreachableError(StoreError):
    """S3 did not answer at all: the next question would wait as long."""


class StageKilledError(RetrainError):
    """A stage was ended by a signal; memory is the usual reason."""

    cause = Cause.INFRA


class StageUnavailableError(RetrainError):
    """A stage could not reach S3 or write to its disk (exit 75)."""

    cause = Cause.INFRA


class StageTimeoutError(RetrainError):
    """`dvc repro` took longer than the pipeline's limit."""


class StageFailedError(RetrainError):
    """A stage failed and its output does not say whose fault it is."""


class DvcError(RetrainError):
    """DVC itself failed outside of any stage, and its output does not say whose fault it is."""


class StageCodeError(RetrainError):
    """A stage failed with an error that only a change of code mends."""

    cause = Cause.CODE


class TaskTimeoutError(RetrainError):
    """A task ran longer than Airflow lets it."""


class PushError(RetrainError):
    """`dvc push` failed."""

    cause = Cause.INFRA


class UnprovenPushError(RetrainError):
    """`dvc push` was green, the remote does not hold what it should."""

    cause = Cause.INFRA


class LostObjectError(RetrainError):
    """An object is neither in the cache nor on the remote."""

    cause = Cause.INFRA


class CorruptCacheError(RetrainError):
    """An object in the cache is not what its name says."""

    cause = Cause.INFRA


class RecordVersionError(FinalError):
    """A document of the ledger has a schema that this deployment does not read."""

    cause = Cause.RELEASE


class DvcLockError(RetrainError):
    """dvc.lock is missing or cannot be read after a green `dvc repro`."""

    cause = Cause.CODE


class ReportError(FinalError):
    """A file that the pipeline declares is missing or does not follow its contract."""

    cause = Cause.CODE


class TaskResultError(FinalError):
    """A task's result was written by another version of the deployment, or is none."""

    cause = Cause.RELEASE


class LedgerConflictError(FinalError):
    """A run key ended with other bytes than the ledger holds for it."""

    cause = Cause.CODE


class TrackingError(RetrainError):
    """MLflow refused or did not answer."""

    cause = Cause.INFRA


class ScoreError(RetrainError):
    """A model could not be scored on the partition."""

    cause = Cause.CODE


class SlackError(RetrainError):
    """Base of what goes wrong with Slack, by what on-call has to do."""

    cause = Cause.INFRA


class SlackTokenError(SlackError):
    """Slack refuses the token, whatever is asked: it needs another token, or one with more rights."""


class SlackChannelError(SlackError):
    """Slack refuses this channel: it needs the right name, or the app invited to it."""


class SlackContentError(SlackError):
    """Slack refuses this one request, and will refuse it again; all else may pass."""


class SlackBusyError(SlackError):
    """Slack asks to wait (429). It took nothing."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class SlackUnavailableError(SlackError):
    """Slack did not answer, or with an error of its own. Whether it took what was sent is not known."""


class SecondChannelError(RetrainError):
    """The channel beside Slack is not configured as it should be, or did not take a message."""

    cause = Cause.INFRA


class WatchError(RetrainError):
    """The watch itself is not well."""

    cause = Cause.INFRA


class SignalError(RetrainError):
    """A file of the outbox is no signal."""

    cause = Cause.CODE


class OutboxError(RetrainError):
    """A signal could not be kept."""

    cause = Cause.INFRA


class AirflowApiError(RetrainError):
    """Airflow's REST API refused or did not answer."""

    cause = Cause.INFRA


class AirflowUnreachableError(AirflowApiError):
    """Airflow's REST API did not answer at all: the next question would wait as long."""


class RecordError(FinalError):
    """A run record breaks its schema."""

    cause = Cause.CODE


class UnknownEntryError(RetrainError):
    """The ledger has no such entry."""


class SeveralEntriesError(RetrainError):
    """The beginning of a run key fits several entries."""


class RestoreTargetError(RetrainError):
    """The target of a restore is not empty."""


class GoneError(RetrainError):
    """Objects that an entry needs are not on the remote any more."""

    cause = Cause.INFRA


class TamperedError(RetrainError):
    """An object's content is not what the record says."""

    cause = Cause.INFRA


class LedgerUnreadableError(RetrainError):
    """The ledger cannot be read whole, so what may be removed cannot be told."""

    cause = Cause.INFRA
